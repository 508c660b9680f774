#include "measure/publish.h"

#include "base/then.h"
#include "io/result.h"
#include "math/distance.h"
#include "measure/resume.h"

#include <string.h>

enum { PIECE_BYTES = 1 << 20 };

_Static_assert((int)MPIVF_TRUTH_XBIN == (int)MPIVF_ALSO_XBIN &&
                   (int)MPIVF_TRUTH_VECS == (int)MPIVF_ALSO_VECS,
               "handed on as they are");

/* Writing the outputs, a piece of queries at a time. */
struct publishing {
    const struct mpivf_request *request;
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
    p->writer = mpivf_alloc_zero(ctx, what, p->request->segments, sizeof *p->writer);
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
    enum mpivf_metric metric = p->request->options->metric;
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
    const struct mpivf_request *request = p->request;
    return request->options->self && mpivf_request_place(request, query) < request->prefix[s];
}

/* The rows [at, at + n) of a checkpoint into every output. */
static mpivf_status
publish_piece(struct publishing *p, const struct mpivf_file *file,
              const struct mpivf_checkpoint *checkpoint, uint64_t at, uint64_t n)
{
    struct mpivf_topk_block shape = {.queries = n, .k = p->k, .scratch = p->scratch};
    mpivf_status status = MPIVF_OK;
    uint64_t k = p->k;
    for (size_t s = 0; s < checkpoint->segments && status == MPIVF_OK; s++) {
        struct mpivf_candidate *to = s == 0 ? p->best : p->other;
        status = mpivf_checkpoint_rows(p->ctx, file, checkpoint, s, at, n, p->row);
        for (uint64_t q = 0; q < n && status == MPIVF_OK; q++) {
            const struct mpivf_candidate *row = p->row + q * (k + 2);
            memcpy(to + q * (k + 1), row, (k + 1) * sizeof *to);
            uint64_t query = checkpoint->first + at + q;
            int64_t before = s == 0 ? 0 : p->duplicates[q] + own_rows(p, s - 1, query);
            p->duplicates[q] = before + row[k + 1].id - own_rows(p, s, query);
            if (s + 1 == checkpoint->segments)
                p->duplicated += p->duplicates[q] > 0;
        }
        if (s > 0 && status == MPIVF_OK)
            mpivf_topk_join(&shape, p->best, p->other);
        THEN(status, put_piece(p, s, checkpoint->first + at, n));
    }
    return status;
}

static mpivf_status
publish_checkpoint(struct publishing *p, const struct mpivf_checkpoint *checkpoint)
{
    char path[MPIVF_PATH];
    struct mpivf_file file = {.fd = -1};
    mpivf_status status = mpivf_path(p->ctx, path, "%s/%s", p->request->folder, checkpoint->name);
    THEN(status, mpivf_file_open(p->ctx, path, &file));
    for (uint64_t at = 0; at < checkpoint->queries && status == MPIVF_OK; at += p->piece)
        status = publish_piece(p, &file, checkpoint, at,
                               checkpoint->queries - at < p->piece ? checkpoint->queries - at
                                                                   : p->piece);
    mpivf_file_drop(&file);
    return status;
}

static mpivf_status
create_outputs(struct publishing *p)
{
    const struct mpivf_request *request = p->request;
    const struct mpivf_truth_options *options = request->options;
    mpivf_status status = MPIVF_OK;
    uint64_t rejected = 0;
    for (size_t s = 0; s < request->segments && status == MPIVF_OK; s++) {
        rejected += p->rejected[s];
        p->in_vain = rejected == request->prefix[s];
        if (p->in_vain)
            return mpivf_fail(p->ctx, MPIVF_INPUT,
                              "each of the %s%llu rows has a value that is "
                              "not finite%s: no query has a neighbour",
                              s + 1 < request->segments ? "first " : "",
                              (unsigned long long)rejected, mpivf_request_or_large(request));
        struct mpivf_result_about about = {.kind = "truth",
                                           .metric = options->metric,
                                           .queries = request->queries,
                                           .k = options->k,
                                           .rows = request->prefix[s] - rejected,
                                           .max_id = request->base.rows - 1,
                                           .exact = true,
                                           .counts = true,
                                           .request = mpivf_request_mark(request)};
        status = mpivf_result_create(p->ctx, &p->writer[s], mpivf_request_outputs(request, s),
                                     &about, options->also);
        p->writers += status == MPIVF_OK;
    }
    return status;
}

/* Go through the checkpoints in the order of their queries. */
static mpivf_status
publish_checkpoints(struct publishing *p, const struct mpivf_checkpoints *checkpoints)
{
    const struct mpivf_request *request = p->request;
    uint64_t first = 0, rows = request->prefix[request->segments - 1];
    mpivf_status status = MPIVF_OK;
    while (first < request->queries && status == MPIVF_OK) {
        const struct mpivf_checkpoint *next = NULL;
        for (size_t i = 0; i < checkpoints->checkpoints && next == NULL; i++)
            if (checkpoints->checkpoint[i].first == first &&
                checkpoints->checkpoint[i].rows == rows)
                next = &checkpoints->checkpoint[i];
        if (next == NULL)
            return mpivf_fail(p->ctx, MPIVF_CORRUPT,
                              "'%s' has no answers for query %llu; remove the "
                              "folder to start over",
                              request->folder, (unsigned long long)first);
        if (first == 0) { /* every row was seen for every query: any checkpoint tells */
            memcpy(p->rejected, next->rejected, sizeof p->rejected);
            status = create_outputs(p);
        }
        THEN(status, publish_checkpoint(p, next));
        first += next->queries;
    }
    return status;
}

mpivf_status
mpivf_publish(const struct mpivf_request *request, struct mpivf_published *published)
{
    struct mpivf_context *ctx = request->par->ctx;
    struct publishing p = {.request = request, .ctx = ctx, .k = request->options->k};
    struct mpivf_checkpoints checkpoints;
    mpivf_status status = mpivf_resume_list(request, &checkpoints);
    /* checkpoints hold the answers: they are copied piece by piece into the results */
    THEN(status, publishing_init(&p));
    THEN(status, publish_checkpoints(&p, &checkpoints));
    uint64_t rejected = 0;
    for (size_t s = 0; s < request->segments; s++)
        rejected += p.rejected[s];
    if (status == MPIVF_OK && rejected > 0 && request->options->bad_rows == MPIVF_BAD_ROWS_FAIL)
        status = mpivf_fail(ctx, MPIVF_INPUT,
                            "an earlier run with --bad-rows skip left %llu rows out; "
                            "go on with skip, or remove the folder '%s'",
                            (unsigned long long)rejected, request->folder);
    /* all results get their names, or none does */
    for (size_t s = 0; s < p.writers; s++)
        status = mpivf_result_finish(ctx, &p.writer[s], status);
    published->in_vain = p.in_vain;
    if (status == MPIVF_OK) {
        published->rejected = rejected;
        published->rows = request->prefix[request->segments - 1] - rejected;
        published->duplicates = p.duplicated;
    }
    publishing_clear(&p);
    mpivf_checkpoints_clear(ctx, &checkpoints);
    return status;
}
