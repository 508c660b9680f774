/*
 * Rows that are queries too: each query has to find what the definition finds among all other rows,
 * however the rows come in slabs, by any filter, and by any thread.
 */
#include "rows.h"

#include "math/blas.h"
#include "math/centre.h"
#include "math/distance.h"
#include "math/nearest.h"

enum { MAX = 700, THREADS = 3, FIRST = 40 }; /* FIRST: the number of query 0 */

static struct mpivf_context ctx;

/* ---- which pairs are compared ---- */

static void
every_pair_once(void **state)
{
    (void)state;
    for (size_t n = 1; n < 40; n++) {
        struct mpivf_mirror mirror = {.n = n};
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++)
                assert_int_equal(mpivf_mirror_has(&mirror, i, j) + mpivf_mirror_has(&mirror, j, i),
                                 i != j);
    }
}

/* A block may only be left out when no pair of it is compared. */
static void
blocks_left_out_have_no_pair(void **state)
{
    (void)state;
    size_t left_out = 0;
    for (uint64_t round = 0; round < 4000; round++) {
        uint32_t query[60];
        size_t n = 1 + draw(round, 0) % 60, rows = 0;
        for (uint32_t q = 0; q < n; q++) /* not all are there */
            if (draw(round, 1 + q) % 3)
                query[rows++] = q;
        struct mpivf_mirror mirror = {.n = n, .rows = rows, .query = query};
        size_t i = draw(round, 100) % n, end = i + draw(round, 101) % (n - i + 1);
        size_t at = rows ? draw(round, 102) % rows : 0, some = draw(round, 103) % 12;
        bool any = false;
        for (size_t q = i; q < end; q++)
            for (size_t r = at; r < at + some && r < rows; r++)
                any |= mpivf_mirror_has(&mirror, q, query[r]);
        bool told = mpivf_mirror_any(&mirror, i, end, at, some);
        assert_true(told || !any);
        left_out += !told;
    }
    assert_true(left_out > 1000);
}

/* ---- what is found ---- */

struct scan {
    enum mpivf_metric metric;
    const struct mpivf_filter *filter;
    size_t dim, k;
    size_t n;      /* rows, all of them queries */
    size_t circle; /* of those only the first are compared once */
    bool looks;    /* first at projected rows */
    const float *row;
    uint64_t round;
};

/* Which slab a row comes in. */
static size_t
slab_of(const struct scan *scan, size_t row, size_t slabs)
{
    return draw(scan->round, row / 7) % slabs;
}

static void
fill_first(const struct scan *scan, const float *centre, struct mpivf_first *first,
           struct mpivf_pool *pool)
{
    mpivf_projection_lay_out(&first->projection, pool, scan->dim);
    assert_ok(&ctx, mpivf_pool_status(pool));
    assert_ok(&ctx, mpivf_projection_find(
                        &ctx, &first->projection, scan->metric, mpivf_raw_of(false, scan->row), 1,
                        mpivf_projection_rows(scan->dim, scan->n), mpivf_raw_of(false, centre)));
}

/* The rows of a slab that are on the circle, or those that are not. */
static size_t
take_rows(const struct scan *scan, size_t slab, size_t slabs, bool on, float *row, uint64_t *number)
{
    size_t rows = 0;
    for (size_t i = 0; i < scan->n; i++)
        if (slab_of(scan, i, slabs) == slab && (i < scan->circle) == on) {
            memcpy(row + rows * scan->dim, scan->row + i * scan->dim, scan->dim * sizeof *row);
            number[rows++] = FIRST + i;
        }
    return rows;
}

static uint64_t
scan_slabs(const struct scan *scan, struct mpivf_topk *topk)
{
    size_t dim = scan->dim, slabs = 1 + scan->round % 4, n = scan->n;
    struct mpivf_packed_queries queries;
    struct mpivf_packed_rows packed;
    struct mpivf_mirror mirror = {.n = 0};
    struct mpivf_pool pool = mpivf_pool_taking(&ctx, "scanning");
    struct mpivf_tile *tile = mpivf_tile_take(&pool, THREADS, dim);
    struct mpivf_pending *pending = mpivf_pending_take(&pool, THREADS);
    float *centre = room(dim, sizeof *centre), *row = room(MAX * dim, sizeof *row);
    int64_t own[MAX];
    uint64_t number[MAX], computed = 0;
    struct mpivf_first first = {.filter = scan->filter};
    mpivf_centre_mean(scan->metric, scan->row, n, dim, centre);
    if (scan->looks)
        fill_first(scan, centre, &first, &pool);
    const struct mpivf_first *looks = scan->looks && first.projection.axes > 0 ? &first : NULL;
    mpivf_packed_queries_lay_out(&queries, &pool, scan->metric, scan->filter, dim, n, looks,
                                 THREADS);
    mpivf_packed_rows_lay_out(&packed, &pool, scan->metric, scan->filter, dim, n, looks, THREADS);
    mpivf_mirror_lay_out(&mirror, &pool, n, n, scan->k, THREADS);
    assert_ok(&ctx, mpivf_pool_status(&pool));
    mpivf_packed_queries_fill(&queries, scan->row, n, centre);
    for (size_t i = 0; i < n; i++)
        own[i] = FIRST + (int64_t)i;
    for (size_t s = 0; s < 2 * slabs; s++) {
        bool on = s % 2 == 0; /* rows on the circle, then the others of the slab */
        size_t rows = take_rows(scan, s / 2, slabs, on, row, number);
        struct mpivf_scan_of circle = {.n = scan->circle, .mirror = &mirror};
        struct mpivf_scan_of others = {
            .first = on ? scan->circle : 0, .n = on ? n - scan->circle : n, .own = own};
        mpivf_packed_rows_fill(&packed, row, rows, centre, (int64_t *)(void *)number, 0);
        if (on) {
            mpivf_mirror_begin(&mirror, &queries, topk, number, rows, FIRST, scan->circle);
            mpivf_nearest_scan_threads(&queries, &circle, &packed, topk, tile, pending, THREADS);
            mpivf_mirror_settle(&mirror, THREADS);
        }
        mpivf_nearest_scan_threads(&queries, &others, &packed, topk, tile, pending, THREADS);
    }
    for (int t = 0; t < THREADS; t++)
        computed += pending[t].computed + mirror.pending[t].computed;
    mpivf_pool_clear(&pool);
    free(centre);
    free(row);
    return computed;
}

/* The k nearest of query q and the ties beyond, [k + 1]. */
static void
expect(const struct scan *scan, size_t q, struct mpivf_candidate *all, struct mpivf_candidate *want)
{
    const float *query = scan->row + q * scan->dim;
    double square = mpivf_square(query, scan->dim);
    size_t n = 0;
    for (size_t i = 0; i < scan->n; i++)
        if (i != q)
            all[n++] = (struct mpivf_candidate){
                mpivf_distance(scan->metric, query, square, scan->row + i * scan->dim, scan->dim),
                FIRST + (int64_t)i};
    qsort(all, n, sizeof *all, nearer);
    for (size_t i = 0; i < scan->k; i++)
        want[i] = i < n ? all[i] : (struct mpivf_candidate){INFINITY, -1};
    want[scan->k] = (struct mpivf_candidate){want[scan->k - 1].distance, 0};
    for (size_t i = scan->k; i < n && all[i].distance == all[scan->k - 1].distance; i++)
        want[scan->k].id++;
}

static uint64_t
check(const struct scan *scan, const char *what)
{
    struct mpivf_topk topk;
    size_t k = scan->k;
    struct mpivf_candidate *block = room(scan->n * (k + 1), sizeof *block);
    struct mpivf_candidate *want = room(k + 1, sizeof *want), *all = room(scan->n, sizeof *all);
    assert_ok(&ctx, mpivf_topk_init(&ctx, &topk, scan->n, k));
    uint64_t computed = scan_slabs(scan, &topk);
    mpivf_topk_export(&topk, block);
    for (size_t q = 0; q < scan->n; q++) {
        const struct mpivf_candidate *got = block + q * (k + 1);
        expect(scan, q, all, want);
        for (size_t i = 0; i <= k; i++)
            if (got[i].id != want[i].id || got[i].distance != want[i].distance)
                fail_msg("%s, %s, %s, %zu x %zu, circle %zu, k %zu, query %zu, place %zu: %lld at "
                         "%.17g instead of %lld at %.17g",
                         what, mpivf_metric_name(scan->metric), scan->filter->name, scan->n,
                         scan->dim, scan->circle, k, q, i, (long long)got[i].id, got[i].distance,
                         (long long)want[i].id, want[i].distance);
    }
    mpivf_topk_clear(&topk);
    free(block);
    free(want);
    free(all);
    return computed;
}

static void
all_is_found(void **state)
{
    (void)state;
    static const size_t dims[] = {1, 100, 3, 16, 40}, ks[] = {1, 15, 100, 5, 800},
                        ns[] = {MAX, 1, 2, 97, MAX - 1, 600};
    mpivf_blas_init();
    mpivf_context_init(&ctx);
    uint64_t round = 0;
    for (size_t kind = 0; kind < KINDS; kind++)
        for (int f = 0; f < MPIVF_FILTERS; f++) {
            struct scan scan = {.metric = (enum mpivf_metric)((kind + (size_t)f) % MPIVF_METRICS),
                                .filter = mpivf_filter(f),
                                .dim = dims[round / 3 % 5],
                                .k = ks[round / 2 % 5],
                                .n = ns[round % 6],
                                .looks = round % 3 > 0 && mpivf_filter(f)->round,
                                .round = round};
            round++;
            if (!mpivf_filter_runs(scan.filter, scan.dim))
                continue;
            scan.circle = round % 4 ? scan.n : scan.n - scan.n / 3;
            float *row = room(scan.n * scan.dim, sizeof *row);
            kinds[kind].fill(row, scan.n, scan.dim, round);
            scan.row = row;
            check(&scan, kinds[kind].name);
            free(row);
        }
    assert_int_equal(ctx.memory.used, 0);
}

/* Rows that are looked at first along axes, and rows that go in parts. */
static void
wide_rows_too(void **state)
{
    (void)state;
    mpivf_context_init(&ctx);
    for (uint64_t round = 0; round < 12; round++) {
        struct scan scan = {.metric = (enum mpivf_metric)(round % MPIVF_METRICS),
                            .filter = mpivf_filter((int)(round % MPIVF_FILTERS)),
                            .dim = round % 2 ? 2000 : 400,
                            .k = 10,
                            .n = 300,
                            .circle = round % 3 ? 300 : 200,
                            .looks = round % 4 < 2 && mpivf_filter((int)(round % 5))->round,
                            .round = round};
        if (!mpivf_filter_runs(scan.filter, scan.dim))
            continue;
        float *row = room(scan.n * scan.dim, sizeof *row);
        falling(row, scan.n, scan.dim, round);
        scan.row = row;
        check(&scan, "falling");
        free(row);
    }
    assert_int_equal(ctx.memory.used, 0);
}

/* A mirror that kept all pairs would be right too. */
static void
few_are_computed(void **state)
{
    (void)state;
    struct scan scan = {.filter = mpivf_filter(MPIVF_FILTER_INT16),
                        .dim = 32,
                        .k = 5,
                        .n = MAX,
                        .circle = MAX,
                        .round = 0};
    mpivf_context_init(&ctx);
    float *row = room(scan.n * scan.dim, sizeof *row);
    gaussian(row, scan.n, scan.dim, 3);
    scan.row = row;
    assert_in_range(check(&scan, "gaussian"), MAX * 5, MAX * 5 * 3 / 2);
    free(row);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("mirror: every pair is compared once", every_pair_once),
        TEST("mirror: blocks that are left out have no pair", blocks_left_out_have_no_pair),
        TEST("mirror: all is found", all_is_found),
        TEST("mirror: in wide rows too", wide_rows_too),
        TEST("mirror: few distances are computed", few_are_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
