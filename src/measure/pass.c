#include "measure/pass.h"

#include "base/then.h"
#include "math/centre.h"

#include <string.h>

enum { CENTRE_ROWS = 1024, SAMPLE_BYTES = 4 << 20, SMALL_BYTES = 1 << 20 };

/* Rows of the sample that a filter is chosen by, at most. */
static size_t
sampled(size_t dim)
{
    return SAMPLE_BYTES / (dim * sizeof(float));
}

size_t
mpivf_pass_query_bytes(const struct mpivf_pass_shape *shape)
{
    return shape->segments * mpivf_topk_query_bytes(shape->k) +
           mpivf_prepare_row_bytes(shape->dim) + mpivf_duplicates_query_bytes(shape->segments) +
           2 * sizeof(uint32_t);
}

size_t
mpivf_pass_row_bytes(const struct mpivf_pass_shape *shape)
{
    return mpivf_prepare_row_bytes(shape->dim);
}

size_t
mpivf_pass_fixed_bytes(const struct mpivf_pass_shape *shape, int threads)
{
    size_t choose = mpivf_filter_choose_bytes(shape->dim, sampled(shape->dim), threads);
    size_t peak = mpivf_filter_peak_bytes(shape->dim, threads); /* later */
    return (size_t)threads * (mpivf_tile_bytes(shape->dim) + 4096) +
           (choose > peak ? choose : peak) + mpivf_pass_raw_bytes(shape) +
           2 * mpivf_prepare_fixed_bytes(shape->dim, threads) + SMALL_BYTES;
}

size_t
mpivf_pass_later_bytes(const struct mpivf_pass_shape *shape, int threads)
{
    return shape->batch * mpivf_pass_row_bytes(shape) +
           shape->capacity * mpivf_prepare_row_bytes(shape->dim) +
           2 * mpivf_prepare_fixed_bytes(shape->dim, threads) +
           mpivf_filter_choose_bytes(shape->dim, sampled(shape->dim), threads) + SMALL_BYTES;
}

mpivf_status
mpivf_pass_init(struct mpivf_context *ctx, struct mpivf_pass *pass,
                const struct mpivf_pass_shape *shape)
{
    *pass = (struct mpivf_pass){.ctx = ctx, .shape = *shape};
    pass->centre = mpivf_alloc_zero(ctx, "the centre", 1, mpivf_pass_raw_bytes(shape));
    pass->tile = mpivf_alloc_zero(ctx, "tiles", (size_t)ctx->threads, sizeof *pass->tile);
    mpivf_status status = pass->centre && pass->tile ? MPIVF_OK : MPIVF_MEMORY;
    for (int t = 0; t < ctx->threads && status == MPIVF_OK; t++)
        status = mpivf_tile_init(ctx, &pass->tile[t], shape->dim);
    for (size_t s = 0; s < shape->segments && status == MPIVF_OK; s++)
        status = mpivf_topk_init(ctx, &pass->topk[s], shape->capacity, shape->k);
    THEN(status, mpivf_duplicates_init(ctx, &pass->duplicates, mpivf_pass_raw_bytes(shape),
                                       shape->capacity, shape->segments));
    return status;
}

void
mpivf_pass_clear(struct mpivf_pass *pass)
{
    struct mpivf_context *ctx = pass->ctx;
    if (ctx == NULL)
        return;
    for (size_t s = 0; s < pass->shape.segments; s++)
        mpivf_topk_clear(ctx, &pass->topk[s]);
    for (int t = 0; pass->tile && t < ctx->threads; t++)
        mpivf_tile_clear(ctx, &pass->tile[t]);
    mpivf_duplicates_clear(ctx, &pass->duplicates);
    mpivf_queries_clear(ctx, &pass->queries);
    mpivf_base_clear(ctx, &pass->base);
    mpivf_free(ctx, pass->tile);
    mpivf_free(ctx, pass->centre);
    mpivf_free(ctx, pass->covered);
    memset(pass, 0, sizeof *pass);
}

void
mpivf_pass_begin(struct mpivf_pass *pass, uint64_t first, uint64_t n, const void *query,
                 const int64_t *own)
{
    pass->first = first;
    pass->n = n;
    pass->query = query;
    pass->own = own;
    pass->ranges = 0;
    pass->rowsum = 0;
    pass->ready = false;
    pass->kept = true;
    memset(pass->rejected, 0, sizeof pass->rejected);
    for (size_t s = 0; s < pass->shape.segments; s++) {
        pass->topk[s].queries = n;
        mpivf_topk_reset(&pass->topk[s]);
    }
    mpivf_duplicates_reset(&pass->duplicates, query, n);
}

/* Any centre and any filter are right; these are fast for rows like the first ones. */
static mpivf_status
choose(struct mpivf_pass *pass, const void *row, size_t rows)
{
    const struct mpivf_pass_shape *shape = &pass->shape;
    size_t some = sampled(shape->dim);
    size_t few = rows < CENTRE_ROWS ? rows : CENTRE_ROWS;
    if (shape->f64)
        mpivf_centre_mean64(shape->metric, row, few, shape->dim, pass->centre);
    else
        mpivf_centre_mean(shape->metric, row, few, shape->dim, pass->centre);
    struct mpivf_choose choose = {.metric = shape->metric,
                                  .dim = shape->dim,
                                  .k = shape->k,
                                  .total_rows = shape->prefix[shape->segments - 1],
                                  .total_queries = shape->capacity,
                                  .query = mpivf_pass_raw(shape, pass->query, 0),
                                  .row = mpivf_pass_raw(shape, row, 0),
                                  .centre = mpivf_pass_raw(shape, pass->centre, 0),
                                  .queries = pass->n,
                                  .rows = rows < some ? rows : some};
    mpivf_status status = mpivf_filter_choose(pass->ctx, &choose, &pass->choice);
    THEN(status, mpivf_queries_init(pass->ctx, &pass->queries, shape->metric, pass->choice.filter,
                                    shape->dim, shape->capacity));
    THEN(status, mpivf_base_init(pass->ctx, &pass->base, shape->metric, pass->choice.filter,
                                 shape->dim, shape->batch));
    pass->chosen = status == MPIVF_OK;
    return status;
}

size_t
mpivf_pass_segment(const struct mpivf_pass_shape *shape, uint64_t number)
{
    size_t s = 0;
    while (s < shape->segments && number >= shape->prefix[s])
        s++;
    return s;
}

mpivf_status
mpivf_pass_rows(struct mpivf_pass *pass, const void *row, const uint64_t *number, const int64_t *id,
                size_t rows)
{
    const struct mpivf_pass_shape *shape = &pass->shape;
    mpivf_status status = pass->chosen || rows == 0 ? MPIVF_OK : choose(pass, row, rows);
    if (status || rows == 0)
        return status;
    struct mpivf_raw centre = mpivf_pass_raw(shape, pass->centre, 0);
    if (!pass->ready)
        mpivf_queries_fill_raw(&pass->queries, mpivf_pass_raw(shape, pass->query, 0), pass->n,
                               centre);
    pass->ready = true;
    for (size_t from = 0, to; from < rows; from = to) {
        size_t s = mpivf_pass_segment(shape, number[from]);
        for (to = from + 1; to < rows && number[to] < shape->prefix[s];)
            to++;
        struct mpivf_scan_of all = {.n = pass->n, .own = pass->own};
        mpivf_base_fill_raw(&pass->base, mpivf_pass_raw(shape, row, from), to - from, centre,
                            id + from, 0);
        mpivf_nearest_scan_threads(&pass->queries, &all, &pass->base, &pass->topk[s], pass->tile,
                                   pass->ctx->threads);
        mpivf_duplicates_rows(&pass->duplicates, s,
                              (const char *)row + from * mpivf_pass_raw_bytes(shape), to - from,
                              pass->ctx->threads);
    }
    return MPIVF_OK;
}

mpivf_status
mpivf_pass_cover(struct mpivf_pass *pass, const struct mpivf_range *range, size_t ranges,
                 uint64_t rowsum)
{
    if (ranges == 0)
        return MPIVF_OK;
    pass->kept = false;
    pass->rowsum += rowsum;
    if (pass->ranges + ranges > pass->room) {
        size_t room = 2 * (pass->ranges + ranges);
        struct mpivf_range *more = mpivf_alloc(pass->ctx, "row ranges", room, sizeof *more);
        if (more == NULL)
            return MPIVF_MEMORY;
        if (pass->ranges > 0)
            memcpy(more, pass->covered, pass->ranges * sizeof *more);
        mpivf_free(pass->ctx, pass->covered);
        pass->covered = more;
        pass->room = room;
    }
    memcpy(pass->covered + pass->ranges, range, ranges * sizeof *range);
    pass->ranges = mpivf_range_normalise(pass->covered, pass->ranges + ranges, NULL);
    return MPIVF_OK;
}

struct mpivf_answers
mpivf_pass_answers(struct mpivf_pass *pass)
{
    return (struct mpivf_answers){pass->topk, &pass->duplicates, pass->shape.segments};
}

uint64_t
mpivf_pass_computed(const struct mpivf_pass *pass)
{
    uint64_t computed = 0;
    for (int t = 0; pass->tile && t < pass->ctx->threads; t++)
        computed += pass->tile[t].computed;
    return computed;
}
