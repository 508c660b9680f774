#include "index/coarse_parts.h"

#include "io/checksum.h"
#include "math/centre.h"
#include "math/distance.h"

#include <assert.h>
#include <math.h>
#include <omp.h>
#include <string.h>

enum {
    BATCH = 1024,           /* rows a thread works on at a time, at most */
    MIN_BATCH = 16,         /* however wide they are */
    BATCH_BYTES = 32 << 20, /* of prepared rows */
    PROBES_BYTES = 8 << 20, /* of what is found for them */
    SUBSET = 1008           /* candidates, whole panels */
};
static const double NOTHING = -1e30; /* no distance is as small */

static bool
is_spherical(const struct mpivf_coarse *coarse)
{
    return coarse->metric != MPIVF_L2;
}

static bool
is_zero(const float *row, size_t dim)
{
    for (size_t j = 0; j < dim; j++)
        if (row[j] != 0)
            return false;
    return true;
}

static void
lay_out(struct mpivf_coarse *coarse, struct mpivf_pool *pool)
{
    size_t lists = coarse->lists, dim = coarse->dim, threads = (size_t)coarse->threads;
    coarse->centroid = mpivf_pool_take(pool, lists * dim, sizeof *coarse->centroid);
    coarse->centre = mpivf_pool_take(pool, dim, sizeof *coarse->centre);
    coarse->interval = mpivf_pool_take(pool, threads * BATCH, sizeof *coarse->interval);
    coarse->tile = mpivf_tile_take(pool, coarse->threads, dim);
}

void
mpivf_coarse_lay_out_packed(struct mpivf_coarse *coarse, struct mpivf_pool *pool)
{
    mpivf_packed_rows_lay_out(&coarse->packed, pool, MPIVF_L2, mpivf_filter_best(coarse->dim),
                              coarse->dim, coarse->lists, mpivf_choice_first(&coarse->choice),
                              coarse->threads);
}

mpivf_status
mpivf_coarse_init(struct mpivf_context *ctx, struct mpivf_coarse *coarse, enum mpivf_metric metric,
                  size_t lists, size_t dim)
{
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "the centroids"), packed_pool = pool;
    *coarse = (struct mpivf_coarse){
        .ctx = ctx, .metric = metric, .lists = lists, .dim = dim, .threads = ctx->threads};
    lay_out(coarse, &pool);
    mpivf_coarse_lay_out_packed(coarse, &packed_pool);
    coarse->pool = pool;
    coarse->packed_pool = packed_pool;
    mpivf_status status = mpivf_pool_status(&pool);
    return status ? status : mpivf_pool_status(&packed_pool);
}

size_t
mpivf_coarse_bytes(size_t lists, size_t dim, int threads)
{
    struct mpivf_coarse coarse = {.lists = lists, .dim = dim, .threads = threads};
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(&coarse, &pool);
    mpivf_coarse_lay_out_packed(&coarse, &pool);
    return pool.bytes;
}

void
mpivf_coarse_clear(struct mpivf_coarse *coarse)
{
    mpivf_pool_clear(&coarse->pool);
    mpivf_pool_clear(&coarse->packed_pool);
    mpivf_pool_clear(&coarse->choice_pool);
    mpivf_coarse_subsets_clear(coarse);
    memset(coarse, 0, sizeof *coarse);
}

void
mpivf_coarse_ready(struct mpivf_coarse *coarse)
{
    mpivf_centre_mean(MPIVF_L2, coarse->centroid, coarse->lists, coarse->dim, coarse->centre);
    mpivf_coarse_refill(coarse);
}

void
mpivf_coarse_refill(struct mpivf_coarse *coarse)
{
    mpivf_packed_rows_fill(&coarse->packed, coarse->centroid, coarse->lists, coarse->centre, NULL,
                           0);
}

/* What one thread needs to look up a batch of rows. */
struct lookup {
    struct mpivf_packed_queries queries;
    struct mpivf_topk topk; /* more than one probe */
    struct mpivf_pending *pending;
    float *unit; /* [batch, dim]: the rows in unit length; ip and cosine */
};

/* 0 probes: the nearest list alone, without its distance. */
static struct lookup *
lay_out_lookups(const struct mpivf_coarse *coarse, struct mpivf_pool *pool, size_t batch,
                size_t probes)
{
    size_t dim = coarse->dim, units = is_spherical(coarse) ? batch : 0;
    size_t threads = (size_t)coarse->threads;
    struct lookup counted, *lookup = mpivf_pool_take(pool, threads, sizeof *lookup);
    for (size_t t = 0; t < threads; t++) {
        struct lookup *one = lookup ? &lookup[t] : &counted;
        mpivf_packed_queries_lay_out(&one->queries, pool, MPIVF_L2, mpivf_filter_best(dim), dim,
                                     batch, mpivf_choice_first(&coarse->choice), 1);
        mpivf_topk_lay_out(&one->topk, pool, probes > 0 ? batch : 0, probes);
        one->pending = mpivf_pending_take(pool, probes > 0);
        one->unit = mpivf_pool_take(pool, units * dim, sizeof *one->unit);
    }
    return lookup;
}

static size_t
batch_rows(enum mpivf_metric metric, size_t dim, size_t probes)
{
    size_t each = mpivf_prepare_query_bytes(mpivf_filter_best(dim), dim);
    size_t rows = BATCH_BYTES / (each + (metric == MPIVF_L2 ? 0 : dim * sizeof(float)));
    size_t found = PROBES_BYTES / mpivf_topk_query_bytes(probes);
    rows = rows < MIN_BATCH ? MIN_BATCH : rows > BATCH ? BATCH : rows;
    return probes <= 1 || rows < found ? rows : found < 1 ? 1 : found;
}

size_t
mpivf_coarse_scratch_of(const struct mpivf_coarse *coarse, size_t probes)
{
    struct mpivf_pool pool = mpivf_pool_counting();
    size_t batch = batch_rows(coarse->metric, coarse->dim, probes);
    (void)lay_out_lookups(coarse, &pool, batch, probes);
    return pool.bytes;
}

size_t
mpivf_coarse_scratch(enum mpivf_metric metric, size_t dim, int threads, size_t probes)
{
    struct mpivf_coarse coarse = {.metric = metric, .dim = dim, .threads = threads};
    return mpivf_coarse_scratch_of(&coarse, probes);
}

/* Prepare n rows. */
static void
lookup_fill(const struct mpivf_coarse *coarse, struct lookup *lookup, const float *row, size_t n)
{
    size_t dim = coarse->dim;
    for (size_t i = 0; i < n && is_spherical(coarse); i++)
        mpivf_normalise(row + i * dim, dim, lookup->unit + i * dim);
    mpivf_packed_queries_fill(&lookup->queries, is_spherical(coarse) ? lookup->unit : row, n,
                              coarse->centre);
}

/* Is row i of these without a direction? It is then as near to every list. */
static bool
has_no_direction(const struct mpivf_coarse *coarse, const struct mpivf_packed_queries *rows,
                 size_t i)
{
    return is_spherical(coarse) && is_zero(rows->raw.f32 + i * coarse->dim, coarse->dim);
}

static void
lookup_many(struct mpivf_coarse *coarse, struct lookup *lookup, struct mpivf_tile *tile, size_t n,
            size_t probes, uint32_t *list, double *distance)
{
    struct mpivf_topk *topk = &lookup->topk;
    struct mpivf_scan_of all = {.n = n};
    mpivf_topk_reset(topk);
    mpivf_nearest_scan(&lookup->queries, &all, &coarse->packed, topk, tile, lookup->pending);
    for (size_t i = 0; i < n; i++) {
        struct mpivf_candidate *entry = topk->entry + i * topk->room;
        mpivf_topk_settle(topk, i);
        mpivf_topk_sort(entry, probes);
        bool any = has_no_direction(coarse, &lookup->queries, i);
        for (size_t p = 0; p < probes; p++) {
            list[i * probes + p] = any ? (uint32_t)p : (uint32_t)entry[p].id;
            if (distance)
                distance[i * probes + p] = any ? 1 : entry[p].distance;
        }
    }
}

/* Room for a thread to look for the nearest list of a batch, of which nothing is known. */
static struct mpivf_best
nothing_known(const struct mpivf_coarse *coarse, size_t n, uint32_t *list)
{
    struct mpivf_best best = {coarse->interval + (size_t)omp_get_thread_num() * BATCH, list};
    for (size_t i = 0; i < n; i++)
        best.interval[i] = (struct mpivf_interval){-INFINITY, INFINITY, false};
    return best;
}

/*
 * A row that has no direction stays where it is, in the first list if it is in none: comparing it
 * with each of the others would tell only how their lengths are rounded.
 */
static bool
settle_zero(const struct mpivf_coarse *coarse, const struct mpivf_packed_queries *rows, size_t i,
            uint32_t *list, struct mpivf_interval *interval)
{
    if (!has_no_direction(coarse, rows, i))
        return false;
    if (*list == MPIVF_COARSE_NONE)
        *list = 0;
    *interval = (struct mpivf_interval){NOTHING, NOTHING, true};
    return true;
}

static void
lookup_one(struct mpivf_coarse *coarse, const struct mpivf_packed_queries *queries,
           struct mpivf_tile *tile, size_t n, uint32_t *list)
{
    struct mpivf_best best = nothing_known(coarse, n, list);
    struct mpivf_scan_of all = {.n = n};
    for (size_t i = 0; i < n; i++) {
        list[i] = MPIVF_COARSE_NONE;
        (void)settle_zero(coarse, queries, i, &list[i], &best.interval[i]);
    }
    mpivf_nearest_one(queries, &all, &coarse->packed, &best, tile);
}

mpivf_status
mpivf_coarse_probe(struct mpivf_coarse *coarse, const float *row, size_t n, size_t probes,
                   uint32_t *list, double *distance)
{
    assert(probes > 0 && probes <= coarse->lists);
    bool many = probes > 1 || distance; /* distances are canonical */
    size_t max = batch_rows(coarse->metric, coarse->dim, probes);
    size_t batch = n / (size_t)coarse->threads + 1;
    batch = batch < max ? batch : max; /* work for every thread */
    struct mpivf_pool pool = mpivf_pool_taking(coarse->ctx, "the rows looked up");
    struct lookup *lookup = lay_out_lookups(coarse, &pool, batch, many ? probes : 0);
    mpivf_status status = mpivf_pool_status(&pool);
    if (status == MPIVF_OK) {
#pragma omp parallel for num_threads(coarse->threads) schedule(dynamic)
        for (size_t first = 0; first < n; first += batch) {
            int t = omp_get_thread_num();
            size_t rows = n - first < batch ? n - first : batch;
            uint32_t *to = list + first * probes;
            double *far = distance ? distance + first * probes : NULL;
            lookup_fill(coarse, &lookup[t], row + first * coarse->dim, rows);
            if (many)
                lookup_many(coarse, &lookup[t], &coarse->tile[t], rows, probes, to, far);
            else
                lookup_one(coarse, &lookup[t].queries, &coarse->tile[t], rows, to);
        }
    }
    mpivf_pool_clear(&pool);
    return status;
}

mpivf_status
mpivf_coarse_assign(struct mpivf_coarse *coarse, const float *row, size_t n, uint32_t *list)
{
    return mpivf_coarse_probe(coarse, row, n, 1, list, NULL);
}

/* ---- rows that are prepared and have a list ---- */

mpivf_status
mpivf_coarse_prepare(struct mpivf_context *ctx, struct mpivf_packed_queries *rows, size_t dim,
                     size_t capacity)
{
    return mpivf_packed_queries_init(ctx, rows, MPIVF_L2, mpivf_filter_best(dim), dim, capacity);
}

void
mpivf_coarse_reassign(struct mpivf_coarse *coarse, const struct mpivf_packed_queries *rows,
                      uint32_t *list)
{
    size_t dim = coarse->dim;
    assert(coarse->packed.first == NULL);
#pragma omp parallel for num_threads(coarse->threads) schedule(dynamic)
    for (size_t first = 0; first < rows->rows; first += BATCH) {
        size_t left = rows->rows - first;
        struct mpivf_scan_of batch = {.first = first, .n = left < BATCH ? left : BATCH};
        struct mpivf_best best = nothing_known(coarse, batch.n, list);
        for (size_t i = first; i < first + batch.n;
             i++) /* lists that are farther than this are out */
            if (!settle_zero(coarse, rows, i, &list[i], &best.interval[i - first]) &&
                list[i] != MPIVF_COARSE_NONE)
                best.interval[i - first] = mpivf_nearest_interval(
                    rows->raw.f32 + i * dim, coarse->centroid + list[i] * dim, dim);
        mpivf_nearest_one(rows, &batch, &coarse->packed, &best,
                          &coarse->tile[omp_get_thread_num()]);
    }
}

static struct mpivf_packed_rows *
lay_out_subsets(const struct mpivf_coarse *coarse, struct mpivf_pool *pool)
{
    size_t threads = (size_t)coarse->threads, dim = coarse->dim;
    struct mpivf_packed_rows counted, *subset = mpivf_pool_take(pool, threads, sizeof *subset);
    for (size_t t = 0; t < threads; t++)
        mpivf_packed_rows_lay_out(subset ? &subset[t] : &counted, pool, MPIVF_L2,
                                  mpivf_filter_best(dim), dim, SUBSET, NULL, coarse->threads);
    return subset;
}

mpivf_status
mpivf_coarse_subsets_init(struct mpivf_coarse *coarse)
{
    coarse->subset_pool = mpivf_pool_taking(coarse->ctx, "candidates");
    coarse->subset = lay_out_subsets(coarse, &coarse->subset_pool);
    return mpivf_pool_status(&coarse->subset_pool);
}

size_t
mpivf_coarse_subsets_bytes(size_t dim, int threads)
{
    struct mpivf_coarse coarse = {.dim = dim, .threads = threads};
    struct mpivf_pool pool = mpivf_pool_counting();
    (void)lay_out_subsets(&coarse, &pool);
    return pool.bytes;
}

void
mpivf_coarse_subsets_clear(struct mpivf_coarse *coarse)
{
    mpivf_pool_clear(&coarse->subset_pool);
    coarse->subset = NULL;
}

/* At most BATCH rows of one group against its candidates, SUBSET of them at a time. */
static void
reassign_group(struct mpivf_coarse *coarse, const uint32_t *candidate, size_t candidates,
               const struct mpivf_packed_queries *rows, const struct mpivf_scan_of *group,
               uint32_t *list)
{
    int thread = omp_get_thread_num();
    struct mpivf_packed_rows *subset = &coarse->subset[thread];
    struct mpivf_best best = nothing_known(coarse, group->n, list);
    for (size_t i = 0; i < group->n; i++)
        (void)settle_zero(coarse, rows, group->subset[i], &list[group->subset[i]],
                          &best.interval[i]);
    for (size_t at = 0; at < candidates; at += SUBSET) {
        size_t n = candidates - at < SUBSET ? candidates - at : SUBSET;
        mpivf_packed_rows_subset(subset, &coarse->packed, candidate + at, n);
        mpivf_nearest_one(rows, group, subset, &best, &coarse->tile[thread]);
    }
}

/* The group that has place `at` of the order. */
static size_t
group_at(const uint64_t *start, size_t groups, uint64_t at)
{
    size_t low = 0, high = groups; /* start[low] <= at < start[high] */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (start[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void
mpivf_coarse_reassign_among(struct mpivf_coarse *coarse, const struct mpivf_candidates *candidates,
                            const struct mpivf_packed_queries *rows, const uint32_t *order,
                            const uint64_t *start, uint32_t *list)
{
    uint64_t n = start[candidates->groups];
#pragma omp parallel for num_threads(coarse->threads) schedule(dynamic)
    for (uint64_t first = 0; first < n; first += BATCH) { /* groups may be of any size */
        uint64_t end = n - first < BATCH ? n : first + BATCH, at = first;
        for (size_t g = group_at(start, candidates->groups, at); at < end; g++) {
            uint64_t stop = start[g + 1] < end ? start[g + 1] : end;
            struct mpivf_scan_of group = {.subset = order + at, .n = stop - at};
            if (group.n > 0)
                reassign_group(coarse, candidates->list + candidates->start[g],
                               candidates->start[g + 1] - candidates->start[g], rows, &group, list);
            at = stop;
        }
    }
}

uint64_t
mpivf_coarse_fingerprint(const struct mpivf_coarse *coarse)
{
    uint64_t parts[4] = {
        (uint64_t)coarse->metric, coarse->lists, coarse->dim,
        mpivf_checksum_of(coarse->centroid, coarse->lists * coarse->dim * sizeof(float))};
    return mpivf_checksum_of(parts, sizeof parts);
}
