/*
 * The scan against the definition: every canonical distance, sorted by (distance, id). The bits
 * of the distances and the ids have to be the same for all data, however it is cut into sets.
 */
#include "testing.h"

#include "math/blas.h"
#include "math/distance.h"
#include "math/nearest.h"

#include <math.h>

enum { ROWS = 2300, QUERIES = 103, THREADS = 2 }; /* more than two tiles of rows, one of queries */

struct data {
    const char *name;
    void (*fill)(float *x, size_t rows, size_t dim, uint64_t stream);
};

static void
gaussian(float *x, size_t rows, size_t dim, uint64_t stream)
{
    fill_normal(x, rows * dim, stream, 1, 0);
}

static void
few_whole_numbers(float *x, size_t rows, size_t dim, uint64_t stream)
{
    fill_whole(x, rows * dim, stream, 3);
    for (size_t i = 0; i < rows; i++) /* in many dimensions they would all differ */
        if (draw(stream + 1, i) % 4 > 0)
            memcpy(x + i * dim, x + draw(stream + 2, i) % 10 % rows * dim, dim * sizeof *x);
}

static void
common_offset(float *x, size_t rows, size_t dim, uint64_t stream)
{
    fill_normal(x, rows * dim, stream, 1, 1e5);
}

static void
tiny_values(float *x, size_t rows, size_t dim, uint64_t stream)
{
    fill_normal(x, rows * dim, stream, 1e-30, 0);
}

static void
subnormal_values(float *x, size_t rows, size_t dim, uint64_t stream)
{
    fill_normal(x, rows * dim, stream, 1e-44, 0);
}

static void
huge_values(float *x, size_t rows, size_t dim, uint64_t stream)
{
    fill_normal(x, rows * dim, stream, 1e18, 0);
}

static void
larger_than_products(float *x, size_t rows, size_t dim, uint64_t stream)
{
    fill_normal(x, rows * dim, stream, 1e30, 0);
}

static void
largest_floats(float *x, size_t rows, size_t dim, uint64_t stream)
{
    fill_normal(x, rows * dim, stream, 9e37, 0);
}

static void
all_magnitudes(float *x, size_t rows, size_t dim, uint64_t stream)
{
    gaussian(x, rows, dim, stream);
    for (size_t i = 0; i < rows; i++) {
        int power = (int)(draw(stream + 1, i) % 140) - 70;
        for (size_t j = 0; j < dim; j++)
            x[i * dim + j] = ldexpf(x[i * dim + j], power);
    }
}

static void
some_zero_rows(float *x, size_t rows, size_t dim, uint64_t stream)
{
    gaussian(x, rows, dim, stream);
    for (size_t i = 0; i < rows; i++)
        if (draw(stream + 1, i) % 3 == 0)
            memset(x + i * dim, 0, dim * sizeof *x);
}

static void
all_zero(float *x, size_t rows, size_t dim, uint64_t stream)
{
    (void)stream;
    memset(x, 0, rows * dim * sizeof *x);
}

static const struct data kinds[] = {
    {"gaussian", gaussian},         {"few whole numbers", few_whole_numbers},
    {"common offset", common_offset}, {"1e-30", tiny_values},
    {"1e-44", subnormal_values},    {"1e18", huge_values},
    {"1e30", larger_than_products}, {"9e37", largest_floats},
    {"all magnitudes", all_magnitudes}, {"zero rows", some_zero_rows},
    {"all zero", all_zero},
};

/* ---- the definition ---- */

static struct mpivf_context ctx;

/* All rows of each query in order, [QUERIES, ROWS]. */
static void
brute_force(enum mpivf_metric metric, const float *query, const float *row, const int64_t *id,
            size_t dim, struct mpivf_candidate *all)
{
    for (size_t q = 0; q < QUERIES; q++) {
        double square = mpivf_square(query + q * dim, dim);
        for (size_t i = 0; i < ROWS; i++) {
            double d = mpivf_distance(metric, query + q * dim, square, row + i * dim, dim);
            all[q * ROWS + i] = (struct mpivf_candidate){d, d, id[i]};
        }
        mpivf_topk_sort(all + q * ROWS, ROWS);
    }
}

/* ---- the scan ---- */

struct scan {
    enum mpivf_metric metric;
    size_t dim, k;
    const float *query, *row;
    const int64_t *id;
    const uint32_t *subset; /* NULL = all */
    size_t n;               /* of the queries asked */
    int threads;
};

/* Scan the rows in sets of different sizes; the last has ids that count up. */
static void
scan_sets(const struct scan *scan, struct mpivf_topk *topk)
{
    static const size_t cut[] = {0, 1100, 1101, 1101, 2000, ROWS};
    size_t dim = scan->dim;
    struct mpivf_queries queries;
    struct mpivf_base base;
    struct mpivf_tile tile[THREADS] = {0};
    float *centre = room(dim, sizeof *centre);
    assert_ok(&ctx, mpivf_queries_init(&ctx, &queries, scan->metric, dim, QUERIES));
    assert_ok(&ctx, mpivf_base_init(&ctx, &base, scan->metric, dim, ROWS));
    for (int t = 0; t < THREADS; t++)
        assert_ok(&ctx, mpivf_tile_init(&ctx, &tile[t], dim));
    mpivf_nearest_centre(scan->metric, scan->row, 500, dim, centre);
    mpivf_queries_fill(&queries, scan->query, QUERIES, centre);
    for (size_t s = 0; s + 1 < sizeof cut / sizeof cut[0]; s++) {
        const int64_t *id = scan->id + cut[s];
        bool counting = s + 2 == sizeof cut / sizeof cut[0];
        mpivf_base_fill(&base, scan->row + cut[s] * dim, cut[s + 1] - cut[s], centre,
                        counting ? NULL : id, *id);
        if (scan->threads > 1)
            mpivf_nearest_scan_threads(&queries, scan->subset, scan->n, &base, topk, tile, THREADS);
        else
            mpivf_nearest_scan(&queries, scan->subset, 0, scan->n, &base, topk, tile);
    }
    for (int t = 0; t < THREADS; t++)
        mpivf_tile_clear(&ctx, &tile[t]);
    mpivf_base_clear(&ctx, &base);
    mpivf_queries_clear(&ctx, &queries);
    free(centre);
}

static void
assert_query(const struct mpivf_candidate *got, const struct mpivf_candidate *all, size_t k,
             size_t q, const char *what)
{
    for (size_t i = 0; i < k; i++) {
        bool there = i < ROWS;
        int64_t id = there ? all[q * ROWS + i].id : -1;
        double distance = there ? all[q * ROWS + i].lo : INFINITY;
        if (got[i].id != id || got[i].lo != distance || got[i].hi != distance)
            fail_msg("%s, k %zu, query %zu, place %zu: row %lld at %.17g instead of %lld at %.17g",
                     what, k, q, i, (long long)got[i].id, got[i].lo, (long long)id, distance);
    }
}

static void
compare(struct scan scan, const struct mpivf_candidate *all, const char *what)
{
    struct mpivf_topk topk;
    struct mpivf_candidate *block = room(QUERIES * scan.k, sizeof *block);
    assert_ok(&ctx, mpivf_topk_init(&ctx, &topk, QUERIES, scan.k));
    scan_sets(&scan, &topk);
    mpivf_topk_export(&topk, block);
    for (size_t i = 0; i < scan.n; i++) {
        size_t q = scan.subset ? scan.subset[i] : i;
        assert_query(block + q * scan.k, all, scan.k, q, what);
    }
    for (size_t q = 0; q < QUERIES && scan.subset; q++)
        if (q % 3 == 1)
            assert_int_equal(topk.count[q], 0); /* was not asked */
    mpivf_topk_clear(&ctx, &topk);
    free(block);
}

/* Ids that neither ascend nor start at 0, except in the last set. */
static int64_t *
make_ids(void)
{
    int64_t *id = room(ROWS, sizeof *id);
    for (uint64_t i = 0; i < ROWS; i++)
        id[i] = i < 2000 ? 7 + (int64_t)mpivf_random_place(5, MPIVF_FOR_DEAL, 2000, i)
                         : (int64_t)i + 100;
    return id;
}

static void
check(const struct data *base_data, const struct data *query_data, enum mpivf_metric metric,
      size_t dim)
{
    static const size_t ks[] = {1, 10, 100, ROWS + 50};
    float *row = room(ROWS * dim, sizeof *row), *query = room(QUERIES * dim, sizeof *query);
    struct mpivf_candidate *all = room((size_t)QUERIES * ROWS, sizeof *all);
    int64_t *id = make_ids();
    uint32_t subset[QUERIES];
    size_t asked = 0;
    for (uint32_t q = QUERIES; q-- > 0;)
        if (q % 3 != 1)
            subset[asked++] = q;
    base_data->fill(row, ROWS, dim, 1 + dim);
    query_data->fill(query, QUERIES, dim, 1000 + dim);
    memcpy(query, row + 17 * dim, 3 * dim * sizeof *query); /* rows that are in the base */
    brute_force(metric, query, row, id, dim, all);
    char what[128];
    snprintf(what, sizeof what, "%s, %s in %s, %zu columns", mpivf_metric_name(metric),
             query_data->name, base_data->name, dim);
    for (size_t i = 0; i < sizeof ks / sizeof ks[0]; i++) {
        struct scan scan = {metric, dim, ks[i], query, row, id, NULL, QUERIES, 1 + (int)i % 2};
        if (ks[i] > ROWS && dim % 2 == 0)
            continue; /* sorting everything is slow: not for every shape */
        compare(scan, all, what);
        if (i % 2 == dim % 2)
            continue;
        scan.subset = subset;
        scan.n = asked;
        scan.threads = THREADS - (int)i % 2;
        compare(scan, all, what);
    }
    free(row);
    free(query);
    free(all);
    free(id);
}

static void
check_all(enum mpivf_metric metric)
{
    static const size_t dims[] = {1, 16, 3, 100};
    mpivf_blas_init();
    mpivf_context_init(&ctx);
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
        for (size_t d = kind % 2; d < sizeof dims / sizeof dims[0]; d += 2)
            check(&kinds[kind], &kinds[kind], metric, dims[d]);
    assert_int_equal(ctx.memory.used, 0);
}

static void
exact_l2(void **state)
{
    (void)state;
    check_all(MPIVF_L2);
}

static void
exact_ip(void **state)
{
    (void)state;
    check_all(MPIVF_IP);
}

static void
exact_cosine(void **state)
{
    (void)state;
    check_all(MPIVF_COSINE);
}

static void
exact_wide(void **state)
{
    (void)state;
    mpivf_context_init(&ctx);
    for (int metric = 0; metric < MPIVF_METRICS; metric++)
        for (size_t kind = 0; kind < 7; kind += 2)
            check(&kinds[kind], &kinds[kind], (enum mpivf_metric)metric, 768);
}

/* Queries of other sizes than the rows: products overflow though the rows do not. */
static void
exact_mixed(void **state)
{
    (void)state;
    static const size_t pair[][2] = {{0, 6}, {6, 0}, {5, 6}, {6, 5}, {3, 6}, {0, 2}, {2, 0}, {0, 8}};
    mpivf_context_init(&ctx);
    for (size_t i = 0; i < sizeof pair / sizeof pair[0]; i++)
        for (int metric = 0; metric < MPIVF_METRICS; metric++)
            check(&kinds[pair[i][0]], &kinds[pair[i][1]], (enum mpivf_metric)metric, 16);
}

/* Query (2e20, 2e20), rows (-a, b) and (a, -b): each product overflows, their sum is small. */
static void
cancelling_rows(float *x, size_t rows, size_t dim, uint64_t stream)
{
    for (size_t i = 0; i < rows * dim; i++)
        x[i] = (float)(((i % dim + draw(stream + 1, i / dim)) % 2 ? 2e18 : -2e18) *
                       (1 + 0.01 * (double)(draw(stream, i) % 100) / 100));
}

static void
far_queries(float *x, size_t rows, size_t dim, uint64_t stream)
{
    for (size_t i = 0; i < rows * dim; i++)
        x[i] = (float)(2e20 * (1 + 1e-3 * (double)(draw(stream, i) % 100) / 100));
}

static void
exact_when_sums_overflow_on_the_way(void **state)
{
    (void)state;
    static const struct data row = {"cancelling rows", cancelling_rows};
    static const struct data query = {"far queries", far_queries};
    mpivf_context_init(&ctx);
    check(&row, &query, MPIVF_L2, 2);
    check(&row, &query, MPIVF_IP, 2);
}

/* Why all this is needed: with a common offset, float32 alone finds other neighbours. */
static void
float_alone_is_wrong(void **state)
{
    (void)state;
    enum { DIM = 16 };
    float *row = room(ROWS * DIM, sizeof *row), *query = room(QUERIES * DIM, sizeof *query);
    float *product = room((size_t)QUERIES * ROWS, sizeof *product);
    size_t wrong = 0;
    common_offset(row, ROWS, DIM, 1);
    common_offset(query, QUERIES, DIM, 2);
    mpivf_blas_products(query, QUERIES, row, ROWS, DIM, product, ROWS);
    for (size_t q = 0; q < QUERIES; q++) {
        size_t best = 0, found = 0;
        double least = INFINITY;
        float expanded_least = INFINITY;
        for (size_t i = 0; i < ROWS; i++) {
            double d = mpivf_distance(MPIVF_L2, query + q * DIM, 0, row + i * DIM, DIM);
            float expanded = (float)mpivf_square(row + i * DIM, DIM) - 2 * product[q * ROWS + i];
            best = d < least ? i : best;
            least = d < least ? d : least;
            found = expanded < expanded_least ? i : found;
            expanded_least = expanded < expanded_least ? expanded : expanded_least;
        }
        wrong += found != best;
    }
    assert_true(wrong > QUERIES / 2);
    free(row);
    free(query);
    free(product);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("nearest: l2 is the brute force", exact_l2),
        TEST("nearest: ip is the brute force", exact_ip),
        TEST("nearest: cosine is the brute force", exact_cosine),
        TEST("nearest: 768 columns", exact_wide),
        TEST("nearest: queries of another size than the rows", exact_mixed),
        TEST("nearest: sums that overflow on the way", exact_when_sums_overflow_on_the_way),
        TEST("nearest: float32 alone finds wrong neighbours", float_alone_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
