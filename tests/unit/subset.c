/* Prepared rows that are a subset of others, and the centre they are prepared around. */
#include "rows.h"

#include "math/centre.h"
#include "math/distance.h"
#include "math/nearest.h"

enum { FROM = 150, MAX = 200 };

static struct mpivf_context ctx;

static size_t
padded(size_t rows)
{
    return (rows + MPIVF_PANEL - 1) / MPIVF_PANEL * MPIVF_PANEL;
}

static void
assert_same_values(const float *a, const float *b, size_t n, const char *what)
{
    if (memcmp(a, b, n * sizeof *a) != 0)
        fail_msg("%s differ", what);
}

/* A subset has the very values that its rows have when they are prepared by themselves. */
static void
check_values(const struct mpivf_packed_rows *some_rows, const struct mpivf_packed_rows *whole,
             size_t n)
{
    size_t words = some_rows->filter->panels ? padded(n) : n;
    assert_int_equal(some_rows->rows, n);
    assert_memory_equal(some_rows->word, whole->word, words * some_rows->steps * 4);
    assert_same_values(some_rows->term, whole->term, padded(n), "terms");
    assert_same_values(some_rows->scale, whole->scale, padded(n), "scales");
    assert_same_values(some_rows->norm, whole->norm, padded(n), "norms");
    assert_same_values(some_rows->residual, whole->residual, padded(n), "residuals");
}

static void
check_subset(enum mpivf_metric metric, const struct mpivf_filter *filter, size_t dim,
             const struct data *kind)
{
    static const size_t sizes[] = {200, 1, 47, 48, 49, 0, 96, 131};
    struct mpivf_packed_rows from, some_rows, whole;
    uint32_t subset[MAX];
    float *row = room(FROM * dim, sizeof *row), *some = room(MAX * dim, sizeof *some);
    float *centre = room(dim, sizeof *centre);
    kind->fill(row, FROM, dim, 20 + dim);
    mpivf_centre_mean(metric, row, FROM, dim, centre);
    assert_ok(&ctx, mpivf_packed_rows_init(&ctx, &from, metric, filter, dim, FROM));
    assert_ok(&ctx, mpivf_packed_rows_init(&ctx, &some_rows, metric, filter, dim, MAX));
    assert_ok(&ctx, mpivf_packed_rows_init(&ctx, &whole, metric, filter, dim, MAX));
    mpivf_packed_rows_fill(&from, row, FROM, centre, NULL, 0);
    for (size_t t = 0; t < sizeof sizes / sizeof sizes[0]; t++) { /* one after the other */
        size_t n = sizes[t];
        for (size_t i = 0; i < n; i++) { /* in no order, some of them twice */
            subset[i] = (uint32_t)(draw(t, i) % FROM);
            memcpy(some + i * dim, row + subset[i] * dim, dim * sizeof *row);
        }
        mpivf_packed_rows_subset(&some_rows, &from, subset, n);
        mpivf_packed_rows_fill(&whole, some, n, centre, NULL, 0);
        check_values(&some_rows, &whole, n);
        assert_ptr_equal(some_rows.raw.f32, row);
        assert_ptr_equal(some_rows.subset, subset);
    }
    mpivf_packed_rows_clear(&from);
    mpivf_packed_rows_clear(&some_rows);
    mpivf_packed_rows_clear(&whole);
    free(row);
    free(some);
    free(centre);
}

static void
a_subset_is_what_it_was(void **state)
{
    (void)state;
    static const size_t dims[] = {1, 2, 3, 5, 100};
    mpivf_context_init(&ctx);
    for (int f = 0; f < MPIVF_FILTERS; f++)
        for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++)
            for (size_t kind = 0; kind < KINDS; kind += 1 + i)
                if (mpivf_filter_runs(mpivf_filter(f), dims[i]))
                    check_subset((enum mpivf_metric)(kind % MPIVF_METRICS), mpivf_filter(f),
                                 dims[i], &kinds[kind]);
    assert_int_equal(ctx.memory.used, 0);
}

/* The k nearest of a subset, by the number in what it was taken from. */
static void
check_scan(enum mpivf_metric metric, const struct mpivf_filter *filter, size_t n)
{
    enum { DIM = 9, QUERIES = 11, K = 5 };
    struct mpivf_packed_queries queries;
    struct mpivf_packed_rows from, some_rows;
    struct mpivf_topk topk;
    struct mpivf_pool pool = mpivf_pool_taking(&ctx, "scanning");
    struct mpivf_tile *tile = mpivf_tile_take(&pool, 1, DIM);
    struct mpivf_pending *pending = mpivf_pending_take(&pool, 1);
    struct mpivf_candidate got[QUERIES * (K + 1)], all[FROM];
    float row[FROM * DIM], query[QUERIES * DIM], centre[DIM];
    uint32_t subset[FROM];
    fill_whole(row, FROM * DIM, 1, 3); /* many ties */
    fill_whole(query, QUERIES * DIM, 2, 3);
    mpivf_centre_mean(metric, row, FROM, DIM, centre);
    assert_ok(&ctx, mpivf_packed_rows_init(&ctx, &from, metric, filter, DIM, FROM));
    assert_ok(&ctx, mpivf_packed_rows_init(&ctx, &some_rows, metric, filter, DIM, FROM));
    assert_ok(&ctx, mpivf_packed_queries_init(&ctx, &queries, metric, filter, DIM, QUERIES));
    assert_ok(&ctx, mpivf_topk_init(&ctx, &topk, QUERIES, K));
    assert_ok(&ctx, mpivf_pool_status(&pool));
    mpivf_packed_rows_fill(&from, row, FROM, centre, NULL, 0);
    mpivf_packed_queries_fill(&queries, query, QUERIES, centre);
    for (size_t i = 0; i < n; i++)
        subset[i] = (uint32_t)mpivf_random_place(3, MPIVF_FOR_DEAL, FROM, i);
    mpivf_packed_rows_subset(&some_rows, &from, subset, n);
    struct mpivf_scan_of of = {.n = QUERIES};
    mpivf_nearest_scan(&queries, &of, &some_rows, &topk, tile, pending);
    mpivf_topk_export(&topk, got);
    for (size_t q = 0; q < QUERIES; q++) {
        const float *at = query + q * DIM;
        for (size_t i = 0; i < n; i++)
            all[i] = (struct mpivf_candidate){
                mpivf_distance(metric, at, mpivf_square(at, DIM), row + subset[i] * DIM, DIM),
                subset[i]};
        qsort(all, n, sizeof *all, nearer);
        for (size_t i = 0; i < K; i++) {
            struct mpivf_candidate *one = &got[q * (K + 1) + i];
            assert_int_equal(one->id, i < n ? all[i].id : -1);
            assert_true(i >= n || one->distance == all[i].distance);
        }
    }
    mpivf_pool_clear(&pool);
    mpivf_topk_clear(&topk);
    mpivf_packed_queries_clear(&queries);
    mpivf_packed_rows_clear(&from);
    mpivf_packed_rows_clear(&some_rows);
}

static void
a_subset_is_scanned(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 3, 48, 50, 97, FROM};
    mpivf_context_init(&ctx);
    for (int f = 0; f < MPIVF_FILTERS; f++)
        for (int m = 0; m < MPIVF_METRICS; m++)
            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
                if (mpivf_filter_runs(mpivf_filter(f), 9))
                    check_scan((enum mpivf_metric)m, mpivf_filter(f), sizes[i]);
    assert_int_equal(ctx.memory.used, 0);
}

/* ---- the centre ---- */

static void
check_centre(enum mpivf_metric metric, size_t rows, size_t dim)
{
    float *row = room(rows * dim, sizeof *row), *centre = room(dim, sizeof *centre);
    fill_normal(row, rows * dim, 4, 3, 1);
    if (rows > 2)
        memset(row + dim, 0, dim * sizeof *row);
    mpivf_centre_mean(metric, row, rows, dim, centre);
    for (size_t j = 0; j < dim; j++) {
        double sum = 0;
        for (size_t i = 0; i < rows; i++) {
            double length = metric == MPIVF_COSINE ? sqrt(mpivf_square(row + i * dim, dim)) : 1;
            sum += length > 0 ? (double)row[i * dim + j] / length : 0;
        }
        if (fabs(centre[j] - sum / (double)rows) > 1e-6)
            fail_msg("%zu rows, column %zu of %zu: %g instead of %g", rows, j, dim,
                     (double)centre[j], sum / (double)rows);
    }
    assert_true(centre[dim] == 0);
    free(row);
    free(centre);
}

static void
the_centre_is_the_mean(void **state)
{
    (void)state;
    static const size_t dims[] = {1, 7, 255, 256, 257, 520, 768};
    for (int m = 0; m < MPIVF_METRICS; m++)
        for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
            check_centre((enum mpivf_metric)m, 1, dims[i]);
            check_centre((enum mpivf_metric)m, 41, dims[i]);
        }
}

static void
the_centre_of_odd_rows(void **state)
{
    (void)state;
    float row[4 * 3] = {0}, centre[3] = {7, 7, 7};
    mpivf_centre_mean(MPIVF_L2, row, 0, 3, centre);
    assert_true(centre[0] == 0 && centre[1] == 0 && centre[2] == 0);
    mpivf_centre_mean(MPIVF_COSINE, row, 4, 3, centre);
    assert_true(centre[0] == 0 && centre[1] == 0 && centre[2] == 0);
    for (size_t i = 0; i < 12; i++) /* their sum is no float */
        row[i] = 3e38f;
    mpivf_centre_mean(MPIVF_L2, row, 4, 3, centre);
    assert_true(centre[0] == 3e38f && centre[2] == 3e38f);
    for (size_t i = 0; i < 12; i++) /* lost in a float sum */
        row[i] = i < 3 ? 1e9f : i < 9 ? 3 : -1e9f;
    mpivf_centre_mean(MPIVF_L2, row, 4, 3, centre);
    assert_true(centre[0] == 1.5f && centre[1] == 1.5f && centre[2] == 1.5f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("prepare: a row of a subset is what it was", a_subset_is_what_it_was),
        TEST("prepare: rows of a subset are scanned like others", a_subset_is_scanned),
        TEST("prepare: the centre is the mean", the_centre_is_the_mean),
        TEST("prepare: the centre of no rows, zero rows and large ones", the_centre_of_odd_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
