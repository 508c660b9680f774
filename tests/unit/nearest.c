/*
 * The scan against the definition: every canonical distance, sorted by (distance, id).
 * The bits of the distances, the ids and the count of ties have to be the same for all
 * data and every filter, however it is cut into sets. MPIVF_KERNEL says which kernels.
 */
#include "rows.h"

#include "math/blas.h"
#include "math/centre.h"
#include "math/distance.h"
#include "math/nearest.h"

/* More than a block of rows and one of queries. */
enum { ROWS = 1500, QUERIES = 103, THREADS = 2 };

static struct mpivf_context ctx;

/* ---- the definition ---- */

/* All rows of each query in order, [QUERIES, ROWS]. */
static void
brute_force(enum mpivf_metric metric, const float *query, const float *row, const int64_t *id,
            size_t dim, struct mpivf_candidate *all)
{
    for (size_t q = 0; q < QUERIES; q++) {
        double square = mpivf_square(query + q * dim, dim);
        for (size_t i = 0; i < ROWS; i++) {
            double d = mpivf_distance(metric, query + q * dim, square, row + i * dim, dim);
            all[q * ROWS + i] = (struct mpivf_candidate){d, id[i]};
        }
        qsort(all + q * ROWS, ROWS, sizeof *all, nearer);
    }
}

/* The k best of one query but `own`, and the ties beyond, [k + 1]. */
static void
expect(const struct mpivf_candidate *all, int64_t own, size_t k, struct mpivf_candidate *want)
{
    size_t n = 0;
    for (size_t i = 0; i < k; i++)
        want[i] = (struct mpivf_candidate){INFINITY, -1};
    want[k] = (struct mpivf_candidate){INFINITY, 0};
    for (size_t i = 0; i < ROWS; i++) {
        if (all[i].id == own)
            continue;
        if (n < k)
            want[n++] = all[i];
        else if (all[i].distance == want[k - 1].distance)
            want[k].id++;
    }
    want[k].distance = want[k - 1].distance;
}

/* ---- the scan ---- */

struct scan {
    enum mpivf_metric metric;
    const struct mpivf_filter *filter;
    bool first; /* look first at projected rows, where there are any */
    size_t dim, k;
    const float *query, *row;
    const int64_t *id, *own;
    const uint32_t *subset; /* NULL = all */
    size_t n;               /* of the queries asked */
    int threads;
};

/* The axes of the first rows, if there are any to look at first. */
static bool
find_first(const struct scan *scan, const float *centre, struct mpivf_first *first,
           struct mpivf_pool *pool)
{
    size_t n = mpivf_projection_rows(scan->dim, 800);
    if (!scan->first || n == 0 || scan->filter->round == NULL)
        return false;
    mpivf_projection_lay_out(&first->projection, pool, scan->dim);
    assert_ok(&ctx, mpivf_pool_status(pool));
    assert_ok(&ctx, mpivf_projection_find(&ctx, &first->projection, scan->metric,
                                          mpivf_raw_of(false, scan->row), 1, n,
                                          mpivf_raw_of(false, centre)));
    return first->projection.axes > 0;
}

/* Scan the rows in sets of different sizes; the last has ids that count up. */
static uint64_t
scan_sets(const struct scan *scan, struct mpivf_topk *topk)
{
    static const size_t cut[] = {0, 1100, 1101, 1101, 1300, ROWS};
    size_t dim = scan->dim;
    struct mpivf_packed_queries queries;
    struct mpivf_packed_rows packed;
    struct mpivf_pool pool = mpivf_pool_taking(&ctx, "scanning");
    struct mpivf_tile *tile = mpivf_tile_take(&pool, THREADS, dim);
    struct mpivf_pending *pending = mpivf_pending_take(&pool, THREADS);
    float *centre = room(dim, sizeof *centre);
    struct mpivf_first first = {.filter = scan->filter};
    mpivf_centre_mean(scan->metric, scan->row, 500, dim, centre);
    bool looks = find_first(scan, centre, &first, &pool);
    mpivf_packed_queries_lay_out(&queries, &pool, scan->metric, scan->filter, dim, QUERIES,
                                 looks ? &first : NULL, THREADS);
    mpivf_packed_rows_lay_out(&packed, &pool, scan->metric, scan->filter, dim, ROWS,
                              looks ? &first : NULL, THREADS);
    assert_ok(&ctx, mpivf_pool_status(&pool));
    mpivf_packed_queries_fill(&queries, scan->query, QUERIES, centre);
    struct mpivf_scan_of of = {.subset = scan->subset, .n = scan->n, .own = scan->own};
    for (size_t s = 0; s + 1 < sizeof cut / sizeof cut[0]; s++) {
        const int64_t *id = scan->id + cut[s];
        bool counting = s + 2 == sizeof cut / sizeof cut[0];
        mpivf_packed_rows_fill(&packed, scan->row + cut[s] * dim, cut[s + 1] - cut[s], centre,
                               counting ? NULL : id, *id);
        if (scan->threads > 1)
            mpivf_nearest_scan_threads(&queries, &of, &packed, topk, tile, pending, THREADS);
        else
            mpivf_nearest_scan(&queries, &of, &packed, topk, tile, pending);
    }
    uint64_t computed = 0;
    for (int t = 0; t < THREADS; t++)
        computed += pending[t].computed;
    mpivf_pool_clear(&pool);
    free(centre);
    return computed;
}

static void
assert_query(const struct mpivf_candidate *got, const struct mpivf_candidate *want, size_t k,
             size_t q, const struct scan *scan, const char *what)
{
    for (size_t i = 0; i <= k; i++)
        if (got[i].id != want[i].id || got[i].distance != want[i].distance)
            fail_msg("%s, %s, k %zu, query %zu, place %zu: %lld at %.17g instead of %lld "
                     "at %.17g",
                     what, scan->filter->name, k, q, i, (long long)got[i].id, got[i].distance,
                     (long long)want[i].id, want[i].distance);
}

static uint64_t
compare(struct scan scan, const struct mpivf_candidate *all, const char *what)
{
    struct mpivf_topk topk;
    size_t k = scan.k;
    struct mpivf_candidate *block = room(QUERIES * (k + 1), sizeof *block);
    struct mpivf_candidate *want = room(k + 1, sizeof *want);
    assert_ok(&ctx, mpivf_topk_init(&ctx, &topk, QUERIES, k));
    uint64_t computed = scan_sets(&scan, &topk);
    mpivf_topk_export(&topk, block);
    for (size_t i = 0; i < scan.n; i++) {
        size_t q = scan.subset ? scan.subset[i] : i;
        expect(all + q * ROWS, scan.own ? scan.own[q] : -1, k, want);
        assert_query(block + q * (k + 1), want, k, q, &scan, what);
    }
    for (size_t q = 0; q < QUERIES && scan.subset; q++)
        if (q % 3 == 1)
            assert_int_equal(topk.count[q], 0); /* was not asked */
    mpivf_topk_clear(&topk);
    free(block);
    free(want);
    return computed;
}

/* Ids that neither ascend nor start at 0, except in the last set. */
static int64_t *
make_ids(void)
{
    int64_t *id = room(ROWS, sizeof *id);
    for (uint64_t i = 0; i < ROWS; i++)
        id[i] = i < 1300 ? 7 + (int64_t)mpivf_random_place(5, MPIVF_FOR_DEAL, 1300, i)
                         : (int64_t)i + 100;
    return id;
}

/* Every filter, with all queries and with some, with rows of their own and without. */
static void
check_filters(struct scan scan, const struct mpivf_candidate *all, const char *what)
{
    /* from 1000 on queries do not fit a scan together, at 8000 no bounds are kept */
    static const size_t ks[] = {1, 10, 100, 1000, ROWS + 50, 8000};
    uint32_t subset[QUERIES];
    int64_t own[QUERIES];
    size_t asked = 0, turn = scan.dim;
    for (uint32_t q = QUERIES; q-- > 0;) {
        if (q % 3 != 1)
            subset[asked++] = q;
        own[q] = q % 4 == 3 ? -1 : q % 4 == 2 ? scan.id[q] : all[q * ROWS].id;
    }
    for (int f = 0; f < MPIVF_FILTERS; f++) {
        scan.filter = mpivf_filter(f);
        if (!mpivf_filter_runs(scan.filter, scan.dim))
            continue;
        for (size_t i = 0; i < 2; i++, turn++) {
            scan.first = turn % 3 < 2;
            /* all rows, which is slow, less often */
            scan.k = ks[(turn + (size_t)f) % 17 % 9 % 6];
            scan.own = turn % 2 ? own : NULL;
            scan.subset = turn / 2 % 2 ? subset : NULL;
            scan.n = scan.subset ? asked : QUERIES;
            scan.threads = 1 + (int)(turn / 4) % THREADS;
            compare(scan, all, what);
        }
    }
}

static void
check(const struct data *base_data, const struct data *query_data, enum mpivf_metric metric,
      size_t dim)
{
    float *row = room(ROWS * dim, sizeof *row);
    float *query = room(QUERIES * dim, sizeof *query);
    struct mpivf_candidate *all = room((size_t)QUERIES * ROWS, sizeof *all);
    int64_t *id = make_ids();
    base_data->fill(row, ROWS, dim, 1 + dim);
    query_data->fill(query, QUERIES, dim, 1000 + dim);
    /* rows that are in the base */
    memcpy(query, row + 17 * dim, 3 * dim * sizeof *query);
    brute_force(metric, query, row, id, dim, all);
    char what[128];
    snprintf(what, sizeof what, "%s, %s in %s, %zu columns", mpivf_metric_name(metric),
             query_data->name, base_data->name, dim);
    struct scan scan = {.metric = metric, .dim = dim, .query = query, .row = row, .id = id};
    check_filters(scan, all, what);
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
    for (size_t kind = 0; kind < KINDS; kind++)
        check(&kinds[kind], &kinds[kind], metric, dims[(kind + (size_t)metric) % 4]);
    for (size_t kind = 0; kind < 3; kind++)
        check(&kinds[kind], &kinds[kind], metric, 100);
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
    static const size_t kind[] = {2, 12, 8};
    mpivf_context_init(&ctx);
    for (size_t i = 0; i < 3; i++)
        check(&kinds[kind[i]], &kinds[kind[i]], (enum mpivf_metric)i, 768 + 700 * i);
}

/* Queries of other sizes than the rows: products overflow though the rows do not. */
static void
exact_mixed(void **state)
{
    (void)state;
    static const size_t pair[][2] = {{0, 6}, {6, 0}, {5, 6},  {6, 5},   {3, 6},  {0, 2},
                                     {2, 0}, {0, 8}, {8, 15}, {13, 15}, {15, 14}};
    mpivf_context_init(&ctx);
    for (size_t i = 0; i < sizeof pair / sizeof pair[0]; i++)
        check(&kinds[pair[i][0]], &kinds[pair[i][1]], (enum mpivf_metric)(i % MPIVF_METRICS), 16);
}

/* Thousands of rows at exactly the k-th distance, in one set, several and none. */
static void
ties_are_counted(void **state)
{
    (void)state;
    static const struct data equal = {"doubled", doubled};
    mpivf_context_init(&ctx);
    for (int metric = 0; metric < MPIVF_METRICS; metric++)
        for (size_t dim = 1; dim < 20; dim += 7)
            check(&equal, &equal, (enum mpivf_metric)metric, dim);
}

/* Query (2e20, 2e20), rows (-a, b), (a, -b): products overflow, their sum is small. */
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

/* A filter that excludes nothing would be right too. */
static void
few_are_computed(void **state)
{
    (void)state;
    enum { DIM = 16 };
    float *row = room(ROWS * DIM, sizeof *row);
    float *query = room(QUERIES * DIM, sizeof *query);
    struct mpivf_candidate *all = room((size_t)QUERIES * ROWS, sizeof *all);
    int64_t *id = make_ids();
    mpivf_context_init(&ctx);
    gaussian(row, ROWS, DIM, 1);
    gaussian(query, QUERIES, DIM, 2);
    for (int m = 0; m < MPIVF_METRICS; m++) {
        struct scan scan = {.metric = (enum mpivf_metric)m,
                            .dim = DIM,
                            .query = query,
                            .row = row,
                            .id = id,
                            .k = 10,
                            .n = QUERIES,
                            .threads = 1 + m % 2};
        brute_force(scan.metric, query, row, id, DIM, all);
        for (int f = 0; f < MPIVF_FILTERS; f++) {
            scan.filter = mpivf_filter(f);
            if (!mpivf_filter_runs(scan.filter, DIM))
                continue;
            uint64_t computed = compare(scan, all, "few are computed");
            double each = (double)computed / (QUERIES * 10);
            if (each < 1 || each > (f == MPIVF_FILTER_INT8 ? 2 : f == MPIVF_FILTER_INT7 ? 3 : 1.5))
                fail_msg("%s, %s: %g computed for each neighbour", mpivf_metric_name(scan.metric),
                         scan.filter->name, each);
        }
    }
    free(row);
    free(query);
    free(all);
    free(id);
}

/* Why all this is needed: with a common offset, float32 alone finds other neighbours. */
static void
float_alone_is_wrong(void **state)
{
    (void)state;
    enum { DIM = 16 };
    float *row = room(ROWS * DIM, sizeof *row);
    float *query = room(QUERIES * DIM, sizeof *query);
    float *product = room((size_t)QUERIES * ROWS, sizeof *product);
    size_t wrong = 0;
    common_offset(row, ROWS, DIM, 1);
    common_offset(query, QUERIES, DIM, 2);
    mpivf_blas_products(query, QUERIES, row, ROWS, DIM, product, ROWS);
    for (size_t q = 0; q < QUERIES; q++) {
        size_t best = 0, found = 0;
        double min = INFINITY;
        float expanded_min = INFINITY;
        for (size_t i = 0; i < ROWS; i++) {
            double d = mpivf_distance(MPIVF_L2, query + q * DIM, 0, row + i * DIM, DIM);
            float expanded = (float)mpivf_square(row + i * DIM, DIM) - 2 * product[q * ROWS + i];
            best = d < min ? i : best;
            min = d < min ? d : min;
            found = expanded < expanded_min ? i : found;
            expanded_min = expanded < expanded_min ? expanded : expanded_min;
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
        TEST("nearest: rows that go in parts", exact_wide),
        TEST("nearest: ties are counted", ties_are_counted),
        TEST("nearest: queries of another size than the rows", exact_mixed),
        TEST("nearest: sums that overflow on the way", exact_when_sums_overflow_on_the_way),
        TEST("nearest: few distances are computed", few_are_computed),
        TEST("nearest: float32 alone finds wrong neighbours", float_alone_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
