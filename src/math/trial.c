#include "math/trial.h"

#include "math/blas.h"
#include "math/peak.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static const float NOTHING = -3e38f; /* a limit that no row is below */

enum { TIMES = 4 }; /* the best of so many: others may have the processor for a while */

enum { PRODUCTS = 1024 }; /* rows that sgemm is timed with */

/* Bytes of words that others are timed with. */
static size_t
cached(void)
{
    return mpivf_kernel_cache() / 4;
}

static void
lay_out(struct mpivf_trial *s, struct mpivf_pool *pool)
{
    size_t padded = mpivf_whole_panels(s->rows) * MPIVF_PANEL;
    s->limit = mpivf_pool_take(pool, MPIVF_TRIAL_LEVELS * s->queries, sizeof *s->limit);
    s->all = mpivf_pool_take(pool, s->rows, sizeof *s->all);
    s->survivor = mpivf_pool_take(pool, padded, sizeof *s->survivor);
    s->value = mpivf_pool_take(pool, padded, sizeof *s->value);
    s->product = mpivf_pool_take(pool, s->queries * PRODUCTS, sizeof *s->product);
}

static void
lay_out_sides(struct mpivf_sides *sides, struct mpivf_pool *pool, enum mpivf_metric metric,
              const struct mpivf_filter *filter, size_t dim, size_t queries, size_t rows,
              const struct mpivf_first *first, int threads)
{
    mpivf_packed_queries_lay_out(&sides->queries, pool, metric, filter, dim, queries, first,
                                 threads);
    mpivf_packed_rows_lay_out(&sides->rows, pool, metric, filter, dim, rows, first, threads);
}

size_t
mpivf_trial_sides_bytes(size_t dim, size_t rows, int threads)
{
    size_t max = 0, queries = MPIVF_CHOOSE_QUERIES;
    struct mpivf_projection most = {.dim = dim, .axes = mpivf_projection_most(dim)};
    for (int f = 0; f < MPIVF_FILTERS; f++) {
        const struct mpivf_filter *filter = mpivf_filter(f);
        struct mpivf_first first = {filter, most};
        struct mpivf_sides sides;
        struct mpivf_pool pool = mpivf_pool_counting();
        bool looks = filter->round && most.axes > 0;
        lay_out_sides(&sides, &pool, MPIVF_L2, filter, dim, queries, rows, looks ? &first : NULL,
                      threads);
        max = pool.bytes > max ? pool.bytes : max;
    }
    return max;
}

/* Time canonical distances to rows that lie apart, as those do that a filter leaves. */
static void
time_canonical(struct mpivf_trial *s)
{
    enum { EACH = 64 };
    const struct mpivf_choose *of = s->of;
    struct mpivf_raw query = of->query;
    double square = mpivf_raw_square(query, of->dim), sum = 0;
    size_t step = of->present / (TIMES * EACH) + 1;
    s->canonical = INFINITY;
    for (size_t t = 0; t < TIMES; t++) {
        double start = mpivf_peak_seconds();
        for (size_t i = 0; i < EACH; i++)
            sum += mpivf_raw_distance(
                of->metric, query, square,
                mpivf_raw_at(of->row, (t * EACH + i) * step % of->present * of->dim), of->dim);
        double one = (mpivf_peak_seconds() - start) / EACH;
        s->canonical = one < s->canonical ? one : s->canonical;
    }
    s->all[0].distance = sum; /* so that nothing is left out */
}

/*
 * The exact k-th distances, and those of four times as many each; k shrinks with the sample, so
 * that the tail looks like the whole's.
 */
static void
find_limits(struct mpivf_trial *s)
{
    const struct mpivf_choose *of = s->of;
    struct mpivf_candidate *all = s->all;
    for (size_t q = 0; q < s->queries; q++) {
        struct mpivf_raw query = mpivf_raw_at(of->query, q * of->dim);
        double square = mpivf_raw_square(query, of->dim);
        for (size_t i = 0; i < s->rows; i++)
            all[i] = (struct mpivf_candidate){mpivf_raw_distance(of->metric, query, square,
                                                                 mpivf_raw_at(of->row, i * of->dim),
                                                                 of->dim),
                                              (int64_t)i};
        size_t left = s->rows;
        for (size_t level = MPIVF_TRIAL_LEVELS; level-- > 0;) {
            size_t k = s->k << 2 * level;
            double *limit = &s->limit[level * s->queries + q];
            *limit = k > s->rows ? INFINITY : -INFINITY;
            if (k > s->rows)
                continue;
            mpivf_topk_select(all, left, k);
            for (size_t i = 0; i < k; i++)
                *limit = all[i].distance > *limit ? all[i].distance : *limit;
            left = k;
        }
    }
}

/* What is looked at of so many. */
static struct mpivf_trial
trial_of(size_t queries, size_t rows)
{
    struct mpivf_trial s = {.queries = queries, .rows = rows};
    s.queries = queries < MPIVF_CHOOSE_QUERIES ? queries : MPIVF_CHOOSE_QUERIES;
    s.rows = rows < MPIVF_CHOOSE_ROWS ? rows : MPIVF_CHOOSE_ROWS;
    return s;
}

size_t
mpivf_trial_bytes(size_t rows)
{
    struct mpivf_trial s = trial_of(MPIVF_CHOOSE_QUERIES, rows);
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(&s, &pool);
    return pool.bytes;
}

mpivf_status
mpivf_trial_init(struct mpivf_context *ctx, struct mpivf_trial *s, const struct mpivf_choose *of)
{
    *s = trial_of(of->queries, of->rows);
    s->ctx = ctx;
    s->of = of;
    double share = (double)of->k * (double)s->rows / (double)of->total_rows;
    s->k = share < 1 ? 1 : share >= (double)s->rows ? s->rows : (size_t)share;
    s->pool = mpivf_pool_taking(ctx, "a sample of rows");
    lay_out(s, &s->pool);
    if (!s->pool.failed) {
        find_limits(s);
        time_canonical(s);
    }
    return mpivf_pool_status(&s->pool);
}

void
mpivf_trial_clear(struct mpivf_trial *s)
{
    mpivf_pool_clear(&s->pool);
}

/* How many pairs are left at the limits of a level. */
double
mpivf_trial_left(struct mpivf_trial *s, const struct mpivf_packed_queries *queries,
                 const struct mpivf_packed_rows *packed, size_t level)
{
    struct mpivf_panels panels = mpivf_prepare_panels(packed, 0, mpivf_whole_panels(s->rows));
    size_t left = 0;
    for (size_t q = 0; q < s->queries; q++) {
        struct mpivf_group group = {.n = 1};
        for (size_t i = 0; i < MPIVF_GROUP; i++)
            mpivf_prepare_group(queries, q, s->limit[level * s->queries + q], &group, i);
        group.survivor[0] = s->survivor;
        group.value[0] = s->value;
        mpivf_filter_compare(packed->filter)(&panels, &group);
        left += group.survivors[0];
    }
    return (double)left;
}

/* Products of sgemm, and their bounds: nothing is below the limit. */
static void
compare_products(struct mpivf_trial *s, const struct mpivf_packed_queries *packed,
                 const struct mpivf_packed_rows *base, size_t rows)
{
    mpivf_blas_products((float *)(void *)packed->word, s->queries, (float *)(void *)base->word,
                        rows, s->of->dim, s->product, PRODUCTS);
    for (size_t q = 0; q < s->queries; q++)
        (void)mpivf_kernel()->filter(s->product + q * PRODUCTS, base->term, base->norm, rows, 2, 0,
                                     NOTHING, s->survivor);
}

/* Time the loops of a filter, or sgemm, on rows that stay in the second-level cache. */
double
mpivf_trial_pair(struct mpivf_trial *s, const struct mpivf_packed_queries *packed,
                 const struct mpivf_packed_rows *base)
{
    mpivf_compare compare = mpivf_filter_compare(base->filter);
    size_t fit = cached() / (base->steps * 4) / MPIVF_PANEL * MPIVF_PANEL;
    size_t rows = compare ? (fit > MPIVF_PANEL ? fit : MPIVF_PANEL) : PRODUCTS;
    rows = rows < s->rows ? rows : s->rows;
    size_t queries = compare ? MPIVF_GROUP : s->queries;
    struct mpivf_panels panels = mpivf_prepare_panels(base, 0, mpivf_whole_panels(rows));
    struct mpivf_group group = {.n = MPIVF_GROUP};
    double best = INFINITY;
    for (size_t i = 0; i < MPIVF_GROUP; i++) {
        mpivf_prepare_group(packed, i % s->queries, (double)NOTHING, &group, i);
        group.survivor[i] = s->survivor; /* of what has no bounds */
        group.value[i] = s->value;
    }
    for (int t = 0; t < TIMES; t++) {
        double start = mpivf_peak_seconds();
        memset(group.survivors, 0, sizeof group.survivors);
        if (compare)
            compare(&panels, &group);
        else
            compare_products(s, packed, base, rows);
        double all = mpivf_peak_seconds() - start;
        best = all < best ? all : best;
    }
    return best / (double)(rows * queries);
}

/* Take both sides, and fill them; seconds a row. */
double
mpivf_trial_pack(struct mpivf_trial *s, struct mpivf_sides *sides, struct mpivf_pool *pool,
                 const struct mpivf_filter *filter, const struct mpivf_first *first)
{
    const struct mpivf_choose *of = s->of;
    lay_out_sides(sides, pool, of->metric, filter, of->dim, s->queries, s->rows, first, 1);
    if (pool->failed)
        return 0;
    mpivf_packed_queries_fill_raw(&sides->queries, of->query, s->queries, of->centre);
    double start = mpivf_peak_seconds();
    mpivf_packed_rows_fill_raw(&sides->rows, of->row, s->rows, of->centre, NULL, 0);
    return (mpivf_peak_seconds() - start) / (double)s->rows;
}

/* Time the pairs of one query, whose rows stay in the second-level cache. */
double
mpivf_trial_refine(struct mpivf_trial *s, const struct mpivf_sides *sides)
{
    const struct mpivf_packed_rows *packed = &sides->rows;
    size_t rows = cached() / (packed->steps * 4);
    struct mpivf_panels panels = mpivf_prepare_panels(packed, 0, 1);
    struct mpivf_group group = {.survivor = {s->survivor}, .value = {s->value}};
    double best = INFINITY;
    rows = rows < 1 ? 1 : rows < s->rows ? rows : s->rows;
    mpivf_prepare_group(&sides->queries, 0, (double)NOTHING, &group, 0);
    for (int t = 0; t < TIMES; t++) {
        for (size_t i = 0; i < rows; i++)
            s->survivor[i] = (uint32_t)i;
        group.survivors[0] = rows;
        double start = mpivf_peak_seconds();
        packed->filter->refine(mpivf_kernel())(&panels, &group, 0);
        double all = mpivf_peak_seconds() - start;
        best = all < best ? all : best;
    }
    return best / (double)rows;
}
