#include "math/nearest.h"

#include "math/blas.h"
#include "math/distance.h"

#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <string.h>

enum {
    BLOCK_ROWS = 1008,       /* whole panels */
    BLOCK_BYTES = 512 << 10, /* of words: half of a second-level cache */
    TILE_QUERIES = 96,       /* sgemm: with BLOCK_ROWS 378 KiB of products */
};

mpivf_status
mpivf_tile_init(struct mpivf_context *ctx, struct mpivf_tile *tile, size_t dim)
{
    static const char what[] = "a tile of products";
    mpivf_blas_init(); /* whoever uses the library, before threads start */
    (void)mpivf_kernel();
    tile->product = mpivf_alloc(ctx, what, TILE_QUERIES * BLOCK_ROWS, sizeof *tile->product);
    tile->gather = mpivf_alloc(ctx, what, TILE_QUERIES * dim, sizeof *tile->gather);
    tile->keep = mpivf_alloc(ctx, what, MPIVF_GROUP * BLOCK_ROWS, sizeof *tile->keep);
    tile->value = mpivf_alloc(ctx, what, MPIVF_GROUP * BLOCK_ROWS, sizeof *tile->value);
    return tile->product && tile->gather && tile->keep && tile->value ? MPIVF_OK : MPIVF_MEMORY;
}

size_t
mpivf_tile_bytes(size_t dim)
{
    return (TILE_QUERIES * (BLOCK_ROWS + dim) + 2 * MPIVF_GROUP * BLOCK_ROWS) * sizeof(float);
}

void
mpivf_tile_clear(struct mpivf_context *ctx, struct mpivf_tile *tile)
{
    mpivf_free(ctx, tile->product);
    mpivf_free(ctx, tile->gather);
    mpivf_free(ctx, tile->keep);
    mpivf_free(ctx, tile->value);
    memset(tile, 0, sizeof *tile);
}

/* What one call works on: topk or best. */
struct scan {
    const struct mpivf_queries *queries;
    const struct mpivf_base *base;
    struct mpivf_topk *topk;
    const struct mpivf_best *best;
    struct mpivf_tile *tile;
    const int64_t *own;
};

/*
 * How far the distance that mpivf_nearest_one computes can be from the canonical one. For l2 it is a
 * float32 sum of squares, none negative: with u = 2^-24 each term is off by 3 u, and is added in at
 * most dim / 64 + 7 steps, so all is off by a share of (dim / 64 + 11) u, with second orders and the
 * canonical distance's own rounding less than (dim / 64 + 13) u 1.02 as long as that is small; squares
 * below the normal range lose 2^-150 each. Of what overflows nothing is known. Inner products are
 * canonical.
 */
static double
bound_of(const struct scan *s, double distance, int side) /* 1: from above, -1: from below */
{
    double dim = (double)s->base->dim, share = (dim / 64 + 13) * 1.02 * 0x1p-24;
    if (s->base->metric != MPIVF_L2)
        return distance;
    return distance <= 3e38 ? distance + side * (distance * share + (dim + 64) * 0x1p-148)
                            : side * (double)INFINITY;
}

double
mpivf_nearest_distance(enum mpivf_metric metric, const float *query, const float *row, size_t dim)
{
    return metric == MPIVF_L2 ? (double)mpivf_kernel()->near(query, row, dim)
                              : mpivf_distance(metric, query, 0, row, dim);
}

/* No row that is farther can be among those wanted. */
static double
limit_of(const struct scan *s, size_t q)
{
    return s->topk ? s->topk->limit[q] : bound_of(s, s->best->distance[q], 1);
}

static int64_t
id_of(const struct mpivf_base *base, size_t row)
{
    if (base->pick)
        return base->pick[row];
    return base->id ? base->id[row] : base->first + (int64_t)row;
}

/* Has query q this row already, or must it not find it? */
static bool
passed_over(const struct scan *s, size_t q, int64_t id)
{
    return s->topk ? s->own && id == s->own[q] : id == s->best->id[q];
}

/*
 * Many survivors mean that the limit is loose. The k-th smallest of their upper bounds is a better
 * one: k rows are known to be that near.
 */
static double
seed_limit(const struct scan *s, size_t q, const uint32_t *keep, const float *value, size_t kept)
{
    size_t k = s->topk ? s->topk->k : 1;
    struct mpivf_candidate bound[BLOCK_ROWS];
    size_t n = 0;
    for (size_t i = 0; i < kept; i++) {
        if (passed_over(s, q, id_of(s->base, keep[i])))
            continue;
        bound[n].distance = mpivf_prepare_upper(s->queries, q, s->base, keep[i], value[i]);
        bound[n++].id = 0;
    }
    if (n < k)
        return INFINITY;
    if (k == 1) {
        double least = bound[0].distance;
        for (size_t i = 1; i < n; i++)
            least = bound[i].distance < least ? bound[i].distance : least;
        return least;
    }
    mpivf_topk_select(bound, n, k);
    double limit = bound[0].distance;
    for (size_t i = 1; i < k; i++)
        limit = bound[i].distance > limit ? bound[i].distance : limit;
    return limit;
}

/* Offer row number `raw` to query q's topk. */
static void
offer(const struct scan *s, size_t q, size_t raw, int64_t id)
{
    const struct mpivf_queries *queries = s->queries;
    size_t dim = queries->dim;
    double distance = mpivf_distance(queries->metric, queries->raw + q * dim,
                                     queries->bound[q].square, s->base->raw + raw * dim, dim);
    mpivf_topk_add(s->topk, q, distance, id);
}

/* Is row `id` nearer to query q than the best so far, where the quick distances cannot tell? */
static bool
nearer(const struct scan *s, size_t q, uint32_t id)
{
    const struct mpivf_queries *queries = s->queries;
    size_t dim = queries->dim;
    const float *query = queries->raw + q * dim;
    double one = mpivf_distance(queries->metric, query, 0, s->base->raw + id * dim, dim);
    double other =
        mpivf_distance(queries->metric, query, 0, s->base->raw + s->best->id[q] * dim, dim);
    return one < other || (one == other && id < s->best->id[q]);
}

/* Offer a row, whose id is its number, to the best of query q. */
static void
offer_best(const struct scan *s, size_t q, uint32_t id)
{
    const struct mpivf_queries *queries = s->queries;
    double *best = &s->best->distance[q];
    double distance = mpivf_nearest_distance(queries->metric, queries->raw + q * queries->dim,
                                             s->base->raw + id * queries->dim, queries->dim);
    if (s->best->id[q] != UINT32_MAX) {
        if (bound_of(s, distance, -1) > bound_of(s, *best, 1))
            return;
        if (!(bound_of(s, distance, 1) < bound_of(s, *best, -1)) && !nearer(s, q, id))
            return;
    }
    *best = distance;
    s->best->id[q] = id;
}

/* Compute the survivors of query q and offer them. */
static void
take(const struct scan *s, size_t q, const uint32_t *keep, const float *value, size_t kept)
{
    const struct mpivf_base *base = s->base;
    double limit = limit_of(s, q);
    if (kept > 1 && (s->topk == NULL || kept >= s->topk->k)) {
        double seeded = seed_limit(s, q, keep, value, kept);
        limit = seeded < limit ? seeded : limit;
    }
    for (size_t i = 0; i < kept; i++) {
        size_t row = keep[i], raw = base->pick ? base->pick[row] : row;
        if (mpivf_prepare_lower(s->queries, q, value[i]) > limit)
            continue;
        if (passed_over(s, q, id_of(base, row)))
            continue;
        s->tile->computed++;
        if (s->topk) {
            offer(s, q, raw, id_of(base, row));
            continue;
        }
        offer_best(s, q, (uint32_t)raw);
        double now = limit_of(s, q);
        limit = now < limit ? now : limit;
    }
    if (s->topk)
        mpivf_topk_tighten(s->topk, q);
}

/* Queries that lie apart come late from memory: ask before they are needed. */
static void
fetch_ahead(const struct scan *s, const uint32_t *subset, size_t n)
{
    enum { LINE = 64 };
    const struct mpivf_queries *queries = s->queries;
    for (size_t i = 0; i < n; i++) {
        const char *word = queries->word + subset[i] * queries->steps * 4;
        __builtin_prefetch(&queries->bound[subset[i]]);
        for (size_t j = 0; j < queries->steps * 4; j += LINE)
            __builtin_prefetch(word + j);
    }
}

/* A block of panels against n queries, in groups. */
static void
scan_block(const struct scan *s, const uint32_t *subset, size_t first, size_t n, size_t at,
           size_t panels, mpivf_compare compare)
{
    const struct mpivf_queries *queries = s->queries;
    const struct mpivf_base *base = s->base;
    struct mpivf_panels rows = {.word = base->word + at * base->steps * 4,
                                .term = base->term + at,
                                .scale = base->scale + at,
                                .norm = base->norm + at,
                                .rest = base->rest + at,
                                .panels = panels,
                                .steps = base->steps};
    for (size_t start = 0; start < n; start += MPIVF_GROUP) {
        if (subset && start + MPIVF_GROUP < n)
            fetch_ahead(s, subset + start + MPIVF_GROUP,
                        n - start < 2 * MPIVF_GROUP ? n - start - MPIVF_GROUP : MPIVF_GROUP);
        struct mpivf_group group = {.n = n - start < MPIVF_GROUP ? n - start : MPIVF_GROUP};
        size_t number[MPIVF_GROUP];
        for (size_t i = 0; i < MPIVF_GROUP; i++) {
            size_t place = start + (i < group.n ? i : group.n - 1);
            size_t q = subset ? subset[place] : first + place;
            number[i] = q;
            mpivf_prepare_group(queries, q, limit_of(s, q), &group, i);
            group.keep[i] = s->tile->keep + i * BLOCK_ROWS;
            group.value[i] = s->tile->value + i * BLOCK_ROWS;
        }
        compare(&rows, &group);
        for (size_t i = 0; i < group.n; i++) {
            if (group.kept[i] == 0)
                continue;
            size_t kept = 0; /* a query without bounds keeps padding too */
            for (size_t j = 0; j < group.kept[i]; j++) {
                size_t row = group.keep[i][j] + at;
                group.keep[i][kept] = (uint32_t)row;
                group.value[i][kept] = group.value[i][j];
                kept += row < base->rows;
            }
            take(s, number[i], group.keep[i], group.value[i], kept);
        }
    }
}

/* The same through sgemm, `n` at most TILE_QUERIES. */
static void
scan_products(const struct scan *s, const uint32_t *subset, size_t first, size_t n, size_t at,
              size_t columns)
{
    const struct mpivf_queries *queries = s->queries;
    const struct mpivf_base *base = s->base;
    const float *work = (const float *)(const void *)queries->word;
    size_t dim = queries->dim;
    const float *rows = work + first * dim;
    for (size_t i = 0; subset && i < n; i++)
        memcpy(s->tile->gather + i * dim, work + subset[i] * dim, dim * sizeof(float));
    mpivf_blas_products(subset ? s->tile->gather : rows, n,
                        (const float *)(const void *)base->word + at * dim, columns, dim,
                        s->tile->product, BLOCK_ROWS);
    for (size_t i = 0; i < n; i++) {
        size_t q = subset ? subset[i] : first + i;
        const float *product = s->tile->product + i * BLOCK_ROWS;
        uint32_t *keep = s->tile->keep;
        size_t kept = mpivf_kernel()->filter(
            product, base->term + at, base->norm + at, columns, queries->bound[q].scale,
            queries->bound[q].slope, mpivf_prepare_limit(queries, q, limit_of(s, q)), keep);
        for (size_t j = 0; j < kept; j++) {
            size_t row = at + keep[j];
            s->tile->value[j] = base->term[row] - queries->bound[q].scale * product[keep[j]] -
                                queries->bound[q].slope * base->norm[row];
            keep[j] = (uint32_t)row;
        }
        if (kept > 0)
            take(s, q, keep, s->tile->value, kept);
    }
}

static void
scan_all(const struct scan *s, const struct mpivf_scan_of *of, size_t k)
{
    const struct mpivf_base *base = s->base;
    size_t panels = BLOCK_BYTES / (base->steps * 4 * MPIVF_PANEL);
    panels = panels > BLOCK_ROWS / MPIVF_PANEL ? BLOCK_ROWS / MPIVF_PANEL : panels > 0 ? panels : 1;
    size_t most = base->filter == MPIVF_FILTER_SGEMM ? BLOCK_ROWS : panels * MPIVF_PANEL;
    size_t rows, block = most;
    if (of->n > 0 && limit_of(s, of->subset ? of->subset[0] : of->first) == INFINITY) {
        /* everything survives while there is no limit: begin with few rows */
        block = (2 * k + MPIVF_PANEL - 1) / MPIVF_PANEL * MPIVF_PANEL;
        block = block < most ? block : most;
    }
    for (size_t at = 0; at < base->rows; at += rows, block = 2 * block < most ? 2 * block : most) {
        rows = base->rows - at < block ? base->rows - at : block;
        if (base->filter != MPIVF_FILTER_SGEMM) {
            scan_block(s, of->subset, of->first, of->n, at,
                       (rows + MPIVF_PANEL - 1) / MPIVF_PANEL, mpivf_filter_compare(base->filter));
            continue;
        }
        for (size_t start = 0; start < of->n; start += TILE_QUERIES)
            scan_products(s, of->subset ? of->subset + start : NULL, of->first + start,
                          of->n - start < TILE_QUERIES ? of->n - start : TILE_QUERIES, at, rows);
    }
}

void
mpivf_nearest_scan(const struct mpivf_queries *queries, const struct mpivf_scan_of *of,
                   const struct mpivf_base *base, struct mpivf_topk *topk, struct mpivf_tile *tile)
{
    struct scan s = {queries, base, topk, NULL, tile, of->own};
    scan_all(&s, of, topk->k);
}

void
mpivf_nearest_one(const struct mpivf_queries *queries, const struct mpivf_scan_of *of,
                  const struct mpivf_base *base, const struct mpivf_best *best,
                  struct mpivf_tile *tile)
{
    struct scan s = {queries, base, NULL, best, tile, NULL};
    scan_all(&s, of, 1);
}

void
mpivf_nearest_scan_threads(const struct mpivf_queries *queries, const struct mpivf_scan_of *of,
                           const struct mpivf_base *base, struct mpivf_topk *topk,
                           struct mpivf_tile *tile, int threads)
{
    enum { EACH = 512 };
    size_t n = of->n, each = (n + (size_t)threads - 1) / (size_t)threads;
    each = (each + MPIVF_GROUP - 1) / MPIVF_GROUP * MPIVF_GROUP;
    if (each > EACH)
        each = EACH;
    long parts = each > 0 ? (long)((n + each - 1) / each) : 0;
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1)
    for (long t = 0; t < parts; t++) {
        size_t start = (size_t)t * each;
        struct mpivf_scan_of part = *of;
        part.subset = of->subset ? of->subset + start : NULL;
        part.first = of->first + start;
        part.n = n - start < each ? n - start : each;
        mpivf_nearest_scan(queries, &part, base, topk, &tile[omp_get_thread_num()]);
    }
}
