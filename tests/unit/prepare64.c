/*
 * Float64 rows: the bounds against canonical distances of float64, pair by pair, on values that
 * float32 cannot hold, or cannot tell apart.
 */
#include "pair.h"

#include "math/centre.h"

#include <math.h>

static struct mpivf_context ctx;

/* offset + scale x normal, each row times 2 to a power from -spread to spread. */
struct kind {
    const char *name;
    double scale, offset;
    int list_sizes;
};

static const struct kind kinds[] = {
    {"gaussian", 1, 0, 0},
    {"near 1e8", 1e-3, 1e8, 0},
    {"near 1e15", 1e-2, 1e15, 0},
    {"all magnitudes of float32", 1, 0, 150},
    {"about its largest", 1e38, 0, 4},
    {"about 1e18", 3e18, 0, 2},
    {"about its smallest", 1e-38, 0, 12},
    {"below its smallest", 1e-44, 0, 8},
    {"far below", 1e-80, 0, 40},
    {"1e-150", 1e-150, 0, 8},
    {"1e-161", 1e-161, 0, 4}, /* whose squares are subnormal */
    {"1e-300", 1e-300, 0, 0},
    {"1e100", 1e100, 0, 20},
    {"the largest", 1e150, 0, 2},
    {"all magnitudes", 1, 0, 480},
    {"1e12 beside 1e-12", 1e-12, 1e12, 0},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void
fill(const struct kind *kind, double *x, size_t rows, size_t dim, uint64_t stream)
{
    for (size_t i = 0; i < rows; i++) {
        int power = kind->list_sizes
                        ? (int)(draw(stream + 1, i) % (2 * (uint64_t)kind->list_sizes + 1)) -
                              kind->list_sizes
                        : 0;
        for (size_t j = 0; j < dim; j++)
            x[i * dim + j] =
                kind->offset +
                ldexp(kind->scale * mpivf_random_normal(stream, MPIVF_FOR_NOISE, i * dim + j),
                      power);
        if (i % 13 == 12)
            memset(x + i * dim, 0, dim * sizeof *x);
        assert_true(mpivf_raw_good(mpivf_raw_of(true, x + i * dim), dim));
    }
}

static void
check_filter(const char *what, enum mpivf_metric metric, const struct mpivf_filter *filter,
             size_t dim, const double *query, const double *row, const double *centre,
             const double distance[QUERIES][ROWS])
{
    static struct pair_of pair;
    assert_ok(&ctx, mpivf_packed_queries_init(&ctx, &pair.queries, metric, filter, dim, QUERIES));
    assert_ok(&ctx, mpivf_packed_rows_init(&ctx, &pair.packed, metric, filter, dim, ROWS));
    struct mpivf_raw around = mpivf_raw_of(true, centre);
    mpivf_packed_queries_fill_raw(&pair.queries, mpivf_raw_of(true, query), QUERIES, around);
    mpivf_packed_rows_fill_raw(&pair.packed, mpivf_raw_of(true, row), ROWS, around, NULL, 0);
    check_pair(what, &pair, distance);
    mpivf_packed_rows_clear(&pair.packed);
    mpivf_packed_queries_clear(&pair.queries);
    check_firsts(&ctx, what, metric, dim, filter, mpivf_raw_of(true, query),
                 mpivf_raw_of(true, row), around, distance);
}

/* Queries of one kind, rows of another; some queries are rows, and nearly rows. */
static void
check(enum mpivf_metric metric, size_t dim, const struct kind *of, const struct kind *in,
      int centres, uint64_t stream)
{
    static double distance[QUERIES][ROWS];
    double *row = room(ROWS * dim, sizeof *row), *query = room(QUERIES * dim, sizeof *query);
    double *centre = room(dim, sizeof *centre);
    char what[160];
    fill(in, row, ROWS, dim, stream);
    fill(of, query, QUERIES, dim, stream + 10);
    memcpy(query, row + 7 * dim, dim * sizeof *row);
    for (size_t j = 0; j < dim; j++)
        query[dim + j] = nextafter(row[9 * dim + j], draw(stream + 2, j) % 2 ? 1e155 : -1e155);
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t j = 0; j < ROWS; j++) {
            struct mpivf_raw x = mpivf_raw_of(true, query + q * dim);
            distance[q][j] = mpivf_raw_distance(metric, x, mpivf_raw_square(x, dim),
                                                mpivf_raw_of(true, row + j * dim), dim);
            assert_true(isfinite(distance[q][j]));
        }
    for (int c = 0; c < centres; c++) {
        snprintf(what, sizeof what, "%s, %zu columns, %s in %s, centre %d",
                 mpivf_metric_name(metric), dim, of->name, in->name, c);
        if (c == 0)
            mpivf_centre_mean64(metric, row, ROWS, dim, centre);
        else if (c == 1)
            memset(centre, 0, dim * sizeof *centre);
        else
            memcpy(centre, row + 7 * dim, dim * sizeof *centre);
        for (int f = 0; f < MPIVF_FILTERS; f++)
            check_filter(what, metric, mpivf_filter(f), dim, query, row, centre, distance);
    }
    free(row);
    free(query);
    free(centre);
}

static void
begin(void)
{
    mpivf_blas_init();
    mpivf_context_init(&ctx);
}

static void
bounds_hold(void **state)
{
    (void)state;
    static const size_t dims[] = {1, 2, 5, 16, 33, 129};
    begin();
    for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++)
        for (size_t kind = 0; kind < KINDS; kind++)
            for (int metric = 0; metric < MPIVF_METRICS; metric++)
                check((enum mpivf_metric)metric, dims[d], &kinds[kind], &kinds[kind], 3,
                      d * 100 + kind);
    assert_int_equal(ctx.memory.used, 0);
}

/* Also rows whose products with a query are ordinary while one of both is beyond float32. */
static void
bounds_hold_mixed(void **state)
{
    (void)state;
    static const size_t dims[] = {1, 3, 17, 130};
    begin();
    for (size_t a = 0; a < KINDS; a++)
        for (size_t b = 0; b < KINDS; b++)
            for (int metric = 0; metric < MPIVF_METRICS; metric++)
                check((enum mpivf_metric)metric, dims[(a + 5 * b) % 4], &kinds[a], &kinds[b],
                      1 + (int)(a + b) % 2, a * b);
    assert_int_equal(ctx.memory.used, 0);
}

/* The words of float32 values are the same, whichever type they come in. */
static void
float32_values_are_float32_rows(void **state)
{
    (void)state;
    enum { DIM = 33 };
    float row[ROWS * DIM];
    double same[ROWS * DIM], zero64[DIM] = {0};
    float zero[DIM] = {0};
    struct mpivf_packed_rows a, b;
    begin();
    fill_normal(row, ROWS * DIM, 3, 1, 0);
    for (size_t i = 0; i < ROWS * DIM; i++)
        same[i] = (double)row[i];
    for (int f = 0; f < MPIVF_FILTERS; f++) {
        assert_ok(&ctx, mpivf_packed_rows_init(&ctx, &a, MPIVF_L2, mpivf_filter(f), DIM, ROWS));
        assert_ok(&ctx, mpivf_packed_rows_init(&ctx, &b, MPIVF_L2, mpivf_filter(f), DIM, ROWS));
        mpivf_packed_rows_fill(&a, row, ROWS, zero, NULL, 0);
        mpivf_packed_rows_fill_raw(&b, mpivf_raw_of(true, same), ROWS, mpivf_raw_of(true, zero64),
                                   NULL, 0);
        assert_memory_equal(a.term, b.term, ROWS * sizeof *a.term);
        assert_memory_equal(a.word, b.word, ROWS / MPIVF_PANEL * MPIVF_PANEL * a.steps * 4);
        mpivf_packed_rows_clear(&a);
        mpivf_packed_rows_clear(&b);
    }
    assert_int_equal(ctx.memory.used, 0);
}

/*
 * A bound that allows everything would hold too: an offset that float32 cannot hold costs nothing.
 */
static void
bounds_are_narrow_at_an_offset(void **state)
{
    (void)state;
    enum { DIM = 100 };
    static const double max[MPIVF_FILTERS] = {[MPIVF_FILTER_INT8] = 0.05,
                                              [MPIVF_FILTER_INT7] = 0.1,
                                              [MPIVF_FILTER_INT16] = 5e-4,
                                              [MPIVF_FILTER_FLOAT32] = 2e-5,
                                              [MPIVF_FILTER_SGEMM] = 2e-5};
    static struct pair_of pair;
    double *row = room(ROWS * DIM, sizeof *row), *query = room(QUERIES * DIM, sizeof *query);
    double centre[DIM];
    begin();
    fill(&kinds[1], row, 12, DIM, 5);
    for (size_t i = 12; i < ROWS; i++) /* without the rows of zeros */
        fill(&kinds[1], row + i * DIM, 1, DIM, 5 + i);
    fill(&kinds[1], query, QUERIES, DIM, 500);
    mpivf_centre_mean64(MPIVF_L2, row, ROWS, DIM, centre);
    for (int f = 0; f < MPIVF_FILTERS; f++) {
        const struct mpivf_filter *filter = mpivf_filter(f);
        struct mpivf_raw around = mpivf_raw_of(true, centre);
        assert_ok(&ctx,
                  mpivf_packed_queries_init(&ctx, &pair.queries, MPIVF_L2, filter, DIM, QUERIES));
        assert_ok(&ctx, mpivf_packed_rows_init(&ctx, &pair.packed, MPIVF_L2, filter, DIM, ROWS));
        mpivf_packed_queries_fill_raw(&pair.queries, mpivf_raw_of(true, query), QUERIES, around);
        mpivf_packed_rows_fill_raw(&pair.packed, mpivf_raw_of(true, row), ROWS, around, NULL, 0);
        for (size_t q = 0; compute(&pair, 0) && q < QUERIES; q++)
            for (size_t j = 0; j < ROWS; j++) {
                float value = pair.value[q][j];
                double width = mpivf_prepare_upper(&pair.queries, q, &pair.packed, j, value) -
                               mpivf_prepare_lower(&pair.queries, q, value);
                if (!(width <= max[f] * 2 * DIM * 1e-6))
                    fail_msg("%s: %g is too wide", filter->name, width);
            }
        mpivf_packed_rows_clear(&pair.packed);
        mpivf_packed_queries_clear(&pair.queries);
    }
    free(row);
    free(query);
    assert_int_equal(ctx.memory.used, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("prepare64: bounds hold", bounds_hold),
        TEST("prepare64: bounds hold for queries of one kind in rows of another",
             bounds_hold_mixed),
        TEST("prepare64: float32 values are as float32 rows", float32_values_are_float32_rows),
        TEST("prepare64: bounds are narrow at an offset", bounds_are_narrow_at_an_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
