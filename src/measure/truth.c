#include <mpivf/truth.h>

#include "math/distance.h"
#include "math/nearest.h"
#include "io/file.h"
#include "search/gather.h"
#include "search/query.h"
#include "source/slab.h"

#include <string.h>

enum { SLAB_MOST = 32 << 20, RANGES = 1024, CENTRE_ROWS = 1024, DEAL_SEED = 1 };

struct truth {
    const struct mpivf_par *par;
    const struct mpivf_truth_options *options;
    struct mpivf_source base;
    struct mpivf_query query;
    struct mpivf_result result; /* rank 0 */
    struct mpivf_slab slab;
    struct mpivf_queries queries;
    struct mpivf_base rows;
    struct mpivf_topk topk;
    struct mpivf_tile *tile; /* owned, one a thread */
    size_t slab_rows;
    float *row;                /* owned, [slab_rows] */
    int64_t *id;               /* owned, [slab_rows] */
    float *centre;             /* owned, [dim] */
    struct mpivf_range *range; /* owned, [RANGES] */
    uint64_t block;            /* queries at a time */
    uint64_t rejected;
};

/* Bytes a slab row takes in all. */
static size_t
slab_row_bytes(const struct truth *t)
{
    return mpivf_source_row_bytes(&t->base) + mpivf_nearest_row_bytes(t->base.dim) + sizeof(int64_t);
}

/* Share the budget between the slab and the block of queries. */
static mpivf_status
plan_memory(struct truth *t)
{
    struct mpivf_context *ctx = t->par->ctx;
    size_t each = mpivf_topk_query_bytes(t->options->k) + mpivf_gather_query_bytes(t->options->k) +
                  mpivf_nearest_row_bytes(t->base.dim);
    size_t pieces = t->base.blocks / (uint64_t)t->par->size + 2;
    size_t fixed = (size_t)ctx->threads * (1 << 20) + (RANGES + pieces) * sizeof(struct mpivf_range) +
                   (1 << 20);
    size_t left = mpivf_memory_left(ctx), row = slab_row_bytes(t);
    left = left > (size_t)8 << 30 ? (size_t)8 << 30 : left;
    if (left < fixed + 16 * each + 16 * row)
        return mpivf_fail(ctx, MPIVF_MEMORY, "the truth needs %.1f MiB of buffers at least, %.1f MiB "
                          "are left; raise --memory",
                          (double)(fixed + 16 * each + 16 * row) / 1048576, (double)left / 1048576);
    size_t slab = (left - fixed) / 4 < SLAB_MOST ? (left - fixed) / 4 : SLAB_MOST;
    t->slab_rows = slab / row > 0 ? slab / row : 1;
    if (t->slab_rows > t->base.rows)
        t->slab_rows = t->base.rows;
    t->block = (left - fixed - t->slab_rows * row) / each;
    if (t->block > t->query.rows)
        t->block = t->query.rows;
    return MPIVF_OK;
}

static mpivf_status
allocate(struct truth *t)
{
    struct mpivf_context *ctx = t->par->ctx;
    size_t dim = t->base.dim;
    t->row = mpivf_alloc(ctx, "the slab", t->slab_rows, mpivf_source_row_bytes(&t->base));
    t->id = mpivf_alloc(ctx, "the slab", t->slab_rows, sizeof *t->id);
    t->centre = mpivf_alloc_zero(ctx, "the centre", dim, sizeof *t->centre);
    t->range = mpivf_alloc(ctx, "ranges", RANGES, sizeof *t->range);
    t->tile = mpivf_alloc_zero(ctx, "tiles", (size_t)ctx->threads, sizeof *t->tile);
    if (!t->row || !t->id || !t->centre || !t->range || !t->tile)
        return MPIVF_MEMORY;
    mpivf_status status = mpivf_base_init(ctx, &t->rows, t->options->metric, dim, t->slab_rows);
    for (int i = 0; i < ctx->threads && status == MPIVF_OK; i++)
        status = mpivf_tile_init(ctx, &t->tile[i], dim);
    if (status == MPIVF_OK)
        status = mpivf_queries_init(ctx, &t->queries, t->options->metric, dim, t->block);
    if (status == MPIVF_OK)
        status = mpivf_topk_init(ctx, &t->topk, t->block, t->options->k);
    return status;
}

static void
clear(struct truth *t)
{
    struct mpivf_context *ctx = t->par->ctx;
    mpivf_topk_clear(ctx, &t->topk);
    mpivf_queries_clear(ctx, &t->queries);
    mpivf_base_clear(ctx, &t->rows);
    for (int i = 0; t->tile && i < ctx->threads; i++)
        mpivf_tile_clear(ctx, &t->tile[i]);
    mpivf_free(ctx, t->tile);
    mpivf_free(ctx, t->row);
    mpivf_free(ctx, t->id);
    mpivf_free(ctx, t->centre);
    mpivf_free(ctx, t->range);
    mpivf_slab_clear(&t->slab);
    mpivf_result_clear(&t->result);
    mpivf_query_clear(&t->query);
    mpivf_source_close_all(&t->base);
}

/* Move good rows together; what is left. */
static mpivf_status
drop_bad_rows(struct truth *t, uint64_t *rows)
{
    size_t dim = t->base.dim, kept = 0;
    for (uint64_t i = 0; i < *rows; i++) {
        const float *row = t->row + i * dim;
        if (mpivf_finite(row, dim)) {
            if (kept != i)
                memcpy(t->row + kept * dim, row, dim * sizeof *row);
            t->id[kept++] = t->id[i];
            continue;
        }
        if (t->options->bad_rows == MPIVF_BAD_ROWS_FAIL)
            return mpivf_fail(t->par->ctx, MPIVF_INPUT, "row %lld has a value that is not finite; "
                              "--bad-rows skip leaves such rows out", (long long)t->id[i]);
    }
    t->rejected += *rows - kept;
    *rows = kept;
    return MPIVF_OK;
}

/* The centre and with it the queries; any centre is right, a near one is fast. */
static void
prepare_queries(struct truth *t, uint64_t first, uint64_t n, uint64_t rows)
{
    size_t some = rows < CENTRE_ROWS ? rows : CENTRE_ROWS;
    mpivf_nearest_centre(t->options->metric, t->row, some, t->base.dim, t->centre);
    mpivf_queries_fill(&t->queries, t->query.row + first * t->base.dim, n, t->centre);
}

/* One pass over the base for queries [first, first + n). */
static mpivf_status
pass_all(struct truth *t, struct mpivf_progress *progress, uint64_t first, uint64_t n)
{
    const struct mpivf_par *par = t->par;
    mpivf_status status = mpivf_slab_init(&t->slab, &t->base, DEAL_SEED, NULL, 0);
    bool ready = false;
    t->rejected = 0;
    t->topk.queries = n;
    mpivf_topk_reset(&t->topk);
    status = mpivf_agree_all(par, status);
    for (bool more = status == MPIVF_OK; more;) {
        uint64_t rows;
        size_t ranges = mpivf_slab_next(&t->slab, t->slab_rows, t->range, RANGES, &rows);
        uint64_t read = rows;
        mpivf_slab_rows(t->range, ranges, (uint64_t *)t->id);
        status = mpivf_source_read_all(&t->base, t->range, ranges, t->row);
        if (status == MPIVF_OK)
            status = drop_bad_rows(t, &rows);
        if (status == MPIVF_OK && rows > 0) {
            if (!ready)
                prepare_queries(t, first, n, rows);
            ready = true;
            mpivf_base_fill(&t->rows, t->row, rows, t->centre, t->id, 0);
            mpivf_nearest_scan_threads(&t->queries, NULL, n, &t->rows, &t->topk, t->tile,
                                       par->ctx->threads);
        }
        progress->phase->rows += rows;
        more = t->slab.next < t->slab.pieces;
        status = mpivf_round_all(progress, status, read, &more);
    }
    mpivf_slab_clear(&t->slab);
    return status ? status
                  : mpivf_gather_result_all(par, &t->topk, &t->result, first, t->options->metric);
}

static mpivf_status
open_all(struct truth *t, const char *base, const char *queries, const char *out)
{
    const struct mpivf_par *par = t->par;
    struct mpivf_context *ctx = par->ctx;
    mpivf_status status = mpivf_agree_all(
        par, par->rank == 0 ? mpivf_file_writable(ctx, out, t->options->force) : MPIVF_OK);
    if (status == MPIVF_OK)
        status = mpivf_source_open_all(&t->base, par, base, "train", t->options->read_mode);
    if (status == MPIVF_OK)
        status = mpivf_query_load_all(par, queries, t->base.dim, base, t->options->read_mode,
                                      t->options->queries, &t->query);
    if (status == MPIVF_OK && par->rank == 0)
        status = mpivf_result_init(ctx, &t->result, t->query.rows, t->options->k);
    status = mpivf_agree_all(par, status);
    if (status == MPIVF_OK)
        status = mpivf_agree_all(par, plan_memory(t));
    t->block = ~mpivf_max_u64_all(par, ~t->block); /* the smallest of all ranks */
    return status ? status : mpivf_agree_all(par, allocate(t));
}

mpivf_status
mpivf_truth_all(const struct mpivf_par *par, const char *base, const char *queries, const char *out,
                const struct mpivf_truth_options *options, struct mpivf_report *report,
                struct mpivf_truth_made *made)
{
    struct truth t = {.par = par, .options = options};
    struct mpivf_progress progress;
    memset(made, 0, sizeof *made);
    mpivf_status status = open_all(&t, base, queries, out);
    if (status == MPIVF_OK) {
        uint64_t passes = (t.query.rows + t.block - 1) / t.block;
        mpivf_phase_begin(&progress, par, report, "truth", "rows", passes * t.base.rows);
        for (uint64_t first = 0; first < t.query.rows && status == MPIVF_OK; first += t.block) {
            uint64_t left = t.query.rows - first;
            status = pass_all(&t, &progress, first, left < t.block ? left : t.block);
        }
        progress.phase->bytes_read = t.base.bytes_read;
        mpivf_phase_end(&progress);
        made->passes = passes;
        made->queries = t.query.rows;
        made->rejected = mpivf_total_all(par, t.rejected);
        made->rows = t.base.rows - made->rejected;
    }
    if (status == MPIVF_OK && par->rank == 0) {
        t.result.metric = options->metric;
        t.result.rows = made->rows;
        t.result.exact = true;
        status = mpivf_result_write(&t.result, out, "truth");
    }
    clear(&t);
    return mpivf_agree_all(par, status);
}
