#include "math/choose.h"

#include "math/blas.h"
#include "math/topk.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* Seconds that it takes to hold a row: little, and of no use to be measured. */
static const double HELD = 20e-9;

static const float NOTHING = -3e38f; /* a limit that no row is below */

enum { TIMES = 4 }; /* the best of so many: others may have the processor for a while */

enum { PEAK_ROWS = 4 * MPIVF_PANEL, PEAK_DIM = 4096 };

static double
seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

enum { PRODUCTS = 1024, CACHED = 256 << 10 }; /* rows that sgemm is timed with, others' bytes */

/* The sample at work. */
struct sample {
    struct mpivf_context *ctx;
    const struct mpivf_choose *of;
    size_t queries, rows, k;
    double canonical;              /* seconds of a canonical distance */
    struct mpivf_candidate *limit; /* owned, [queries]: the k-th distance */
    struct mpivf_candidate *all;   /* owned, [rows] */
    uint32_t *survivor;            /* owned, [rows], whole panels */
    float *value;                  /* owned, the same */
    float *product;                /* owned, [queries, PRODUCTS], of sgemm */
};

static void
lay_out(struct sample *s, struct mpivf_pool *pool)
{
    size_t padded = (s->rows + MPIVF_PANEL - 1) / MPIVF_PANEL * MPIVF_PANEL;
    s->limit = mpivf_pool_take(pool, s->queries, sizeof *s->limit);
    s->all = mpivf_pool_take(pool, s->rows, sizeof *s->all);
    s->survivor = mpivf_pool_take(pool, padded, sizeof *s->survivor);
    s->value = mpivf_pool_take(pool, padded, sizeof *s->value);
    s->product = mpivf_pool_take(pool, s->queries * PRODUCTS, sizeof *s->product);
}

/* Both sides of a comparison, in the words of one filter. */
struct sides {
    struct mpivf_packed_queries queries;
    struct mpivf_packed_rows rows;
};

static void
lay_out_sides(struct sides *sides, struct mpivf_pool *pool, enum mpivf_metric metric,
              const struct mpivf_filter *filter, size_t dim, size_t queries, size_t rows,
              int threads)
{
    mpivf_packed_queries_lay_out(&sides->queries, pool, metric, filter, dim, queries, threads);
    mpivf_packed_rows_lay_out(&sides->rows, pool, metric, filter, dim, rows, threads);
}

/* Of the filter that takes most. */
static size_t
sides_bytes(size_t dim, size_t queries, size_t rows, int threads)
{
    size_t max = 0;
    for (int f = 0; f < MPIVF_FILTERS; f++) {
        struct sides sides;
        struct mpivf_pool pool = mpivf_pool_counting();
        lay_out_sides(&sides, &pool, MPIVF_L2, mpivf_filter(f), dim, queries, rows, threads);
        max = pool.bytes > max ? pool.bytes : max;
    }
    return max;
}

/* Time canonical distances to rows that lie apart, as those do that a filter leaves. */
static void
time_canonical(struct sample *s)
{
    enum { EACH = 64 };
    const struct mpivf_choose *of = s->of;
    struct mpivf_raw query = of->query;
    double square = mpivf_raw_square(query, of->dim), sum = 0;
    size_t step = of->present / (TIMES * EACH) + 1;
    s->canonical = INFINITY;
    for (size_t t = 0; t < TIMES; t++) {
        double start = seconds();
        for (size_t i = 0; i < EACH; i++)
            sum += mpivf_raw_distance(
                of->metric, query, square,
                mpivf_raw_at(of->row, (t * EACH + i) * step % of->present * of->dim), of->dim);
        double one = (seconds() - start) / EACH;
        s->canonical = one < s->canonical ? one : s->canonical;
    }
    s->all[0].distance = sum; /* so that nothing is left out */
}

/* The exact k-th distances; k shrinks with the sample, so that the tail looks like the whole's. */
static void
find_limits(struct sample *s)
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
        mpivf_topk_select(all, s->rows, s->k);
        s->limit[q] = all[0];
        for (size_t i = 1; i < s->k; i++)
            if (all[i].distance > s->limit[q].distance)
                s->limit[q] = all[i];
    }
}

/* What a filter costs and leaves. */
struct cost {
    double pack, pair; /* seconds of one thread for a row, and for a row and a query */
    double survivors;  /* for each neighbour wanted */
};

/* How many pairs a filter leaves for each neighbour wanted, at the true limit of each query. */
static double
count_survivors(struct sample *s, const struct sides *sides)
{
    struct mpivf_panels panels =
        mpivf_prepare_panels(&sides->rows, 0, (s->rows + MPIVF_PANEL - 1) / MPIVF_PANEL);
    size_t left = 0;
    for (size_t q = 0; q < s->queries; q++) {
        struct mpivf_group group = {.n = 1};
        for (size_t i = 0; i < MPIVF_GROUP; i++)
            mpivf_prepare_group(&sides->queries, q, s->limit[q].distance, &group, i);
        group.survivor[0] = s->survivor;
        group.value[0] = s->value;
        mpivf_filter_compare(sides->rows.filter)(&panels, &group);
        left += group.survivors[0];
    }
    return (double)left / (double)(s->queries * s->k);
}

/* Products of sgemm, and their bounds: nothing is below the limit. */
static void
compare_products(struct sample *s, const struct sides *sides, size_t rows)
{
    const struct mpivf_packed_rows *packed = &sides->rows;
    mpivf_blas_products((float *)(void *)sides->queries.word, s->queries,
                        (float *)(void *)packed->word, rows, s->of->dim, s->product, PRODUCTS);
    for (size_t q = 0; q < s->queries; q++)
        (void)mpivf_kernel()->filter(s->product + q * PRODUCTS, packed->term, packed->norm, rows, 2,
                                     0, NOTHING, s->survivor);
}

/* Time the loops of a filter, or sgemm, on rows that stay in the second-level cache. */
static double
time_pair(struct sample *s, const struct sides *sides)
{
    mpivf_compare compare = mpivf_filter_compare(sides->rows.filter);
    size_t fit = CACHED / (sides->rows.steps * 4) / MPIVF_PANEL * MPIVF_PANEL;
    size_t rows = compare ? (fit > MPIVF_PANEL ? fit : MPIVF_PANEL) : PRODUCTS;
    rows = rows < s->rows ? rows : s->rows;
    size_t queries = compare ? MPIVF_GROUP : s->queries;
    struct mpivf_panels panels =
        mpivf_prepare_panels(&sides->rows, 0, (rows + MPIVF_PANEL - 1) / MPIVF_PANEL);
    struct mpivf_group group = {.n = MPIVF_GROUP};
    double best = INFINITY;
    for (size_t i = 0; i < MPIVF_GROUP; i++) {
        mpivf_prepare_group(&sides->queries, i % s->queries, (double)NOTHING, &group, i);
        group.survivor[i] = s->survivor; /* of what has no bounds */
        group.value[i] = s->value;
    }
    for (int t = 0; t < TIMES; t++) {
        double start = seconds();
        memset(group.survivors, 0, sizeof group.survivors);
        if (compare)
            compare(&panels, &group);
        else
            compare_products(s, sides, rows);
        double all = seconds() - start;
        best = all < best ? all : best;
    }
    return best / (double)(rows * queries);
}

/* Pack the sample in the words of a filter, and look. Without loops it leaves what another does. */
static mpivf_status
try_filter(struct sample *s, const struct mpivf_filter *filter, struct cost *cost)
{
    const struct mpivf_choose *of = s->of;
    struct sides sides;
    struct mpivf_pool pool = mpivf_pool_taking(s->ctx, "a sample of rows");
    lay_out_sides(&sides, &pool, of->metric, filter, of->dim, s->queries, s->rows, 1);
    if (!pool.failed) {
        mpivf_packed_queries_fill_raw(&sides.queries, of->query, s->queries, of->centre);
        double start = seconds();
        mpivf_packed_rows_fill_raw(&sides.rows, of->row, s->rows, of->centre, NULL, 0);
        cost->pack = (seconds() - start) / (double)s->rows;
        cost->pair = time_pair(s, &sides);
        if (filter->alike == filter)
            cost->survivors = count_survivors(s, &sides);
    }
    mpivf_status status = mpivf_pool_status(&pool);
    mpivf_pool_clear(&pool);
    return status;
}

/* Seconds of one thread that a query costs. */
static double
cost_of(const struct sample *s, const struct cost *cost)
{
    const struct mpivf_choose *of = s->of;
    double rows = (double)of->total_rows, left = (double)of->k * cost->survivors;
    double slabs = of->slab < of->total_rows ? rows / (double)of->slab : 1;
    double held = left < rows ? left * (1 + log(rows / left)) : rows;
    double computed = left * (1 + log(slabs)) < held ? left * (1 + log(slabs)) : held;
    return rows * (cost->pair + cost->pack / (double)of->total_queries) + held * HELD +
           computed * s->canonical;
}

static mpivf_status
choose_from(struct sample *s, const struct mpivf_filter **choice)
{
    struct cost cost[MPIVF_FILTERS] = {{0}};
    double best = INFINITY;
    mpivf_status status = MPIVF_OK;
    find_limits(s);
    time_canonical(s);
    for (int f = 0; f < MPIVF_FILTERS && status == MPIVF_OK; f++) {
        const struct mpivf_filter *filter = mpivf_filter(f);
        if (!mpivf_filter_runs(filter, s->of->dim))
            continue;
        status = try_filter(s, filter, &cost[f]);
        cost[f].survivors = cost[filter->alike - mpivf_filter(0)].survivors; /* which was before */
        double all = cost_of(s, &cost[f]);
        if (status == MPIVF_OK && all < best) {
            best = all;
            *choice = filter;
        }
    }
    return status;
}

/* Without integers there is one bound, and nothing to be counted. */
static bool
has_choice(size_t dim)
{
    for (int f = 0; f < MPIVF_FILTERS; f++)
        if (mpivf_filter(f)->round && mpivf_filter_runs(mpivf_filter(f), dim))
            return true;
    return false;
}

/* What is looked at of so many. */
static struct sample
sample_of(size_t queries, size_t rows)
{
    return (struct sample){.queries =
                               queries < MPIVF_CHOOSE_QUERIES ? queries : MPIVF_CHOOSE_QUERIES,
                           .rows = rows < MPIVF_CHOOSE_ROWS ? rows : MPIVF_CHOOSE_ROWS};
}

size_t
mpivf_filter_choose_bytes(size_t dim, size_t rows, int threads)
{
    struct sample s = sample_of(MPIVF_CHOOSE_QUERIES, rows);
    struct mpivf_pool pool = mpivf_pool_counting();
    if (!has_choice(dim) || s.rows == 0)
        return 0;
    lay_out(&s, &pool);
    return pool.bytes + sides_bytes(dim, s.queries, s.rows, threads);
}

mpivf_status
mpivf_filter_choose(struct mpivf_context *ctx, const struct mpivf_choose *choose,
                    const struct mpivf_filter **choice)
{
    struct sample s = sample_of(choose->queries, choose->rows);
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "a sample of rows");
    s.ctx = ctx;
    s.of = choose;
    *choice = mpivf_filter_best(choose->dim);
    if (s.queries == 0 || s.rows == 0 || !has_choice(choose->dim) ||
        mpivf_filter_forced(choose->dim))
        return MPIVF_OK;
    double share = (double)choose->k * (double)s.rows / (double)choose->total_rows;
    s.k = share < 1 ? 1 : share >= (double)s.rows ? s.rows : (size_t)share;
    lay_out(&s, &pool);
    mpivf_status status = pool.failed ? MPIVF_MEMORY : choose_from(&s, choice);
    mpivf_pool_clear(&pool);
    return status;
}

/* Best operations a second of several short runs: others may have the processor for a while. */
static double
measure(const struct mpivf_packed_queries *queries, const struct mpivf_packed_rows *packed,
        float *product)
{
    static const double LONG_ENOUGH = 0.01;
    enum { RUNS = 8 };
    struct mpivf_panels panels = mpivf_prepare_panels(packed, 0, packed->rows / MPIVF_PANEL);
    struct mpivf_group group = {.n = MPIVF_GROUP};
    mpivf_compare compare = mpivf_filter_compare(packed->filter);
    double best = 0, start = seconds(), now = start, last = start;
    for (size_t i = 0; i < MPIVF_GROUP; i++)
        mpivf_prepare_group(queries, i, -1, &group, i); /* nothing is that near */
    while (now - start < LONG_ENOUGH) {
        for (int i = 0; i < RUNS; i++) {
            if (compare)
                compare(&panels, &group);
            else
                mpivf_blas_products((float *)(void *)queries->word, MPIVF_GROUP,
                                    (float *)(void *)packed->word, packed->rows, packed->dim,
                                    product, packed->rows);
        }
        now = seconds();
        double rate =
            RUNS * 2.0 * MPIVF_GROUP * (double)(packed->rows * packed->dim) / (now - last);
        best = rate > best ? rate : best;
        last = now;
    }
    return best;
}

/* The rate of wider rows is that of so wide ones. */
static size_t
peak_dim(size_t dim)
{
    return dim < PEAK_DIM ? dim : PEAK_DIM;
}

/* Rows of zeros, and the products of sgemm. */
struct peak {
    struct sides sides;
    float *row;     /* [PEAK_ROWS, dim] */
    float *product; /* [MPIVF_GROUP, PEAK_ROWS] */
};

static void
lay_out_peak(struct peak *peak, struct mpivf_pool *pool, const struct mpivf_filter *filter,
             size_t dim, int threads)
{
    peak->row = mpivf_pool_take(pool, PEAK_ROWS * dim, sizeof *peak->row);
    peak->product = mpivf_pool_take(pool, MPIVF_GROUP * PEAK_ROWS, sizeof *peak->product);
    lay_out_sides(&peak->sides, pool, MPIVF_L2, filter, dim, MPIVF_GROUP, PEAK_ROWS, threads);
}

size_t
mpivf_filter_peak_bytes(size_t dim, int threads)
{
    size_t max = 0;
    for (int f = 0; f < MPIVF_FILTERS; f++) {
        struct peak peak;
        struct mpivf_pool pool = mpivf_pool_counting();
        lay_out_peak(&peak, &pool, mpivf_filter(f), peak_dim(dim), threads);
        max = pool.bytes > max ? pool.bytes : max;
    }
    return max;
}

mpivf_status
mpivf_filter_peak(struct mpivf_context *ctx, const struct mpivf_filter *filter, size_t dim,
                  double *rate)
{
    struct peak peak;
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "a rate");
    size_t wide = peak_dim(dim);
    lay_out_peak(&peak, &pool, filter, wide, ctx->threads);
    if (!pool.failed) {
        memset(peak.row, 0, PEAK_ROWS * wide * sizeof *peak.row);
        mpivf_packed_rows_fill(&peak.sides.rows, peak.row, PEAK_ROWS, peak.row, NULL, 0);
        mpivf_packed_queries_fill(&peak.sides.queries, peak.row, MPIVF_GROUP, peak.row);
        *rate = measure(&peak.sides.queries, &peak.sides.rows, peak.product);
    }
    mpivf_status status = mpivf_pool_status(&pool);
    mpivf_pool_clear(&pool);
    return status;
}
