/*
 * Bounds of random pairs: any kinds of rows and queries, each brought to any scale, of any width
 * and from any centre. The share of the interval between the bounds that a distance has reached is
 * printed: 0 is the lower bound, 1 the upper. MPIVF_SOAK: ten million pairs.
 */
#include "pair.h"
#include "rows.h"

#include "math/centre.h"

static struct mpivf_context ctx;

enum { FEW = 500000, MANY = 10000000 };

/* A power of two for all of a side; what would be no good is left as it is. */
static void
rescale(float *x, size_t rows, size_t dim, uint64_t trial, uint64_t side)
{
    int power = (int)(draw(trial, side) % 160) - 80;
    for (size_t i = 0; i < rows * dim; i++) {
        float scaled = ldexpf(x[i], power);
        x[i] = isfinite(scaled) ? scaled : x[i];
    }
}

static size_t
any_dim(uint64_t trial)
{
    uint64_t which = draw(trial, 10) % 8;
    return which < 3    ? 1 + draw(trial, 11) % 40
           : which == 3 ? 400 + draw(trial, 11) % 1200 /* steps that go in parts */
                        : 90 + draw(trial, 11) % 120;
}

struct problem {
    enum mpivf_metric metric;
    size_t dim;
    bool f64;
    float *row, *query, *centre;
    double *row64, *query64, *centre64;
    double distance[QUERIES][ROWS];
    char what[200];
};

/* The same in float64, and a little more than float32 holds. */
static double *
widened(const float *x, size_t n, uint64_t stream)
{
    double *wide = room(n, sizeof *wide);
    for (size_t i = 0; i < n; i++)
        wide[i] = (double)x[i] * (1 + 1e-9 * (double)(draw(stream, i) % 100));
    return wide;
}

static struct mpivf_raw
side(const struct problem *p, const float *x, const double *wide)
{
    return mpivf_raw_of(p->f64, p->f64 ? (const void *)wide : (const void *)x);
}

static void
make(struct problem *p, uint64_t trial)
{
    const struct data *rows = &kinds[draw(trial, 1) % KINDS], *queries = rows;
    size_t dim = p->dim;
    if (draw(trial, 2) % 3 == 0)
        queries = &kinds[draw(trial, 3) % KINDS];
    rows->fill(p->row, ROWS, dim, trial * 10);
    queries->fill(p->query, QUERIES, dim, trial * 10 + 5);
    memcpy(p->query, p->row + 7 * dim, dim * sizeof *p->row);
    if (draw(trial, 4) % 2) {
        rescale(p->row, ROWS, dim, trial, 5);
        rescale(p->query, QUERIES, dim, trial, 5 + draw(trial, 6) % 2);
    }
    if (draw(trial, 7) % 4 == 0)
        memset(p->centre, 0, dim * sizeof *p->centre);
    else if (draw(trial, 7) % 4 == 1)
        memcpy(p->centre, p->row + 3 * dim, dim * sizeof *p->centre);
    else
        mpivf_centre_mean(p->metric, p->row, ROWS, dim, p->centre);
    p->row64 = widened(p->row, ROWS * dim, trial);
    p->query64 = widened(p->query, QUERIES * dim, trial);
    p->centre64 = widened(p->centre, dim, 1);
    struct mpivf_raw row = side(p, p->row, p->row64), query = side(p, p->query, p->query64);
    for (size_t q = 0; q < QUERIES; q++) {
        struct mpivf_raw one = mpivf_raw_at(query, q * dim);
        double square = mpivf_raw_square(one, dim);
        for (size_t j = 0; j < ROWS; j++)
            p->distance[q][j] =
                mpivf_raw_distance(p->metric, one, square, mpivf_raw_at(row, j * dim), dim);
    }
    snprintf(p->what, sizeof p->what, "trial %llu: %s, %zu columns of %s, %s in %s",
             (unsigned long long)trial, mpivf_metric_name(p->metric), dim,
             p->f64 ? "float64" : "float32", queries->name, rows->name);
}

static void
check_filter(const struct problem *p, const struct mpivf_filter *filter)
{
    static struct pair_of pair;
    struct mpivf_pool pool = mpivf_pool_taking(&ctx, "a test");
    struct mpivf_raw row = side(p, p->row, p->row64), query = side(p, p->query, p->query64);
    struct mpivf_raw centre = side(p, p->centre, p->centre64);
    mpivf_packed_queries_lay_out(&pair.queries, &pool, p->metric, filter, p->dim, QUERIES, NULL, 1);
    mpivf_packed_rows_lay_out(&pair.packed, &pool, p->metric, filter, p->dim, ROWS, NULL, 1);
    assert_ok(&ctx, mpivf_pool_status(&pool));
    mpivf_packed_queries_fill_raw(&pair.queries, query, QUERIES, centre);
    mpivf_packed_rows_fill_raw(&pair.packed, row, ROWS, centre, NULL, 0);
    check_pair(p->what, &pair, p->distance);
    check_firsts(&ctx, p->what, p->metric, p->dim, filter, query, row, centre, p->distance);
    mpivf_pool_clear(&pool);
}

static void
try_pairs(uint64_t trial)
{
    struct problem p = {.metric = (enum mpivf_metric)(trial % MPIVF_METRICS),
                        .dim = any_dim(trial),
                        .f64 = draw(trial, 8) % 4 == 0};
    p.row = room(ROWS * p.dim, sizeof *p.row);
    p.query = room(QUERIES * p.dim, sizeof *p.query);
    p.centre = room(p.dim, sizeof *p.centre);
    make(&p, trial);
    for (int f = 0; f < MPIVF_FILTERS; f++)
        check_filter(&p, mpivf_filter(f));
    free(p.row);
    free(p.query);
    free(p.centre);
    free(p.row64);
    free(p.query64);
    free(p.centre64);
}

static void
any_pairs(void **state)
{
    (void)state;
    uint64_t pairs = getenv("MPIVF_SOAK") ? MANY : FEW, trial = 0;
    mpivf_blas_init();
    mpivf_context_init(&ctx);
    for (; trial * QUERIES * ROWS < pairs; trial++)
        try_pairs(trial);
    printf("%llu pairs, share of the interval reached:\n",
           (unsigned long long)(trial * QUERIES * ROWS));
    for (int f = 0; f < MPIVF_FILTERS; f++)
        printf("  %-8s from %.4f to %.4f\n", mpivf_filter(f)->name, reached[f].least,
               reached[f].most);
    assert_int_equal(ctx.memory.used, 0);
}

/* Values that float32 hardly holds, or does not, stand for no higher bound either. */
static void
values_at_the_end_of_float32(void **state)
{
    (void)state;
    static const double sizes[] = {0, 1e-300, 1e-45, 1e30, 2.99e38, 3.01e38, 3.4e38, 3.5e38, 1e300};
    enum { SIZES = sizeof sizes / sizeof sizes[0], SIGNED = 2 * SIZES };
    for (size_t s = 0; s < SIGNED; s++)
        for (size_t i = 0; i < SIGNED; i++) {
            struct mpivf_bounds bound = {.shift = s % 2 ? -sizes[s / 2] : sizes[s / 2],
                                         .error = sizes[s / 4] / 16};
            struct mpivf_packed_queries queries = {.bound = &bound};
            double lower = i % 2 ? -sizes[i / 2] : sizes[i / 2];
            double again =
                mpivf_prepare_lower(&queries, 0, mpivf_prepare_value(&queries, 0, lower));
            if (again > lower)
                fail_msg("%g for %g, shift %g", again, lower, bound.shift);
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("bounds: hold for any pairs", any_pairs),
        TEST("bounds: values at the end of float32", values_at_the_end_of_float32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
