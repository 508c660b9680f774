#include "math/prepare.h"

#include "math/desk.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

/* Of rows that lie one after the other (apart), whole vectors. */
static size_t
steps_of(const struct mpivf_filter *filter, size_t values, bool apart)
{
    size_t words = (values + filter->values - 1) / filter->values;
    size_t whole = filter->even ? 2 * MPIVF_APART : MPIVF_APART;
    if (apart)
        return (words + whole - 1) / whole * whole;
    return words + (filter->even && words % 2);
}

/* ---- memory ---- */

/* What one look takes of a side that `shape` tells of; `apart`: its words lie row after row. */
static void
lay_out_queries(struct mpivf_packed_queries *queries, struct mpivf_pool *pool,
                const struct mpivf_packed_queries *shape, const struct mpivf_filter *filter,
                size_t values, bool apart)
{
    *queries = *shape;
    queries->filter = filter;
    queries->values = values;
    queries->steps = steps_of(filter, values, apart);
    queries->word = mpivf_pool_take(pool, queries->capacity * queries->steps, 4);
    queries->bound = mpivf_pool_take(pool, queries->capacity, sizeof *queries->bound);
}

void
mpivf_packed_queries_lay_out(struct mpivf_packed_queries *queries, struct mpivf_pool *pool,
                             enum mpivf_metric metric, const struct mpivf_filter *filter,
                             size_t dim, size_t capacity, const struct mpivf_first *first,
                             int threads)
{
    const struct mpivf_projection *projection = first ? &first->projection : NULL;
    struct mpivf_packed_queries counted, shape = {.metric = metric,
                                                  .dim = dim,
                                                  .capacity = capacity,
                                                  .threads = threads,
                                                  .projection = projection};
    lay_out_queries(queries, pool, &shape, filter, dim, first != NULL);
    queries->work =
        mpivf_pool_take(pool, (size_t)threads, mpivf_desk_bytes(dim, queries->steps, projection));
    if (first == NULL)
        return;
    queries->first = mpivf_pool_take(pool, 1, sizeof *queries->first);
    lay_out_queries(queries->first ? queries->first : &counted, pool, &shape, first->filter,
                    mpivf_projection_values(projection), false);
}

static void
lay_out_rows(struct mpivf_packed_rows *packed, struct mpivf_pool *pool,
             const struct mpivf_packed_rows *shape, const struct mpivf_filter *filter,
             size_t values, bool apart)
{
    size_t padded = mpivf_whole_panels(shape->capacity) * MPIVF_PANEL;
    *packed = *shape;
    packed->filter = filter;
    packed->values = values;
    packed->steps = steps_of(filter, values, apart);
    packed->kappa = filter->kappa(packed->metric, values);
    packed->per_square = packed->metric == MPIVF_L2 ? packed->kappa : 0;
    packed->word = mpivf_pool_take(pool, padded * packed->steps, 4);
    packed->term = mpivf_pool_take(pool, padded, sizeof *packed->term);
    packed->scale = mpivf_pool_take(pool, padded, sizeof *packed->scale);
    packed->norm = mpivf_pool_take(pool, padded, sizeof *packed->norm);
    packed->residual = mpivf_pool_take(pool, padded, sizeof *packed->residual);
}

void
mpivf_packed_rows_lay_out(struct mpivf_packed_rows *packed, struct mpivf_pool *pool,
                          enum mpivf_metric metric, const struct mpivf_filter *filter, size_t dim,
                          size_t capacity, const struct mpivf_first *first, int threads)
{
    const struct mpivf_projection *projection = first ? &first->projection : NULL;
    struct mpivf_packed_rows counted, shape = {.metric = metric,
                                               .dim = dim,
                                               .capacity = capacity,
                                               .threads = threads,
                                               .projection = projection};
    lay_out_rows(packed, pool, &shape, filter, dim, first != NULL);
    packed->work =
        mpivf_pool_take(pool, (size_t)threads, mpivf_desk_bytes(dim, packed->steps, projection));
    if (first == NULL)
        return;
    packed->first = mpivf_pool_take(pool, 1, sizeof *packed->first);
    lay_out_rows(packed->first ? packed->first : &counted, pool, &shape, first->filter,
                 mpivf_projection_values(projection), false);
}

static size_t
queries_for(const struct mpivf_filter *filter, size_t dim, size_t capacity,
            const struct mpivf_first *first, int threads)
{
    struct mpivf_packed_queries queries;
    struct mpivf_pool pool = mpivf_pool_counting();
    mpivf_packed_queries_lay_out(&queries, &pool, MPIVF_L2, filter, dim, capacity, first, threads);
    return pool.bytes;
}

static size_t
rows_for(const struct mpivf_filter *filter, size_t dim, size_t capacity,
         const struct mpivf_first *first, int threads)
{
    struct mpivf_packed_rows packed;
    struct mpivf_pool pool = mpivf_pool_counting();
    mpivf_packed_rows_lay_out(&packed, &pool, MPIVF_L2, filter, dim, capacity, first, threads);
    return pool.bytes;
}

enum { MANY = 64 * MPIVF_PANEL };

size_t
mpivf_prepare_query_bytes(const struct mpivf_filter *filter, size_t dim)
{
    return mpivf_pool_slope(queries_for(filter, dim, MANY, NULL, 1),
                            queries_for(filter, dim, 0, NULL, 1), MANY);
}

size_t
mpivf_prepare_row_bytes(size_t dim)
{
    size_t max = 0;
    for (int f = 0; f < MPIVF_FILTERS; f++) { /* float32 takes more than any two of integers */
        const struct mpivf_filter *filter = mpivf_filter(f);
        size_t query = mpivf_prepare_query_bytes(filter, dim);
        size_t row = mpivf_pool_slope(rows_for(filter, dim, MANY, NULL, 1),
                                      rows_for(filter, dim, 0, NULL, 1), MANY);
        max = query > max ? query : max;
        max = row > max ? row : max;
    }
    return max;
}

/* The last panel is padded. */
static size_t
fixed_for(const struct mpivf_filter *filter, size_t dim, const struct mpivf_first *first,
          int threads)
{
    return queries_for(filter, dim, 0, first, threads) + rows_for(filter, dim, 1, first, threads);
}

size_t
mpivf_prepare_fixed_bytes(size_t dim, int threads)
{
    size_t max = 0;
    for (int f = 0; f < MPIVF_FILTERS; f++) {
        size_t both = fixed_for(mpivf_filter(f), dim, NULL, threads);
        max = both > max ? both : max;
    }
    return max;
}

size_t
mpivf_prepare_first_bytes(size_t dim, int threads)
{
    struct mpivf_projection most = {.dim = dim, .axes = mpivf_projection_most(dim)};
    size_t max = mpivf_prepare_fixed_bytes(dim, threads);
    for (int f = 0; f < MPIVF_FILTERS && most.axes > 0; f++) {
        struct mpivf_first first = {mpivf_filter(f), most};
        size_t both = first.filter->round ? fixed_for(first.filter, dim, &first, threads) : 0;
        max = both > max ? both : max;
    }
    return max;
}

mpivf_status
mpivf_packed_queries_init(struct mpivf_context *ctx, struct mpivf_packed_queries *queries,
                          enum mpivf_metric metric, const struct mpivf_filter *filter, size_t dim,
                          size_t capacity)
{
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "the prepared queries");
    mpivf_packed_queries_lay_out(queries, &pool, metric, filter, dim, capacity, NULL, ctx->threads);
    queries->pool = pool;
    return mpivf_pool_status(&pool);
}

void
mpivf_packed_queries_clear(struct mpivf_packed_queries *queries)
{
    mpivf_pool_clear(&queries->pool);
    memset(queries, 0, sizeof *queries);
}

mpivf_status
mpivf_packed_rows_init(struct mpivf_context *ctx, struct mpivf_packed_rows *packed,
                       enum mpivf_metric metric, const struct mpivf_filter *filter, size_t dim,
                       size_t capacity)
{
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "the prepared rows");
    mpivf_packed_rows_lay_out(packed, &pool, metric, filter, dim, capacity, NULL, ctx->threads);
    packed->pool = pool;
    return mpivf_pool_status(&pool);
}

void
mpivf_packed_rows_clear(struct mpivf_packed_rows *packed)
{
    mpivf_pool_clear(&packed->pool);
    memset(packed, 0, sizeof *packed);
}

void
mpivf_prepare_group(const struct mpivf_packed_queries *queries, size_t q, double limit,
                    struct mpivf_group *group, size_t i)
{
    assert(i < MPIVF_GROUP && q < queries->rows);
    group->word[i] = queries->word + q * queries->steps * 4;
    group->start[i] = queries->bound[q].start;
    group->scale[i] = queries->bound[q].scale;
    group->per_norm[i] = queries->bound[q].per_norm;
    group->per_residual[i] = queries->bound[q].per_residual;
    group->limit[i] = mpivf_prepare_limit(queries, q, limit);
}
