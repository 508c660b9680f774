#include "math/prepare.h"

#include "math/bounds.h"
#include "math/centre.h"

#include <assert.h>
#include <math.h>
#include <omp.h>
#include <string.h>

static const double U = 0x1p-24;

/* Rows without a larger value are no integers but all residual: their scale could underflow. */
static const float SMALLEST = 1e-18f;

static size_t
steps_of(const struct mpivf_filter *filter, size_t dim)
{
    size_t words = (dim + filter->values - 1) / filter->values;
    return words + (filter->even && words % 2);
}

static size_t
whole_panels(size_t rows)
{
    return (rows + MPIVF_PANEL - 1) / MPIVF_PANEL;
}

/* ---- memory ---- */

void
mpivf_packed_queries_lay_out(struct mpivf_packed_queries *queries, struct mpivf_pool *pool,
                             enum mpivf_metric metric, const struct mpivf_filter *filter,
                             size_t dim, size_t capacity, int threads)
{
    *queries = (struct mpivf_packed_queries){.metric = metric,
                                             .filter = filter,
                                             .dim = dim,
                                             .steps = steps_of(filter, dim),
                                             .capacity = capacity,
                                             .threads = threads};
    queries->word = mpivf_pool_take(pool, capacity * queries->steps, 4);
    queries->work = mpivf_pool_take(pool, (size_t)threads * dim, sizeof *queries->work);
    queries->bound = mpivf_pool_take(pool, capacity, sizeof *queries->bound);
}

/* Bytes of one thread's work row: floats, then words. */
static size_t
work_bytes(const struct mpivf_packed_rows *packed)
{
    return (packed->dim * sizeof(float) + packed->steps * 4 + 127) / 64 * 64;
}

void
mpivf_packed_rows_lay_out(struct mpivf_packed_rows *packed, struct mpivf_pool *pool,
                          enum mpivf_metric metric, const struct mpivf_filter *filter, size_t dim,
                          size_t capacity, int threads)
{
    size_t padded = whole_panels(capacity) * MPIVF_PANEL;
    *packed = (struct mpivf_packed_rows){.metric = metric,
                                         .filter = filter,
                                         .dim = dim,
                                         .steps = steps_of(filter, dim),
                                         .capacity = capacity,
                                         .kappa = filter->kappa(metric, dim),
                                         .threads = threads};
    packed->per_square = metric == MPIVF_L2 ? packed->kappa : 0;
    packed->word = mpivf_pool_take(pool, padded * packed->steps, 4);
    packed->work = mpivf_pool_take(pool, (size_t)threads, work_bytes(packed));
    packed->term = mpivf_pool_take(pool, padded, sizeof *packed->term);
    packed->scale = mpivf_pool_take(pool, padded, sizeof *packed->scale);
    packed->norm = mpivf_pool_take(pool, padded, sizeof *packed->norm);
    packed->residual = mpivf_pool_take(pool, padded, sizeof *packed->residual);
}

static size_t
queries_for(const struct mpivf_filter *filter, size_t dim, size_t capacity, int threads)
{
    struct mpivf_packed_queries queries;
    struct mpivf_pool pool = mpivf_pool_counting();
    mpivf_packed_queries_lay_out(&queries, &pool, MPIVF_L2, filter, dim, capacity, threads);
    return pool.bytes;
}

static size_t
rows_for(const struct mpivf_filter *filter, size_t dim, size_t capacity, int threads)
{
    struct mpivf_packed_rows packed;
    struct mpivf_pool pool = mpivf_pool_counting();
    mpivf_packed_rows_lay_out(&packed, &pool, MPIVF_L2, filter, dim, capacity, threads);
    return pool.bytes;
}

enum { MANY = 64 * MPIVF_PANEL };

size_t
mpivf_prepare_query_bytes(const struct mpivf_filter *filter, size_t dim)
{
    return mpivf_pool_slope(queries_for(filter, dim, MANY, 1), queries_for(filter, dim, 0, 1),
                            MANY);
}

size_t
mpivf_prepare_row_bytes(size_t dim)
{
    size_t max = 0;
    for (int f = 0; f < MPIVF_FILTERS; f++) {
        const struct mpivf_filter *filter = mpivf_filter(f);
        size_t query = mpivf_prepare_query_bytes(filter, dim);
        size_t row =
            mpivf_pool_slope(rows_for(filter, dim, MANY, 1), rows_for(filter, dim, 0, 1), MANY);
        max = query > max ? query : max;
        max = row > max ? row : max;
    }
    return max;
}

size_t
mpivf_prepare_fixed_bytes(size_t dim, int threads)
{
    size_t max = 0;
    for (int f = 0; f < MPIVF_FILTERS; f++) { /* the last panel is padded */
        const struct mpivf_filter *filter = mpivf_filter(f);
        size_t both = queries_for(filter, dim, 0, threads) + rows_for(filter, dim, 1, threads);
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
    mpivf_packed_queries_lay_out(queries, &pool, metric, filter, dim, capacity, ctx->threads);
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
    mpivf_packed_rows_lay_out(packed, &pool, metric, filter, dim, capacity, ctx->threads);
    packed->pool = pool;
    return mpivf_pool_status(&pool);
}

void
mpivf_packed_rows_clear(struct mpivf_packed_rows *packed)
{
    mpivf_pool_clear(&packed->pool);
    memset(packed, 0, sizeof *packed);
}

/* ---- packing ---- */

/*
 * A work row of this length as integers in `word`: their unit, and how long what they leave out can
 * be.
 */
static struct mpivf_rounded
round_row(const struct mpivf_filter *filter, const float *work, size_t dim, double norm, void *word)
{
    float largest = norm * norm <= MPIVF_LARGEST ? mpivf_kernel()->largest(work, dim) : 0;
    memset(word, 0, steps_of(filter, dim) * 4);
    if (!(largest > SMALLEST))
        return (struct mpivf_rounded){0, norm};
    double unit = filter->unit(largest, norm, dim);
    float rounded = (float)unit, squares = filter->round(work, dim, (float)(1 / unit), word);
    double residual = sqrt((double)squares * (1 + ((double)dim / 16 + 32) * 2 * U));
    return (struct mpivf_rounded){rounded,
                                  ((double)rounded * residual + 5 * U * norm) * (1 + 0x1p-40)};
}

/* The words of a work row, rounded where the filter is of integers. */
static struct mpivf_rounded
pack_row(const struct mpivf_filter *filter, const float *work, size_t dim, double norm, void *word)
{
    if (filter->round)
        return round_row(filter, work, dim, norm, word);
    if (word != work)
        memcpy(word, work, dim * sizeof *work);
    return (struct mpivf_rounded){1, 0};
}

void
mpivf_packed_queries_fill_raw(struct mpivf_packed_queries *queries, struct mpivf_raw raw,
                              size_t rows, struct mpivf_raw centre)
{
    assert(rows <= queries->capacity && !raw.f64 == !centre.f64);
    static const struct mpivf_raw nowhere = {NULL, NULL};
    size_t dim = queries->dim;
    int threads = rows > 1024 ? queries->threads : 1;
    queries->raw = raw;
    queries->rows = rows;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t i = 0; i < rows; i++) {
        float *work = queries->work + (size_t)omp_get_thread_num() * dim;
        mpivf_centre_row(queries->metric, mpivf_raw_at(raw, i * dim), dim,
                         queries->metric == MPIVF_L2 ? centre : nowhere, work);
        double square = mpivf_square(work, dim), norm = sqrt(square) * (1 + 0x1p-40);
        struct mpivf_rounded rounded =
            pack_row(queries->filter, work, dim, norm, queries->word + i * queries->steps * 4);
        mpivf_bounds_query(queries, i, work, centre, square, rounded);
    }
}

/* The first word of a row in its panel. */
static char *
word_at(const struct mpivf_packed_rows *packed, size_t row)
{
    return packed->word + 4 * (row / MPIVF_PANEL * MPIVF_PANEL * packed->steps + row % MPIVF_PANEL);
}

/* Put a row of words where its panel has them. */
static void
place(struct mpivf_packed_rows *packed, size_t row, const char *word)
{
    char *to = word_at(packed, row);
    for (size_t s = 0; s < packed->steps; s++) {
        uint32_t one;
        memcpy(&one, word + 4 * s, sizeof one);
        one = (one ^ packed->filter->flip) & ~packed->filter->drop;
        memcpy(to + 4 * MPIVF_PANEL * s, &one, sizeof one);
    }
}

static void
fill_row(struct mpivf_packed_rows *packed, size_t i, struct mpivf_raw centre, char *scratch)
{
    size_t dim = packed->dim;
    bool panels = packed->filter->panels;
    float *work = panels ? (float *)(void *)scratch : (float *)(void *)packed->word + i * dim;
    char *word = panels ? scratch + dim * sizeof(float) : (char *)work;
    mpivf_centre_row(packed->metric, mpivf_raw_at(packed->raw, i * dim), dim, centre, work);
    double square = mpivf_square(work, dim), norm = sqrt(square) * (1 + 0x1p-40);
    struct mpivf_rounded rounded = pack_row(packed->filter, work, dim, norm, word);
    if (panels)
        place(packed, i, word);
    mpivf_bounds_row(packed, i, square, rounded);
}

/* Columns that no query can want. */
static void
fill_padding(struct mpivf_packed_rows *packed, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        char *at = word_at(packed, i);
        for (size_t s = 0; s < packed->steps && packed->filter->panels; s++)
            memset(at + 4 * MPIVF_PANEL * s, 0, 4);
        packed->term[i] = INFINITY;
        packed->scale[i] = packed->norm[i] = packed->residual[i] = 0;
    }
}

void
mpivf_packed_rows_fill_raw(struct mpivf_packed_rows *packed, struct mpivf_raw raw, size_t rows,
                           struct mpivf_raw centre, const int64_t *id, int64_t first)
{
    assert(rows <= packed->capacity);
    packed->raw = raw;
    packed->rows = rows;
    packed->id = id;
    packed->first = first;
    packed->subset = NULL;
    long panels = (long)whole_panels(rows);
    int threads = panels > 64 ? packed->threads : 1;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (long p = 0; p < panels; p++) {
        char *scratch = packed->work + (size_t)omp_get_thread_num() * work_bytes(packed);
        size_t start = (size_t)p * MPIVF_PANEL, end = start + MPIVF_PANEL;
        for (size_t i = start; i < end && i < rows; i++)
            fill_row(packed, i, centre, scratch);
        fill_padding(packed, start < rows && rows < end ? rows : end, end);
    }
}

void
mpivf_packed_rows_subset(struct mpivf_packed_rows *packed, const struct mpivf_packed_rows *from,
                         const uint32_t *subset, size_t n)
{
    assert(n <= packed->capacity && packed->filter == from->filter && packed->dim == from->dim);
    size_t steps = packed->steps, stride = 4 * MPIVF_PANEL;
    packed->raw = from->raw;
    packed->rows = n;
    packed->subset = subset;
    for (size_t i = 0; i < n; i++) {
        if (!packed->filter->panels) {
            memcpy(packed->word + i * steps * 4, from->word + subset[i] * steps * 4, steps * 4);
        } else {
            char *to = word_at(packed, i);
            const char *at = word_at(from, subset[i]);
            for (size_t s = 0; s < steps; s++)
                memcpy(to + s * stride, at + s * stride, 4);
        }
        packed->term[i] = from->term[subset[i]];
        packed->scale[i] = from->scale[subset[i]];
        packed->norm[i] = from->norm[subset[i]];
        packed->residual[i] = from->residual[subset[i]];
    }
    fill_padding(packed, n, whole_panels(n) * MPIVF_PANEL);
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
