/*
 * The bounds against canonical distances, pair by pair: whatever a filter of any kernel
 * computes, the distance lies between the bounds, and the limit keeps the pair.
 */
#include "pair.h"
#include "rows.h"

#include "math/centre.h"

#include <float.h>

static struct mpivf_context ctx;

/* What is compared, and the canonical distances. */
struct problem {
    enum mpivf_metric metric;
    size_t dim;
    float *row, *query, *centre;
    double distance[QUERIES][ROWS];
    char what[160];
};

static void
make_distances(struct problem *p)
{
    for (size_t q = 0; q < QUERIES; q++) {
        const float *query = p->query + q * p->dim;
        double square = mpivf_square(query, p->dim);
        for (size_t j = 0; j < ROWS; j++)
            p->distance[q][j] =
                mpivf_distance(p->metric, query, square, p->row + j * p->dim, p->dim);
    }
}

static void
check_filter(const struct problem *p, const struct mpivf_filter *filter)
{
    static struct pair_of pair;
    size_t dim = p->dim;
    assert_ok(&ctx,
              mpivf_packed_queries_init(&ctx, &pair.queries, p->metric, filter, dim, QUERIES));
    assert_ok(&ctx, mpivf_packed_rows_init(&ctx, &pair.packed, p->metric, filter, dim, ROWS));
    mpivf_packed_queries_fill(&pair.queries, p->query, QUERIES, p->centre);
    mpivf_packed_rows_fill(&pair.packed, p->row, ROWS, p->centre, NULL, 0);
    check_pair(p->what, &pair, p->distance);
    mpivf_packed_rows_clear(&pair.packed);
    mpivf_packed_queries_clear(&pair.queries);
    check_firsts(&ctx, p->what, p->metric, dim, filter, mpivf_raw_of(false, p->query),
                 mpivf_raw_of(false, p->row), mpivf_raw_of(false, p->centre), p->distance);
}

/* Rows that the queries are, or nearly are: distances that are all rounding. */
static void
fill_problem(struct problem *p, const struct data *rows, const struct data *queries,
             uint64_t stream)
{
    size_t dim = p->dim;
    rows->fill(p->row, ROWS, dim, stream);
    queries->fill(p->query, QUERIES, dim, stream + 1000);
    memcpy(p->query, p->row + 7 * dim, dim * sizeof *p->row);
    memcpy(p->query + dim, p->row + 9 * dim, dim * sizeof *p->row);
    for (size_t j = 0; j < dim; j++) {
        float *x = &p->query[dim + j];
        if (draw(stream + 3, j) % 2 && fabsf(*x) < 1e38f)
            *x = nextafterf(*x, draw(stream + 4, j) % 2 ? INFINITY : -INFINITY);
    }
    for (size_t j = 0; j < dim; j++) /* and one on the other side */
        p->query[2 * dim + j] = -p->row[11 * dim + j];
    make_distances(p);
}

enum centre { MEAN, ZERO, A_ROW, FAR_OFF, CENTRES };

static void
fill_centre(struct problem *p, enum centre which)
{
    static const char *const name[] = {"mean", "zero", "a row", "far off"};
    size_t dim = p->dim, length = strlen(p->what);
    if (which == MEAN)
        mpivf_centre_mean(p->metric, p->row, ROWS, dim, p->centre);
    else if (which == ZERO)
        memset(p->centre, 0, dim * sizeof *p->centre);
    else if (which == A_ROW)
        memcpy(p->centre, p->row + 7 * dim, dim * sizeof *p->centre);
    else
        fill_normal(p->centre, dim, 77, 1000, 0);
    snprintf(p->what + length, sizeof p->what - length, ", centre %s", name[which]);
}

static void
check(enum mpivf_metric metric, size_t dim, const struct data *rows, const struct data *queries,
      uint64_t stream, enum centre first, enum centre last)
{
    struct problem p = {.metric = metric, .dim = dim};
    p.row = room(ROWS * dim, sizeof *p.row);
    p.query = room(QUERIES * dim, sizeof *p.query);
    p.centre = room(dim, sizeof *p.centre);
    fill_problem(&p, rows, queries, stream);
    for (enum centre c = first; c <= last; c++) {
        snprintf(p.what, sizeof p.what, "%s, %zu columns, %s in %s", mpivf_metric_name(metric), dim,
                 queries->name, rows->name);
        fill_centre(&p, c);
        for (int filter = 0; filter < MPIVF_FILTERS; filter++)
            if (dim <= mpivf_filter(filter)->largest_dim)
                check_filter(&p, mpivf_filter(filter));
    }
    free(p.row);
    free(p.query);
    free(p.centre);
}

static void
begin(void)
{
    mpivf_blas_init();
    mpivf_context_init(&ctx);
}

/* Every kind against itself, in every shape and from every centre. */
static void
bounds_hold(void **state)
{
    (void)state;
    static const size_t dims[] = {1, 2, 3, 4, 5, 16, 31, 100, 129};
    begin();
    for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++)
        for (size_t kind = 0; kind < KINDS; kind++)
            for (int metric = 0; metric < MPIVF_METRICS; metric++)
                check((enum mpivf_metric)metric, dims[d], &kinds[kind], &kinds[kind],
                      d * 100 + kind, MEAN, FAR_OFF);
    assert_int_equal(ctx.memory.used, 0);
}

static void
bounds_hold_wide(void **state)
{
    (void)state;
    begin();
    for (size_t kind = 0; kind < KINDS; kind++)
        for (int metric = 0; metric < MPIVF_METRICS; metric++) {
            enum centre one = (enum centre)((kind + (size_t)metric) % 2);
            check((enum mpivf_metric)metric, 768, &kinds[kind], &kinds[kind], kind, one, one);
            if (kind % 3 == (size_t)metric || kind > 14)
                check((enum mpivf_metric)metric, 4096, &kinds[kind], &kinds[kind], kind, one, one);
        }
    assert_int_equal(ctx.memory.used, 0);
}

/* Queries of one kind in rows of another. */
static void
bounds_hold_mixed(void **state)
{
    (void)state;
    static const size_t dims[] = {1, 3, 4, 17, 64};
    begin();
    for (size_t a = 0; a < KINDS; a++)
        for (size_t b = 0; b < KINDS; b++)
            for (int metric = 0; metric < MPIVF_METRICS; metric++) {
                enum centre one = (enum centre)((a + 3 * b) % CENTRES);
                check((enum mpivf_metric)metric, dims[(a + 2 * b) % 5], &kinds[a], &kinds[b], a * b,
                      one, one);
            }
    assert_int_equal(ctx.memory.used, 0);
}

/* The largest dimension for integers: nothing wraps that has to fit. */
static void
bounds_hold_in_the_last_dimension(void **state)
{
    (void)state;
    begin();
    static const size_t hard[] = {0, 16, 17};
    static const int of[] = {MPIVF_FILTER_INT8, MPIVF_FILTER_INT7};
    for (size_t n = 0; n < 2; n++) {
        size_t largest = mpivf_filter(of[n])->largest_dim;
        for (size_t i = n; i < 3 - n; i++)
            check(i == 1 ? MPIVF_IP : MPIVF_L2, largest, &kinds[hard[i]], &kinds[hard[i]], 3, ZERO,
                  ZERO);
        assert_false(mpivf_filter_runs(mpivf_filter(of[n]), largest + 1));
        assert_true(mpivf_filter_runs(mpivf_filter(MPIVF_FILTER_INT16), largest + 1));
        assert_true(mpivf_filter_runs(mpivf_filter(MPIVF_FILTER_FLOAT32), largest + 1));
    }
}

/* A bound that allows everything would hold too: speed rests on these widths. */
static void
bounds_are_narrow(void **state)
{
    (void)state;
    static const double max[MPIVF_FILTERS] = {[MPIVF_FILTER_INT8] = 0.05,
                                              [MPIVF_FILTER_INT7] = 0.1,
                                              [MPIVF_FILTER_INT16] = 5e-4,
                                              [MPIVF_FILTER_FLOAT32] = 2e-5,
                                              [MPIVF_FILTER_SGEMM] = 2e-5};
    enum { DIM = 100 };
    float *row = room(ROWS * DIM, sizeof *row);
    float *query = room(QUERIES * DIM, sizeof *query);
    float centre[DIM];
    static struct pair_of pair;
    begin();
    gaussian(row, ROWS, DIM, 1);
    gaussian(query, QUERIES, DIM, 2);
    for (int m = 0; m < MPIVF_METRICS; m++)
        for (int f = 0; f < MPIVF_FILTERS; f++) {
            enum mpivf_metric metric = (enum mpivf_metric)m;
            const struct mpivf_filter *filter = mpivf_filter(f);
            assert_ok(&ctx,
                      mpivf_packed_queries_init(&ctx, &pair.queries, metric, filter, DIM, QUERIES));
            assert_ok(&ctx, mpivf_packed_rows_init(&ctx, &pair.packed, metric, filter, DIM, ROWS));
            mpivf_centre_mean(metric, row, ROWS, DIM, centre);
            mpivf_packed_queries_fill(&pair.queries, query, QUERIES, centre);
            mpivf_packed_rows_fill(&pair.packed, row, ROWS, centre, NULL, 0);
            assert_true(compute(&pair, 0));
            double size = metric == MPIVF_COSINE ? 1 : 2 * DIM, width = 0;
            for (size_t q = 0; q < QUERIES; q++)
                for (size_t j = 0; j < ROWS; j++) {
                    float value = pair.value[q][j];
                    double w = mpivf_prepare_upper(&pair.queries, q, &pair.packed, j, value) -
                               mpivf_prepare_lower(&pair.queries, q, value);
                    width = w > width ? w : width;
                }
            if (!(width <= max[f] * size))
                fail_msg("%s, %s: %g is too wide", mpivf_metric_name(metric), filter->name,
                         width / size);
            mpivf_packed_rows_clear(&pair.packed);
            mpivf_packed_queries_clear(&pair.queries);
        }
    free(row);
    free(query);
    assert_int_equal(ctx.memory.used, 0);
}

static void
limits_that_are_not_finite(void **state)
{
    (void)state;
    struct mpivf_packed_queries queries;
    float query[2 * 4] = {1, 2, 3, 4, 3e38f, 3e38f, 3e38f, -3e38f}, centre[4] = {0};
    begin();
    for (int m = 0; m < MPIVF_METRICS; m++)
        for (int f = 0; f < MPIVF_FILTERS; f++) {
            assert_ok(&ctx, mpivf_packed_queries_init(&ctx, &queries, (enum mpivf_metric)m,
                                                      mpivf_filter(f), 4, 2));
            mpivf_packed_queries_fill(&queries, query, 2, centre);
            for (size_t q = 0; q < 2; q++) {
                assert_true(mpivf_prepare_limit(&queries, q, INFINITY) == FLT_MAX);
                assert_true(mpivf_prepare_limit(&queries, q, 1e300) == FLT_MAX);
                assert_false(isnan(mpivf_prepare_limit(&queries, q, -1e300)));
                assert_false(isnan(mpivf_prepare_limit(&queries, q, 0)));
            }
            mpivf_packed_queries_clear(&queries);
        }
}

/* What a base holds of row i, told apart from its place. */
static void
assert_same_row(const struct mpivf_packed_rows *a, size_t i, const struct mpivf_packed_rows *b,
                size_t j)
{
    size_t panel = MPIVF_PANEL * a->steps;
    const uint32_t *x = (const uint32_t *)(const void *)a->word, *y = (const void *)b->word;
    x += i / MPIVF_PANEL * panel + i % MPIVF_PANEL;
    y += j / MPIVF_PANEL * panel + j % MPIVF_PANEL;
    for (size_t s = 0; s < a->steps && a->filter->panels; s++)
        assert_int_equal(x[s * MPIVF_PANEL], y[s * MPIVF_PANEL]);
    assert_true(a->term[i] == b->term[j] && a->scale[i] == b->scale[j]);
    assert_true(a->norm[i] == b->norm[j] && a->residual[i] == b->residual[j]);
}

/* Many rows by two threads are the same as a row at a time. */
static void
rows_do_not_know_each_other(void **state)
{
    (void)state;
    enum { MANY = 65 * MPIVF_PANEL + 5, DIM = 7 };
    float *row = room(MANY * DIM, sizeof *row), centre[DIM];
    struct mpivf_packed_rows many, one;
    gaussian(row, MANY, DIM, 3);
    begin();
    for (int m = 0; m < MPIVF_METRICS; m++)
        for (int f = 0; f < MPIVF_FILTERS; f++) {
            enum mpivf_metric metric = (enum mpivf_metric)m;
            ctx.threads = 2;
            mpivf_centre_mean(metric, row, MANY, DIM, centre);
            assert_ok(&ctx,
                      mpivf_packed_rows_init(&ctx, &many, metric, mpivf_filter(f), DIM, MANY));
            mpivf_packed_rows_fill(&many, row, MANY, centre, NULL, 0);
            ctx.threads = 1;
            assert_ok(&ctx, mpivf_packed_rows_init(&ctx, &one, metric, mpivf_filter(f), DIM, 3));
            for (size_t i = 0; i < MANY; i += 1 + i % 7) {
                mpivf_packed_rows_fill(&one, row + i * DIM, 1, centre, NULL, 0);
                assert_same_row(&many, i, &one, 0);
            }
            for (size_t i = MANY; i < 66 * MPIVF_PANEL; i++)
                assert_true(many.term[i] == INFINITY);
            mpivf_packed_rows_fill(&one, row, 0, centre, NULL, 0); /* none */
            assert_int_equal(one.rows, 0);
            mpivf_packed_rows_clear(&many);
            mpivf_packed_rows_clear(&one);
        }
    free(row);
    assert_int_equal(ctx.memory.used, 0);
}

static void
memory_is_as_told(void **state)
{
    (void)state;
    struct mpivf_packed_queries queries;
    struct mpivf_packed_rows packed;
    begin();
    for (size_t dim = 1; dim < 300; dim += 13)
        for (int f = 0; f < MPIVF_FILTERS; f++) {
            enum { N = 1000 };
            size_t fixed = 4096 + MPIVF_PANEL * mpivf_prepare_row_bytes(dim) + 8 * dim;
            assert_ok(&ctx,
                      mpivf_packed_queries_init(&ctx, &queries, MPIVF_L2, mpivf_filter(f), dim, N));
            assert_true(ctx.memory.used <= N * mpivf_prepare_row_bytes(dim) + fixed);
            mpivf_packed_queries_clear(&queries);
            assert_ok(&ctx,
                      mpivf_packed_rows_init(&ctx, &packed, MPIVF_L2, mpivf_filter(f), dim, N));
            assert_true(ctx.memory.used <= N * mpivf_prepare_row_bytes(dim) + fixed);
            mpivf_packed_rows_clear(&packed);
            assert_int_equal(ctx.memory.used, 0);
        }
}

/* Two kinds of integers take no more than float32 does. */
static void
a_first_look_takes_no_more(void **state)
{
    (void)state;
    enum { N = 1000 };
    begin();
    for (size_t dim = 96; dim <= 8192; dim += dim < 200 ? 1 : 499) {
        size_t fixed =
            8192 + MPIVF_PANEL * mpivf_prepare_row_bytes(dim) + mpivf_prepare_first_bytes(dim, 2);
        for (int f = 0; f < MPIVF_FILTERS * MPIVF_FILTERS; f++) {
            const struct mpivf_filter *filter = mpivf_filter(f / MPIVF_FILTERS);
            struct mpivf_first first = {mpivf_filter(f % MPIVF_FILTERS),
                                        {.dim = dim, .axes = mpivf_projection_most(dim)}};
            struct mpivf_packed_queries queries;
            struct mpivf_packed_rows packed;
            struct mpivf_pool some = mpivf_pool_counting(), others = mpivf_pool_counting();
            if (!filter->round || !first.filter->round)
                continue;
            mpivf_packed_queries_lay_out(&queries, &some, MPIVF_L2, filter, dim, N, &first, 2);
            mpivf_packed_rows_lay_out(&packed, &others, MPIVF_L2, filter, dim, N, &first, 2);
            assert_true(some.bytes <= N * mpivf_prepare_row_bytes(dim) + fixed);
            assert_true(others.bytes <= N * mpivf_prepare_row_bytes(dim) + fixed);
        }
    }
}

static void
the_filter_is_chosen(void **state)
{
    (void)state;
    for (int f = 0; f < MPIVF_FILTERS; f++) {
        const struct mpivf_filter *filter = mpivf_filter(f);
        assert_int_equal(setenv("MPIVF_FILTER", filter->name, 1), 0);
        if (mpivf_filter_runs(filter, 100))
            assert_int_equal(mpivf_filter_best(100), filter);
        size_t more = mpivf_filter(MPIVF_FILTER_INT7)->largest_dim + 1;
        assert_true(mpivf_filter_runs(mpivf_filter_best(more), more));
        assert_true(mpivf_filter_cost(filter) > 0);
    }
    unsetenv("MPIVF_FILTER");
    const struct mpivf_filter *best = mpivf_filter_best(100);
    assert_true(mpivf_filter_runs(best, 100));
    for (int f = 0; f < MPIVF_FILTERS; f++)
        if (mpivf_filter_runs(mpivf_filter(f), 100))
            assert_true(mpivf_filter_cost(best) <= mpivf_filter_cost(mpivf_filter(f)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("prepare: the bounds hold", bounds_hold),
        TEST("prepare: the bounds hold for wide rows", bounds_hold_wide),
        TEST("prepare: the bounds hold for queries of another kind", bounds_hold_mixed),
        TEST("prepare: the bounds hold in the last dimension", bounds_hold_in_the_last_dimension),
        TEST("prepare: the bounds are narrow", bounds_are_narrow),
        TEST("prepare: limits that are not finite", limits_that_are_not_finite),
        TEST("prepare: rows do not know each other", rows_do_not_know_each_other),
        TEST("prepare: memory is as told", memory_is_as_told),
        TEST("prepare: a first look takes no more memory", a_first_look_takes_no_more),
        TEST("prepare: the filter is chosen", the_filter_is_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
