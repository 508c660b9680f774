#include "measure/accumulator.h"

#include "base/then.h"
#include "math/centre.h"
#include "math/peak.h"

#include <assert.h>
#include <string.h>

enum { CENTRE_ROWS = 1024, SMALL_BYTES = 1 << 20 };

/* What mirrors take of queries and rows. */
static size_t
mirror_bytes(const struct mpivf_accumulator_shape *shape, size_t queries, size_t rows)
{
    struct mpivf_mirror counted;
    struct mpivf_pool pool = mpivf_pool_counting();
    if (shape->once)
        mpivf_mirror_lay_out(&counted, &pool, queries, rows, shape->k, 1);
    return pool.bytes;
}

size_t
mpivf_accumulator_query_bytes(const struct mpivf_accumulator_shape *shape)
{
    return mpivf_pool_slope(mirror_bytes(shape, MPIVF_POOL_MANY, 0), mirror_bytes(shape, 0, 0),
                            MPIVF_POOL_MANY) +
           shape->segments * mpivf_topk_query_bytes(shape->k) +
           mpivf_prepare_row_bytes(shape->dim) + mpivf_duplicates_query_bytes(shape->segments) +
           2 * sizeof(uint32_t);
}

size_t
mpivf_accumulator_row_bytes(const struct mpivf_accumulator_shape *shape)
{
    return mpivf_pool_slope(mirror_bytes(shape, 0, MPIVF_POOL_MANY), mirror_bytes(shape, 0, 0),
                            MPIVF_POOL_MANY) +
           mpivf_prepare_row_bytes(shape->dim);
}

/* What does not depend on rows or queries. */
static void
lay_out(struct mpivf_accumulator *accumulator, struct mpivf_pool *pool,
        const struct mpivf_accumulator_shape *shape, int threads)
{
    accumulator->centre = mpivf_pool_take(pool, 1, mpivf_accumulator_raw_bytes(shape));
    accumulator->pending = mpivf_pending_take(pool, threads);
    accumulator->tile = mpivf_tile_take(pool, threads, shape->dim);
    mpivf_projection_lay_out(&accumulator->choice.first.projection, pool, shape->dim);
}

size_t
mpivf_accumulator_fixed_bytes(const struct mpivf_accumulator_shape *shape, int threads)
{
    size_t choose = mpivf_filter_choose_bytes(shape->dim, mpivf_choose_rows(shape->dim), threads);
    size_t peak = mpivf_filter_peak_bytes(shape->dim, threads); /* later */
    struct mpivf_accumulator counted;
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(&counted, &pool, shape, threads);
    return pool.bytes + (choose > peak ? choose : peak) +
           mpivf_prepare_fixed_bytes(shape->dim, threads) +
           mpivf_prepare_first_bytes(shape->dim, threads) + SMALL_BYTES;
}

size_t
mpivf_accumulator_later_bytes(const struct mpivf_accumulator_shape *shape, int threads)
{
    return shape->batch * mpivf_prepare_row_bytes(shape->dim) +
           shape->capacity * mpivf_prepare_row_bytes(shape->dim) +
           mpivf_prepare_fixed_bytes(shape->dim, threads) +
           mpivf_prepare_first_bytes(shape->dim, threads) +
           mpivf_filter_choose_bytes(shape->dim, mpivf_choose_rows(shape->dim), threads) +
           SMALL_BYTES;
}

mpivf_status
mpivf_accumulator_init(struct mpivf_context *ctx, struct mpivf_accumulator *accumulator,
                       const struct mpivf_accumulator_shape *shape)
{
    *accumulator = (struct mpivf_accumulator){.ctx = ctx, .shape = *shape};
    accumulator->pool = mpivf_pool_taking(ctx, "comparing");
    lay_out(accumulator, &accumulator->pool, shape, ctx->threads);
    if (shape->once)
        mpivf_mirror_lay_out(&accumulator->mirror, &accumulator->pool, shape->capacity,
                             shape->batch, shape->k, ctx->threads);
    mpivf_status status = mpivf_pool_status(&accumulator->pool);
    for (size_t s = 0; s < shape->segments && status == MPIVF_OK; s++)
        status = mpivf_topk_init(ctx, &accumulator->topk[s], shape->capacity, shape->k);
    THEN(status,
         mpivf_duplicates_init(ctx, &accumulator->duplicates, mpivf_accumulator_raw_bytes(shape),
                               shape->capacity, shape->segments));
    return status;
}

void
mpivf_accumulator_clear(struct mpivf_accumulator *accumulator)
{
    struct mpivf_context *ctx = accumulator->ctx;
    if (ctx == NULL)
        return;
    for (size_t s = 0; s < accumulator->shape.segments; s++)
        mpivf_topk_clear(&accumulator->topk[s]);
    mpivf_duplicates_clear(&accumulator->duplicates);
    mpivf_pool_clear(&accumulator->packed_pool);
    mpivf_pool_clear(&accumulator->pool);
    mpivf_row_set_clear(ctx, &accumulator->covered);
    memset(accumulator, 0, sizeof *accumulator);
}

void
mpivf_accumulator_begin(struct mpivf_accumulator *accumulator, uint64_t first, uint64_t n,
                        const void *query, const int64_t *own)
{
    assert(n <= accumulator->shape.capacity);
    accumulator->first = first;
    accumulator->n = n;
    accumulator->query = query;
    accumulator->own = own;
    accumulator->covered.ranges = 0;
    accumulator->rowsum = 0;
    accumulator->ready = false;
    accumulator->saved = true;
    memset(accumulator->rejected, 0, sizeof accumulator->rejected);
    for (size_t s = 0; s < accumulator->shape.segments; s++) {
        accumulator->topk[s].queries = n;
        mpivf_topk_reset(&accumulator->topk[s]);
    }
    mpivf_duplicates_reset(&accumulator->duplicates, query, n);
}

/* Any centre and any filter are right; these are fast for rows like the first ones. */
static mpivf_status
choose(struct mpivf_accumulator *accumulator, const void *row, size_t rows)
{
    const struct mpivf_accumulator_shape *shape = &accumulator->shape;
    size_t some = mpivf_choose_rows(shape->dim);
    size_t few = rows < CENTRE_ROWS ? rows : CENTRE_ROWS;
    if (shape->f64)
        mpivf_centre_mean64(shape->metric, row, few, shape->dim, accumulator->centre);
    else
        mpivf_centre_mean(shape->metric, row, few, shape->dim, accumulator->centre);
    struct mpivf_choose choose = {.metric = shape->metric,
                                  .dim = shape->dim,
                                  .k = shape->k,
                                  .total_rows = shape->prefix[shape->segments - 1],
                                  .total_queries = shape->capacity,
                                  .slab = shape->batch,
                                  .query = mpivf_accumulator_raw(shape, accumulator->query, 0),
                                  .row = mpivf_accumulator_raw(shape, row, 0),
                                  .centre = mpivf_accumulator_raw(shape, accumulator->centre, 0),
                                  .queries = accumulator->n,
                                  .rows = rows < some ? rows : some,
                                  .present = rows};
    mpivf_status status = mpivf_filter_choose(accumulator->ctx, &choose, &accumulator->choice);
    if (status)
        return status;
    const struct mpivf_filter *filter = accumulator->choice.filter;
    const struct mpivf_first *first = mpivf_choice_first(&accumulator->choice);
    accumulator->packed_pool = mpivf_pool_taking(accumulator->ctx, "the prepared rows");
    mpivf_packed_queries_lay_out(&accumulator->queries, &accumulator->packed_pool, shape->metric,
                                 filter, shape->dim, shape->capacity, first,
                                 accumulator->ctx->threads);
    mpivf_packed_rows_lay_out(&accumulator->packed, &accumulator->packed_pool, shape->metric,
                              filter, shape->dim, shape->batch, first, accumulator->ctx->threads);
    accumulator->chosen = !accumulator->packed_pool.failed;
    return mpivf_pool_status(&accumulator->packed_pool);
}

size_t
mpivf_accumulator_segment(const struct mpivf_accumulator_shape *shape, uint64_t number)
{
    size_t s = 0;
    while (s < shape->segments && number >= shape->prefix[s])
        s++;
    return s;
}

size_t
mpivf_accumulator_circle(const struct mpivf_accumulator *accumulator)
{
    const struct mpivf_accumulator_shape *shape = &accumulator->shape;
    uint64_t rows = shape->prefix[shape->segments - 1], first = accumulator->first;
    if (!shape->once || rows <= first)
        return 0;
    return rows - first < accumulator->n ? rows - first : accumulator->n;
}

/* Is this row one of those queries? */
static bool
on_circle(const struct mpivf_accumulator *accumulator, uint64_t number)
{
    return number >= accumulator->first &&
           number - accumulator->first < mpivf_accumulator_circle(accumulator);
}

static void
scan(struct mpivf_accumulator *accumulator, const struct mpivf_scan_of *of, size_t segment)
{
    mpivf_nearest_scan_threads(&accumulator->queries, of, &accumulator->packed,
                               &accumulator->topk[segment], accumulator->tile, accumulator->pending,
                               accumulator->ctx->threads);
}

/*
 * Compare packed rows, which are of one segment and queries too, with the queries of each segment:
 * a query's answers go to the topk of the rows' segment, a row's to that of the queries'.
 */
static void
scan_circle(struct mpivf_accumulator *accumulator, size_t segment, const uint64_t *number,
            size_t rows)
{
    const struct mpivf_accumulator_shape *shape = &accumulator->shape;
    size_t n = mpivf_accumulator_circle(accumulator), end;
    for (size_t s = 0, at = 0; at < n; s++, at = end) {
        uint64_t prefix = shape->prefix[s], first = accumulator->first;
        end = prefix <= first + at ? at : prefix - first < n ? prefix - first : n;
        struct mpivf_scan_of of = {.first = at, .n = end - at, .mirror = &accumulator->mirror};
        if (end == at)
            continue;
        mpivf_mirror_begin(&accumulator->mirror, &accumulator->queries, &accumulator->topk[s],
                           number, rows, first, n);
        scan(accumulator, &of, segment);
        mpivf_mirror_settle(&accumulator->mirror, accumulator->ctx->threads);
    }
}

mpivf_status
mpivf_accumulator_rows(struct mpivf_accumulator *accumulator, const void *row,
                       const uint64_t *number, const int64_t *id, size_t rows)
{
    assert(rows <= accumulator->shape.batch);
    const struct mpivf_accumulator_shape *shape = &accumulator->shape;
    /* the first rows tell which filter does best */
    mpivf_status status =
        accumulator->chosen || rows == 0 ? MPIVF_OK : choose(accumulator, row, rows);
    if (status || rows == 0)
        return status;
    struct mpivf_raw centre = mpivf_accumulator_raw(shape, accumulator->centre, 0);
    if (!accumulator->ready)
        mpivf_packed_queries_fill_raw(&accumulator->queries,
                                      mpivf_accumulator_raw(shape, accumulator->query, 0),
                                      accumulator->n, centre);
    accumulator->ready = true;
    /* rows between two prefixes have a top-k of their own; on the circle they are queries too */
    for (size_t from = 0, to; from < rows; from = to) {
        size_t s = mpivf_accumulator_segment(shape, number[from]);
        bool both = on_circle(accumulator, number[from]);
        for (to = from + 1; to < rows && number[to] < shape->prefix[s] &&
                            on_circle(accumulator, number[to]) == both;)
            to++;
        size_t circle = both ? mpivf_accumulator_circle(accumulator) : 0;
        struct mpivf_scan_of others = {
            .first = circle, .n = accumulator->n - circle, .own = accumulator->own};
        mpivf_packed_rows_fill_raw(&accumulator->packed, mpivf_accumulator_raw(shape, row, from),
                                   to - from, centre, id + from, 0);
        if (both)
            scan_circle(accumulator, s, number + from, to - from);
        scan(accumulator, &others, s);
        mpivf_duplicates_rows(&accumulator->duplicates, s,
                              (const char *)row + from * mpivf_accumulator_raw_bytes(shape),
                              to - from, accumulator->ctx->threads);
    }
    return MPIVF_OK;
}

mpivf_status
mpivf_accumulator_cover(struct mpivf_accumulator *accumulator, const struct mpivf_range *range,
                        size_t ranges, uint64_t rowsum)
{
    if (ranges == 0)
        return MPIVF_OK;
    accumulator->saved = false;
    accumulator->rowsum += rowsum;
    return mpivf_row_set_add(accumulator->ctx, &accumulator->covered, range, ranges);
}

struct mpivf_answers
mpivf_accumulator_answers(struct mpivf_accumulator *accumulator)
{
    return (struct mpivf_answers){accumulator->topk, &accumulator->duplicates,
                                  accumulator->shape.segments};
}

uint64_t
mpivf_accumulator_computed(const struct mpivf_accumulator *accumulator)
{
    uint64_t computed = 0;
    for (int t = 0; accumulator->pending && t < accumulator->ctx->threads; t++)
        computed += accumulator->pending[t].computed +
                    (accumulator->mirror.pending ? accumulator->mirror.pending[t].computed : 0);
    return computed;
}
