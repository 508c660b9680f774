#include "math/nearest.h"

#include "math/blas.h"
#include "math/distance.h"
#include "math/kernel.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* A tile of products, 384 KiB, stays in the second-level cache. */
enum { TILE_QUERIES = 96, TILE_ROWS = 1024 };

static const double U = 0x1p-24;

/*
 * Sums of products of longer vectors could leave float32 on the way, and an infinity of the
 * wrong sign would exclude a pair. Not-a-number in the comparison keeps it.
 */
static const double LARGEST = 1e37;

static double
kappa(enum mpivf_metric metric, size_t dim)
{
    return 1.02 * ((metric == MPIVF_L2 ? (double)dim / 2 : (double)dim) + 12) * U;
}

/* Allowance for products that float32 rounds to nothing. */
static double
tiny(size_t dim)
{
    return ((double)dim + 16) * 0x1p-126;
}

static float
round_up(double x)
{
    float f = (float)x;
    return (double)f < x ? nextafterf(f, INFINITY) : f;
}

size_t
mpivf_nearest_row_bytes(size_t dim)
{
    return dim * sizeof(float) + 4 * sizeof(double) + sizeof(float);
}

mpivf_status
mpivf_queries_init(struct mpivf_context *ctx, struct mpivf_queries *queries,
                   enum mpivf_metric metric, size_t dim, size_t capacity)
{
    static const char what[] = "the prepared queries";
    *queries = (struct mpivf_queries){.metric = metric, .dim = dim, .capacity = capacity};
    queries->work = mpivf_alloc(ctx, what, capacity * dim, sizeof *queries->work);
    queries->slope = mpivf_alloc(ctx, what, capacity, sizeof *queries->slope);
    queries->norm = mpivf_alloc(ctx, what, capacity, sizeof *queries->norm);
    queries->shift = mpivf_alloc(ctx, what, capacity, sizeof *queries->shift);
    queries->pad = mpivf_alloc(ctx, what, capacity, sizeof *queries->pad);
    queries->square = mpivf_alloc(ctx, what, capacity, sizeof *queries->square);
    return queries->work && queries->slope && queries->norm && queries->shift && queries->pad &&
                   queries->square
               ? MPIVF_OK
               : MPIVF_MEMORY;
}

void
mpivf_queries_clear(struct mpivf_context *ctx, struct mpivf_queries *queries)
{
    mpivf_free(ctx, queries->work);
    mpivf_free(ctx, queries->slope);
    mpivf_free(ctx, queries->norm);
    mpivf_free(ctx, queries->shift);
    mpivf_free(ctx, queries->pad);
    mpivf_free(ctx, queries->square);
    memset(queries, 0, sizeof *queries);
}

mpivf_status
mpivf_base_init(struct mpivf_context *ctx, struct mpivf_base *base, enum mpivf_metric metric,
                size_t dim, size_t capacity)
{
    static const char what[] = "the prepared rows";
    *base = (struct mpivf_base){.metric = metric, .dim = dim, .capacity = capacity};
    base->work = mpivf_alloc(ctx, what, capacity * dim, sizeof *base->work);
    base->norm = mpivf_alloc(ctx, what, capacity, sizeof *base->norm);
    base->term = mpivf_alloc(ctx, what, capacity, sizeof *base->term);
    return base->work && base->norm && base->term ? MPIVF_OK : MPIVF_MEMORY;
}

void
mpivf_base_clear(struct mpivf_context *ctx, struct mpivf_base *base)
{
    mpivf_free(ctx, base->work);
    mpivf_free(ctx, base->norm);
    mpivf_free(ctx, base->term);
    memset(base, 0, sizeof *base);
}

void
mpivf_nearest_centre(enum mpivf_metric metric, const float *raw, size_t rows, size_t dim,
                     float *centre)
{
    for (size_t i = 0; i < dim; i++) {
        double sum = 0;
        for (size_t r = 0; r < rows; r++)
            sum += metric == MPIVF_COSINE ? 0 : raw[r * dim + i];
        centre[i] = rows > 0 ? (float)(sum / (double)rows) : 0.0f;
    }
    if (metric != MPIVF_COSINE)
        return;
    for (size_t r = 0; r < rows; r++) {
        double length = sqrt(mpivf_square(raw + r * dim, dim));
        for (size_t i = 0; i < dim && length > 0; i++)
            centre[i] += (float)(raw[r * dim + i] / length / (double)rows);
    }
}

/* The work row of one raw row; centre NULL = leave where it is. */
static void
prepare(enum mpivf_metric metric, const float *raw, size_t dim, const float *centre, float *work)
{
    if (metric == MPIVF_COSINE)
        mpivf_normalise(raw, dim, work);
    else if (work != raw)
        memcpy(work, raw, dim * sizeof *work);
    for (size_t i = 0; centre && i < dim; i++)
        work[i] -= centre[i];
}

/* Fill the numbers of query i from its work row. */
static void
bound_query(struct mpivf_queries *queries, size_t i, const float *centre)
{
    size_t dim = queries->dim;
    const float *work = queries->work + i * dim;
    double k = kappa(queries->metric, dim), square = mpivf_square(work, dim);
    double norm = sqrt(square) * (1 + 0x1p-40);
    queries->norm[i] = norm;
    queries->square[i] =
        queries->metric == MPIVF_COSINE ? mpivf_square(queries->raw + i * dim, dim) : 0;
    queries->pad[i] = tiny(dim);
    if (queries->metric == MPIVF_L2) {
        queries->slope[i] = square > LARGEST ? NAN : round_up(2 * k * norm);
        queries->shift[i] = square * (1 - k);
        return;
    }
    double centred = mpivf_kernel()->dot(work, centre, dim);
    double reach = sqrt(mpivf_square(centre, dim));
    queries->slope[i] = square > LARGEST ? NAN : round_up(k * norm);
    queries->shift[i] = (queries->metric == MPIVF_COSINE ? 1.0 : 0.0) - centred;
    queries->pad[i] += ((double)dim + 16) * 0x1p-51 * norm * (reach + 1);
    if (queries->metric == MPIVF_COSINE)
        queries->pad[i] += 4 * U;
}

void
mpivf_queries_fill(struct mpivf_queries *queries, const float *raw, size_t rows,
                   const float *centre)
{
    queries->raw = raw;
    queries->rows = rows;
    for (size_t i = 0; i < rows; i++) {
        size_t at = i * queries->dim;
        prepare(queries->metric, raw + at, queries->dim,
                queries->metric == MPIVF_L2 ? centre : NULL, queries->work + at);
        bound_query(queries, i, centre);
    }
}

void
mpivf_base_fill(struct mpivf_base *base, const float *raw, size_t rows, const float *centre,
                const int64_t *id, int64_t first)
{
    double k = kappa(base->metric, base->dim);
    base->raw = raw;
    base->rows = rows;
    base->id = id;
    base->first = first;
    for (size_t i = 0; i < rows; i++) {
        float *work = base->work + i * base->dim;
        prepare(base->metric, raw + i * base->dim, base->dim, centre, work);
        double square = mpivf_square(work, base->dim);
        base->norm[i] = round_up(sqrt(square) * (1 + 0x1p-40));
        base->term[i] = square > LARGEST              ? NAN
                        : base->metric != MPIVF_L2 ? 0.0f
                                                   : (float)(square * (1 - k));
    }
}

mpivf_status
mpivf_tile_init(struct mpivf_context *ctx, struct mpivf_tile *tile, size_t dim)
{
    static const char what[] = "a tile of products";
    mpivf_blas_init(); /* whoever uses the library, before threads start */
    (void)mpivf_kernel();
    tile->product = mpivf_alloc(ctx, what, TILE_QUERIES * TILE_ROWS, sizeof *tile->product);
    tile->gather = mpivf_alloc(ctx, what, TILE_QUERIES * dim, sizeof *tile->gather);
    tile->keep = mpivf_alloc(ctx, what, TILE_ROWS, sizeof *tile->keep);
    return tile->product && tile->gather && tile->keep ? MPIVF_OK : MPIVF_MEMORY;
}

void
mpivf_tile_clear(struct mpivf_context *ctx, struct mpivf_tile *tile)
{
    mpivf_free(ctx, tile->product);
    mpivf_free(ctx, tile->gather);
    mpivf_free(ctx, tile->keep);
    memset(tile, 0, sizeof *tile);
}

/* Compute canonically what is still an interval among the first n entries of query q. */
static void
resolve(const struct mpivf_queries *queries, const struct mpivf_base *base,
        struct mpivf_candidate *entry, size_t n, size_t q)
{
    const float *query = queries->raw + q * queries->dim;
    for (size_t i = 0; i < n; i++) {
        if (entry[i].lo == entry[i].hi)
            continue;
        int64_t row = entry[i].id;
        double distance = mpivf_distance(queries->metric, query, queries->square[q],
                                         base->raw + (size_t)row * base->dim, base->dim);
        entry[i] = (struct mpivf_candidate){distance, distance,
                                            base->id ? base->id[row] : base->first + row};
    }
}

/* Make room in query q: drop what the k-th upper bound excludes, resolve if that is not enough. */
static void
prune(const struct mpivf_queries *queries, const struct mpivf_base *base, struct mpivf_topk *topk,
      size_t q)
{
    struct mpivf_candidate *entry = topk->entry + q * topk->room;
    size_t n = topk->count[q], k = topk->k, kept = 0;
    if (n <= k)
        return;
    mpivf_topk_select(entry, n, k, true);
    double limit = -INFINITY;
    for (size_t i = 0; i < k; i++)
        if (entry[i].hi > limit)
            limit = entry[i].hi;
    if (limit < topk->limit[q])
        topk->limit[q] = limit;
    for (size_t i = 0; i < n; i++)
        if (!(entry[i].lo > topk->limit[q]))
            entry[kept++] = entry[i];
    topk->count[q] = (uint32_t)kept;
    if (kept < k + (topk->room - k) / 2)
        return;
    resolve(queries, base, entry, kept, q);
    mpivf_topk_settle(topk, q);
}

/* The largest value of the filter's comparison that cannot be excluded. */
static float
filter_limit(const struct mpivf_queries *queries, const struct mpivf_topk *topk, size_t q)
{
    double limit = topk->limit[q] - queries->shift[q] + queries->pad[q];
    limit += fabs(limit) * 0x1p-40; /* the subtraction's own rounding */
    limit += (fabs(topk->limit[q]) < INFINITY ? fabs(topk->limit[q]) : 0) * 0x1p-50;
    limit += fabs(queries->shift[q]) * 0x1p-50;
    return limit < 3e38 ? round_up(limit) : INFINITY;
}

/* Add the survivors of one row of products, columns counted from base row `at`. */
static void
collect(const struct mpivf_queries *queries, const struct mpivf_base *base, size_t at,
        const float *product, const uint32_t *keep, size_t kept, struct mpivf_topk *topk, size_t q)
{
    double scale = queries->metric == MPIVF_L2 ? 2 : 1;
    double k = kappa(queries->metric, queries->dim), norm = queries->norm[q];
    for (size_t i = 0; i < kept; i++) {
        size_t row = at + keep[i];
        double other = base->norm[row];
        double value = (double)base->term[row] - scale * (double)product[keep[i]] -
                       (double)queries->slope[q] * other;
        double slack = queries->metric == MPIVF_L2 ? k * (norm + other) * (norm + other)
                                                   : k * norm * other;
        double lo = value + queries->shift[q] - queries->pad[q];
        double hi = lo + 2.01 * (slack + queries->pad[q]);
        if (!isfinite(lo) || !isfinite(hi)) {
            lo = -INFINITY;
            hi = INFINITY;
        }
        if (lo > topk->limit[q])
            continue;
        if (topk->count[q] == topk->room)
            prune(queries, base, topk, q);
        topk->entry[q * topk->room + topk->count[q]++] =
            (struct mpivf_candidate){lo, hi, (int64_t)row};
        if (topk->k == 1 && hi < topk->limit[q])
            topk->limit[q] = hi;
    }
}

void
mpivf_nearest_scan(const struct mpivf_queries *queries, const uint32_t *subset, size_t first,
                   size_t n, const struct mpivf_base *base, struct mpivf_topk *topk,
                   struct mpivf_tile *tile)
{
    const struct mpivf_kernel *kernel = mpivf_kernel();
    float scale = queries->metric == MPIVF_L2 ? 2 : 1;
    size_t dim = queries->dim;
    for (size_t start = 0; start < n; start += TILE_QUERIES) {
        size_t some = n - start < TILE_QUERIES ? n - start : TILE_QUERIES;
        const float *rows = queries->work + (first + start) * dim;
        for (size_t i = 0; subset && i < some; i++)
            memcpy(tile->gather + i * dim, queries->work + subset[start + i] * dim,
                   dim * sizeof(float));
        for (size_t at = 0; at < base->rows; at += TILE_ROWS) {
            size_t columns = base->rows - at < TILE_ROWS ? base->rows - at : TILE_ROWS;
            mpivf_blas_products(subset ? tile->gather : rows, some, base->work + at * dim, columns,
                                dim, tile->product, TILE_ROWS);
            for (size_t i = 0; i < some; i++) {
                size_t q = subset ? subset[start + i] : first + start + i;
                const float *product = tile->product + i * TILE_ROWS;
                size_t kept = kernel->filter(product, base->term + at, base->norm + at, columns,
                                             scale, queries->slope[q],
                                             filter_limit(queries, topk, q), tile->keep);
                collect(queries, base, at, product, tile->keep, kept, topk, q);
            }
        }
        for (size_t i = 0; i < some; i++) {
            size_t q = subset ? subset[start + i] : first + start + i;
            prune(queries, base, topk, q);
            resolve(queries, base, topk->entry + q * topk->room, topk->count[q], q);
            mpivf_topk_settle(topk, q);
        }
    }
}

void
mpivf_nearest_scan_threads(const struct mpivf_queries *queries, const uint32_t *subset, size_t n,
                           const struct mpivf_base *base, struct mpivf_topk *topk,
                           struct mpivf_tile *tile, int threads)
{
    size_t each = (n + (size_t)threads - 1) / (size_t)threads;
    if (each > TILE_QUERIES)
        each = TILE_QUERIES;
    long tiles = each > 0 ? (long)((n + each - 1) / each) : 0;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (long t = 0; t < tiles; t++) {
        size_t start = (size_t)t * each, some = n - start < each ? n - start : each;
        mpivf_nearest_scan(queries, subset ? subset + start : NULL, subset ? 0 : start, some, base,
                           topk, &tile[omp_get_thread_num()]);
    }
}
