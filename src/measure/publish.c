#include "measure/publish.h"

#include "base/then.h"
#include "io/result.h"
#include "math/distance.h"
#include "measure/parts.h"

#include <string.h>

enum { PIECE_BYTES = 1 << 20 };

_Static_assert((int)MPIVF_TRUTH_XBIN == (int)MPIVF_ALSO_XBIN &&
                   (int)MPIVF_TRUTH_VECS == (int)MPIVF_ALSO_VECS,
               "handed on as they are");

/* Writing the outputs, a piece of queries at a time. */
struct publishing {
    const struct mpivf_inquiry *inquiry;
    struct mpivf_context *ctx;
    uint64_t k, piece; /* queries */
    uint64_t rejected[MPIVF_PREFIXES];
    bool in_vain;
    struct mpivf_result_writer *writer; /* owned, [segments] */
    size_t writers;                     /* those that were created */
    struct mpivf_candidate *row;        /* owned, [piece, k + 2]: one segment as stored */
    struct mpivf_candidate *best;       /* owned, [piece, k + 1]: of the segments so far */
    struct mpivf_candidate *other;      /* owned, the same: the next segment */
    struct mpivf_candidate *scratch;    /* owned, [k] */
    int64_t *neighbor;                  /* owned, [piece, k] */
    double *distance, *shown;           /* owned, the same */
    int64_t *ties, *duplicates;         /* owned, [piece] */
    uint64_t duplicated;
};

static mpivf_status
publishing_init(struct publishing *p)
{
    struct mpivf_context *ctx = p->ctx;
    static const char what[] = "the result";
    uint64_t k = p->k;
    size_t each = 3 * (k + 2) * sizeof *p->row + k * 24 + 16;
    p->piece = PIECE_BYTES / each > 0 ? PIECE_BYTES / each : 1;
    p->writer = mpivf_alloc_zero(ctx, what, p->inquiry->segments, sizeof *p->writer);
    p->row = mpivf_alloc(ctx, what, p->piece * (k + 2), sizeof *p->row);
    p->best = mpivf_alloc(ctx, what, p->piece * (k + 1), sizeof *p->best);
    p->other = mpivf_alloc(ctx, what, p->piece * (k + 1), sizeof *p->other);
    p->scratch = mpivf_alloc(ctx, what, k, sizeof *p->scratch);
    p->neighbor = mpivf_alloc(ctx, what, p->piece * k, sizeof *p->neighbor);
    p->distance = mpivf_alloc(ctx, what, p->piece * k, sizeof *p->distance);
    p->shown = mpivf_alloc(ctx, what, p->piece * k, sizeof *p->shown);
    p->ties = mpivf_alloc(ctx, what, p->piece, sizeof *p->ties);
    p->duplicates = mpivf_alloc(ctx, what, p->piece, sizeof *p->duplicates);
    return p->writer && p->row && p->best && p->other && p->scratch && p->neighbor && p->distance &&
                   p->shown && p->ties && p->duplicates
               ? MPIVF_OK
               : MPIVF_MEMORY;
}

static void
publishing_clear(struct publishing *p)
{
    mpivf_free(p->ctx, p->writer);
    mpivf_free(p->ctx, p->row);
    mpivf_free(p->ctx, p->best);
    mpivf_free(p->ctx, p->other);
    mpivf_free(p->ctx, p->scratch);
    mpivf_free(p->ctx, p->neighbor);
    mpivf_free(p->ctx, p->distance);
    mpivf_free(p->ctx, p->shown);
    mpivf_free(p->ctx, p->ties);
    mpivf_free(p->ctx, p->duplicates);
}

/* How many rows are as far as the k-th of a sorted row with its tail; 0 without a k-th. */
static int64_t
ties_of(const struct mpivf_candidate *best, uint64_t k)
{
    if (best[k - 1].id < 0)
        return 0;
    int64_t ties = best[k].id;
    for (uint64_t i = k; i-- > 0 && best[i].distance == best[k].distance;)
        ties++;
    return ties;
}

/* Queries [first, first + n), joined up to segment s, as they are shown. */
static mpivf_status
put_piece(struct publishing *p, size_t s, uint64_t first, uint64_t n)
{
    enum mpivf_metric metric = p->inquiry->options->metric;
    uint64_t k = p->k;
    for (uint64_t q = 0; q < n; q++) {
        const struct mpivf_candidate *best = p->best + q * (k + 1);
        for (uint64_t i = 0; i < k; i++) {
            size_t at = q * k + i;
            p->neighbor[at] = best[i].id;
            p->distance[at] = best[i].distance;
            p->shown[at] =
                best[i].id < 0 ? best[i].distance : mpivf_distance_shown(metric, best[i].distance);
        }
        p->ties[q] = ties_of(best, k);
    }
    struct mpivf_result_rows rows = {p->neighbor, p->distance, p->shown, p->ties, p->duplicates};
    return mpivf_result_put(p->ctx, &p->writer[s], first, n, &rows);
}

/* A query that is a row of the base finds itself among the duplicates: that one does not count. */
static int64_t
own_rows(const struct publishing *p, size_t s, uint64_t query)
{
    const struct mpivf_inquiry *inquiry = p->inquiry;
    return inquiry->options->self && mpivf_inquiry_place(inquiry, query) < inquiry->prefix[s];
}

/* The rows [at, at + n) of a part into every output. */
static mpivf_status
publish_piece(struct publishing *p, const struct mpivf_file *file, const struct mpivf_part *part,
              uint64_t at, uint64_t n)
{
    struct mpivf_topk_block shape = {.queries = n, .k = p->k, .scratch = p->scratch};
    mpivf_status status = MPIVF_OK;
    uint64_t k = p->k;
    for (size_t s = 0; s < part->segments && status == MPIVF_OK; s++) {
        struct mpivf_candidate *to = s == 0 ? p->best : p->other;
        status = mpivf_part_rows(p->ctx, file, part, s, at, n, p->row);
        for (uint64_t q = 0; q < n && status == MPIVF_OK; q++) {
            const struct mpivf_candidate *row = p->row + q * (k + 2);
            memcpy(to + q * (k + 1), row, (k + 1) * sizeof *to);
            uint64_t query = part->first + at + q;
            int64_t before = s == 0 ? 0 : p->duplicates[q] + own_rows(p, s - 1, query);
            p->duplicates[q] = before + row[k + 1].id - own_rows(p, s, query);
            if (s + 1 == part->segments)
                p->duplicated += p->duplicates[q] > 0;
        }
        if (s > 0 && status == MPIVF_OK)
            mpivf_topk_join(&shape, p->best, p->other);
        THEN(status, put_piece(p, s, part->first + at, n));
    }
    return status;
}

static mpivf_status
publish_part(struct publishing *p, const struct mpivf_part *part)
{
    char path[MPIVF_PATH];
    struct mpivf_file file = {.fd = -1};
    mpivf_status status = mpivf_path(p->ctx, path, "%s/%s", p->inquiry->folder, part->name);
    THEN(status, mpivf_file_open(p->ctx, path, &file));
    for (uint64_t at = 0; at < part->queries && status == MPIVF_OK; at += p->piece)
        status = publish_piece(p, &file, part, at,
                               part->queries - at < p->piece ? part->queries - at : p->piece);
    mpivf_file_drop(&file);
    return status;
}

static mpivf_status
create_outputs(struct publishing *p)
{
    const struct mpivf_inquiry *inquiry = p->inquiry;
    const struct mpivf_truth_options *options = inquiry->options;
    mpivf_status status = MPIVF_OK;
    uint64_t rejected = 0;
    for (size_t s = 0; s < inquiry->segments && status == MPIVF_OK; s++) {
        rejected += p->rejected[s];
        p->in_vain = rejected == inquiry->prefix[s];
        if (p->in_vain)
            return mpivf_fail(p->ctx, MPIVF_INPUT,
                              "each of the %s%llu rows has a value that is "
                              "not finite%s: no query has a neighbour",
                              s + 1 < inquiry->segments ? "first " : "",
                              (unsigned long long)rejected, mpivf_inquiry_or_large(inquiry));
        struct mpivf_result_about about = {.kind = "truth",
                                           .metric = options->metric,
                                           .queries = inquiry->queries,
                                           .k = options->k,
                                           .rows = inquiry->prefix[s] - rejected,
                                           .most_id = inquiry->base.rows - 1,
                                           .exact = true,
                                           .counts = true,
                                           .inquiry = mpivf_inquiry_mark(inquiry)};
        status = mpivf_result_create(p->ctx, &p->writer[s], mpivf_inquiry_outputs(inquiry, s),
                                     &about, options->also);
        p->writers += status == MPIVF_OK;
    }
    return status;
}

/* Go through the parts in the order of their queries. */
static mpivf_status
publish_parts(struct publishing *p, const struct mpivf_parts *parts)
{
    const struct mpivf_inquiry *inquiry = p->inquiry;
    uint64_t first = 0, rows = inquiry->prefix[inquiry->segments - 1];
    mpivf_status status = MPIVF_OK;
    while (first < inquiry->queries && status == MPIVF_OK) {
        const struct mpivf_part *next = NULL;
        for (size_t i = 0; i < parts->parts && next == NULL; i++)
            if (parts->part[i].first == first && parts->part[i].rows == rows)
                next = &parts->part[i];
        if (next == NULL)
            return mpivf_fail(p->ctx, MPIVF_CORRUPT,
                              "'%s' has no answers for query %llu; remove the "
                              "folder to start over",
                              inquiry->folder, (unsigned long long)first);
        if (first == 0) { /* every row was seen for every query: any part tells */
            memcpy(p->rejected, next->rejected, sizeof p->rejected);
            status = create_outputs(p);
        }
        THEN(status, publish_part(p, next));
        first += next->queries;
    }
    return status;
}

mpivf_status
mpivf_publish(const struct mpivf_inquiry *inquiry, struct mpivf_published *published)
{
    struct mpivf_context *ctx = inquiry->par->ctx;
    struct publishing p = {.inquiry = inquiry, .ctx = ctx, .k = inquiry->options->k};
    struct mpivf_parts parts;
    mpivf_status status = mpivf_parts_list(ctx, inquiry->folder, p.k, inquiry->segments, &parts);
    THEN(status, publishing_init(&p));
    THEN(status, publish_parts(&p, &parts));
    uint64_t rejected = 0;
    for (size_t s = 0; s < inquiry->segments; s++)
        rejected += p.rejected[s];
    if (status == MPIVF_OK && rejected > 0 && inquiry->options->bad_rows == MPIVF_BAD_ROWS_FAIL)
        status = mpivf_fail(ctx, MPIVF_INPUT,
                            "an earlier run with --bad-rows skip left %llu rows out; "
                            "go on with skip, or remove the folder '%s'",
                            (unsigned long long)rejected, inquiry->folder);
    for (size_t s = 0; s < p.writers; s++)
        status = mpivf_result_finish(ctx, &p.writer[s], status);
    published->in_vain = p.in_vain;
    if (status == MPIVF_OK) {
        published->rejected = rejected;
        published->rows = inquiry->prefix[inquiry->segments - 1] - rejected;
        published->duplicates = p.duplicated;
    }
    publishing_clear(&p);
    mpivf_parts_clear(ctx, &parts);
    return status;
}
