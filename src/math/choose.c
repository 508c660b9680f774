#include "math/choose.h"

#include "math/blas.h"
#include "math/topk.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* Costs measured with tests/bench, in multiply-adds of int8 for each of a row's values. */
static const double CANONICAL = 50, CANONICAL_CALL = 4000;

enum { PEAK_ROWS = 4 * MPIVF_PANEL, PEAK_DIM = 4096 };

/* The sample at work. */
struct sample {
    struct mpivf_context *ctx;
    const struct mpivf_choose *of;
    size_t queries, rows, k;
    struct mpivf_candidate *limit; /* owned, [queries]: the k-th distance */
    uint32_t *survivor;            /* owned, [rows] */
    float *value;                  /* owned, [rows] */
};

/* The exact k-th distances; k shrinks with the sample, so that the tail looks like the whole's. */
static mpivf_status
find_limits(struct sample *s)
{
    const struct mpivf_choose *of = s->of;
    struct mpivf_candidate *all = mpivf_alloc(s->ctx, "a sample of rows", s->rows, sizeof *all);
    if (all == NULL)
        return MPIVF_MEMORY;
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
    mpivf_free(s->ctx, all);
    return MPIVF_OK;
}

/* How many pairs a filter leaves for each neighbour wanted. Its bounds decide, not its loops. */
static mpivf_status
count_survivors(struct sample *s, const struct mpivf_filter *filter, double *survivors)
{
    const struct mpivf_choose *of = s->of;
    struct mpivf_packed_queries queries;
    struct mpivf_packed_rows packed;
    filter = filter->alike;
    mpivf_compare compare = mpivf_filter_compare(filter);
    mpivf_status status =
        mpivf_packed_queries_init(s->ctx, &queries, of->metric, filter, of->dim, s->queries);
    mpivf_status more =
        mpivf_packed_rows_init(s->ctx, &packed, of->metric, filter, of->dim, s->rows);
    status = status ? status : more;
    size_t left = 0;
    if (status == MPIVF_OK) {
        mpivf_packed_queries_fill_raw(&queries, of->query, s->queries, of->centre);
        mpivf_packed_rows_fill_raw(&packed, of->row, s->rows, of->centre, NULL, 0);
        struct mpivf_panels panels = {packed.word,     packed.term,
                                      packed.scale,    packed.norm,
                                      packed.residual, (s->rows + MPIVF_PANEL - 1) / MPIVF_PANEL,
                                      packed.steps};
        /* at the true limit of each query */
        for (size_t q = 0; q < s->queries; q++) {
            struct mpivf_group group = {.n = 1};
            for (size_t i = 0; i < MPIVF_GROUP; i++)
                mpivf_prepare_group(&queries, q, s->limit[q].distance, &group, i);
            group.survivor[0] = s->survivor;
            group.value[0] = s->value;
            compare(&panels, &group);
            left += group.survivors[0];
        }
    }
    mpivf_packed_queries_clear(&queries);
    mpivf_packed_rows_clear(&packed);
    *survivors = (double)left / (double)(s->queries * s->k);
    return status;
}

/* Multiply-adds of int8, over the dimension, that a query costs. */
static double
cost_of(const struct mpivf_choose *of, const struct mpivf_filter *filter, double survivors)
{
    double rows = (double)of->total_rows, left = (double)of->k * survivors;
    double computed = left >= rows ? rows : left * (1 + log(rows / left));
    return rows * (mpivf_filter_cost(filter) + filter->pack / (double)of->total_queries) +
           computed * (CANONICAL + CANONICAL_CALL / (double)of->dim);
}

static mpivf_status
choose_from(struct sample *s, struct mpivf_choice *choice)
{
    const struct mpivf_filter *forced = mpivf_filter_forced(s->of->dim);
    double best = INFINITY;
    mpivf_status status = find_limits(s);
    for (int f = 0; f < MPIVF_FILTERS && status == MPIVF_OK; f++) {
        const struct mpivf_filter *filter = mpivf_filter(f);
        double survivors;
        if (!mpivf_filter_runs(filter, s->of->dim) || (forced && filter != forced))
            continue;
        status = count_survivors(s, filter, &survivors);
        double cost = cost_of(s->of, filter, survivors);
        if (status == MPIVF_OK && cost < best) {
            best = cost;
            *choice = (struct mpivf_choice){filter, survivors};
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

size_t
mpivf_filter_choose_bytes(size_t dim, size_t rows, int threads)
{
    size_t n = rows < MPIVF_CHOOSE_ROWS ? rows : MPIVF_CHOOSE_ROWS;
    if (!has_choice(dim) || n == 0)
        return 0;
    size_t each = mpivf_prepare_row_bytes(dim) + sizeof(struct mpivf_candidate) + 2 * sizeof(float);
    return (n + MPIVF_PANEL) * each + MPIVF_CHOOSE_QUERIES * (each + sizeof(struct mpivf_bounds)) +
           mpivf_prepare_fixed_bytes(dim, threads) + 4096;
}

mpivf_status
mpivf_filter_choose(struct mpivf_context *ctx, const struct mpivf_choose *choose,
                    struct mpivf_choice *choice)
{
    struct sample s = {.ctx = ctx, .of = choose};
    *choice = (struct mpivf_choice){mpivf_filter_best(choose->dim), 0};
    s.queries = choose->queries < MPIVF_CHOOSE_QUERIES ? choose->queries : MPIVF_CHOOSE_QUERIES;
    s.rows = choose->rows < MPIVF_CHOOSE_ROWS ? choose->rows : MPIVF_CHOOSE_ROWS;
    if (s.queries == 0 || s.rows == 0 || !has_choice(choose->dim))
        return MPIVF_OK;
    double share = (double)choose->k * (double)s.rows / (double)choose->total_rows;
    s.k = share < 1 ? 1 : share >= (double)s.rows ? s.rows : (size_t)share;
    size_t padded = (s.rows + MPIVF_PANEL - 1) / MPIVF_PANEL * MPIVF_PANEL;
    s.limit = mpivf_alloc(ctx, "a sample of rows", s.queries, sizeof *s.limit);
    s.survivor = mpivf_alloc(ctx, "a sample of rows", padded, sizeof *s.survivor);
    s.value = mpivf_alloc(ctx, "a sample of rows", padded, sizeof *s.value);
    mpivf_status status = s.limit && s.survivor && s.value ? choose_from(&s, choice) : MPIVF_MEMORY;
    mpivf_free(ctx, s.limit);
    mpivf_free(ctx, s.survivor);
    mpivf_free(ctx, s.value);
    return status;
}

static double
seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Best operations a second of several short runs: others may have the processor for a while. */
static double
measure(const struct mpivf_packed_queries *queries, const struct mpivf_packed_rows *packed,
        float *product)
{
    static const double LONG_ENOUGH = 0.01;
    enum { TIMES = 8 };
    struct mpivf_panels panels = {packed->word, packed->term,     packed->scale,
                                  packed->norm, packed->residual, packed->rows / MPIVF_PANEL,
                                  packed->steps};
    struct mpivf_group group = {.n = MPIVF_GROUP};
    mpivf_compare compare = mpivf_filter_compare(packed->filter);
    double best = 0, start = seconds(), now = start, last = start;
    for (size_t i = 0; i < MPIVF_GROUP; i++)
        mpivf_prepare_group(queries, i, -1, &group, i); /* nothing is that near */
    while (now - start < LONG_ENOUGH) {
        for (int i = 0; i < TIMES; i++) {
            if (compare)
                compare(&panels, &group);
            else
                mpivf_blas_products((float *)(void *)queries->word, MPIVF_GROUP,
                                    (float *)(void *)packed->word, packed->rows, packed->dim,
                                    product, packed->rows);
        }
        now = seconds();
        double rate =
            TIMES * 2.0 * MPIVF_GROUP * (double)(packed->rows * packed->dim) / (now - last);
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

size_t
mpivf_filter_peak_bytes(size_t dim, int threads)
{
    size_t wide = peak_dim(dim), each = wide * sizeof(float) + mpivf_prepare_row_bytes(wide);
    return PEAK_ROWS * each + MPIVF_GROUP * (each + PEAK_ROWS * sizeof(float)) +
           mpivf_prepare_fixed_bytes(wide, threads) + 4096;
}

mpivf_status
mpivf_filter_peak(struct mpivf_context *ctx, const struct mpivf_filter *filter, size_t dim,
                  double *rate)
{
    struct mpivf_packed_rows packed;
    struct mpivf_packed_queries queries;
    size_t wide = peak_dim(dim);
    float *row = mpivf_alloc_zero(ctx, "a rate", PEAK_ROWS * wide, sizeof *row);
    float *product = mpivf_alloc(ctx, "a rate", MPIVF_GROUP * PEAK_ROWS, sizeof *product);
    mpivf_status status = mpivf_packed_rows_init(ctx, &packed, MPIVF_L2, filter, wide, PEAK_ROWS);
    mpivf_status more =
        mpivf_packed_queries_init(ctx, &queries, MPIVF_L2, filter, wide, MPIVF_GROUP);
    status = !row || !product ? MPIVF_MEMORY : status ? status : more;
    if (status == MPIVF_OK) {
        mpivf_packed_rows_fill(&packed, row, PEAK_ROWS, row, NULL, 0);
        mpivf_packed_queries_fill(&queries, row, MPIVF_GROUP, row);
        *rate = measure(&queries, &packed, product);
    }
    mpivf_packed_queries_clear(&queries);
    mpivf_packed_rows_clear(&packed);
    mpivf_free(ctx, row);
    mpivf_free(ctx, product);
    return status;
}
