/*
 * The nearest row alone against the definition: that of the least canonical distance, ties to the
 * smaller id, whether a query comes with a row that it knows or not. MPIVF_KERNEL says which
 * kernels.
 */
#include "rows.h"

#include "math/centre.h"
#include "math/distance.h"
#include "math/nearest.h"

#include <math.h>

/* More than a block of rows and more than one of queries for sgemm. */
enum { ROWS = 1300, QUERIES = 103, NONE = UINT32_MAX };

static struct mpivf_context ctx;

/* What queries come with. */
enum known { NOTHING, NEAREST, ANY, LAST_EQUAL, MIXED, KNOWN };

static const char *const names[KNOWN] = {"nothing known", "the nearest known", "any row known",
                                         "the last of equals known", "some known"};

struct problem {
    const struct mpivf_filter *filter;
    enum known known;
    size_t dim;
    const float *row, *query;
    const double *all; /* [QUERIES, ROWS] */
    const char *what;
};

static void
distances(const float *query, const float *row, size_t dim, double *all)
{
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t i = 0; i < ROWS; i++)
            all[q * ROWS + i] = mpivf_distance(MPIVF_L2, query + q * dim, 0, row + i * dim, dim);
}

/* The nearest of a query, the first of equals or the last. */
static uint32_t
nearest_of(const double *all, bool last)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < ROWS; i++)
        if (all[i] < all[best] || (last && all[i] == all[best]))
            best = i;
    return best;
}

static uint32_t
known_row(const struct problem *p, size_t q)
{
    enum known known = p->known == MIXED ? (enum known)(q % MIXED) : p->known;
    const double *all = p->all + q * ROWS;
    return known == NOTHING   ? NONE
           : known == NEAREST ? nearest_of(all, false)
           : known == ANY     ? (uint32_t)(draw(77, q) % ROWS)
                              : nearest_of(all, true);
}

/* Scan the rows in sets; the second is picked, backwards. */
static void
scan_sets(const struct problem *p, const struct mpivf_scan_of *of, const struct mpivf_best *best,
          struct mpivf_tile *tile)
{
    enum { CUT = 1100 };
    size_t dim = p->dim;
    struct mpivf_packed_queries queries;
    struct mpivf_packed_rows base, picked;
    uint32_t subset[ROWS];
    float *centre = room(dim, sizeof *centre);
    mpivf_centre_mean(MPIVF_L2, p->row, 500, dim, centre);
    assert_ok(&ctx, mpivf_packed_queries_init(&ctx, &queries, MPIVF_L2, p->filter, dim, QUERIES));
    assert_ok(&ctx, mpivf_packed_rows_init(&ctx, &base, MPIVF_L2, p->filter, dim, ROWS));
    assert_ok(&ctx, mpivf_packed_rows_init(&ctx, &picked, MPIVF_L2, p->filter, dim, ROWS));
    mpivf_packed_queries_fill(&queries, p->query, QUERIES, centre);
    mpivf_packed_rows_fill(&base, p->row, CUT, centre, NULL, 0);
    mpivf_nearest_one(&queries, of, &base, best, tile);
    mpivf_packed_rows_fill(&base, p->row, ROWS, centre, NULL, 0);
    for (uint32_t i = 0; i < ROWS - CUT; i++)
        subset[i] = ROWS - 1 - i;
    mpivf_packed_rows_subset(&picked, &base, subset, ROWS - CUT);
    mpivf_nearest_one(&queries, of, &picked, best, tile);
    mpivf_packed_queries_clear(&queries);
    mpivf_packed_rows_clear(&base);
    mpivf_packed_rows_clear(&picked);
    free(centre);
}

/* What a query comes with: nothing, bounds that are true, or what the values say. */
static struct mpivf_interval
interval_of(const struct problem *p, size_t q, uint32_t id)
{
    struct mpivf_interval none = {-INFINITY, INFINITY, false};
    if (id >= ROWS || q % 5 == 0)
        return none;
    double distance = p->all[q * ROWS + id], off = 0.1 * distance;
    return q % 5 == 1 && isfinite(distance)
               ? (struct mpivf_interval){distance - off, distance + off, false}
               : mpivf_nearest_interval(p->query + q * p->dim, p->row + id * p->dim, p->dim);
}

/* How many distances it took. */
static uint64_t
check(const struct problem *p, bool some)
{
    struct mpivf_interval interval[QUERIES];
    uint32_t id[QUERIES], subset[QUERIES];
    struct mpivf_pool pool = mpivf_pool_taking(&ctx, "scanning");
    struct mpivf_tile *tile = mpivf_tile_take(&pool, 1, p->dim);
    struct mpivf_scan_of of = {.n = QUERIES};
    struct mpivf_best best = {interval, id};
    if (some)
        of = (struct mpivf_scan_of){.subset = subset};
    for (uint32_t q = QUERIES; some && q-- > 0;)
        if (q % 3 != 1)
            subset[of.n++] = q;
    for (size_t q = 0; q < QUERIES; q++)
        id[q] = some && q % 3 == 1 ? 4711 : known_row(p, q);
    for (size_t place = 0; place < of.n; place++) {
        size_t q = some ? subset[place] : place;
        interval[place] = interval_of(p, q, id[q]);
    }
    assert_ok(&ctx, mpivf_pool_status(&pool));
    scan_sets(p, &of, &best, tile);
    for (size_t q = 0; q < QUERIES; q++) {
        bool asked = !some || q % 3 != 1;
        uint32_t want = asked ? nearest_of(p->all + q * ROWS, false) : 4711;
        if (id[q] != want)
            fail_msg("%s, %s, %s, query %zu: %u instead of %u", p->what, p->filter->name,
                     names[p->known], q, id[q], want);
    }
    for (size_t place = 0; place < of.n; place++) {
        size_t q = some ? subset[place] : place;
        double distance = p->all[q * ROWS + id[q]];
        if (!(interval[place].lower <= distance && distance <= interval[place].upper))
            fail_msg("%s, %s, %s, query %zu: %.17g is not within %.17g and %.17g", p->what,
                     p->filter->name, names[p->known], q, distance, interval[place].lower,
                     interval[place].upper);
    }
    uint64_t computed = tile->rivals.computed;
    mpivf_pool_clear(&pool);
    return computed;
}

static void
check_kind(const struct data *rows, const struct data *queries, size_t dim)
{
    float *row = room(ROWS * dim, sizeof *row), *query = room(QUERIES * dim, sizeof *query);
    double *all = room((size_t)QUERIES * ROWS, sizeof *all);
    static int turn; /* every filter meets everything sooner or later */
    char what[128];
    rows->fill(row, ROWS, dim, 1 + dim);
    queries->fill(query, QUERIES, dim, 1000 + dim);
    memcpy(query, row + 17 * dim, 3 * dim * sizeof *query);
    memcpy(row + 1250 * dim, row + 18 * dim, dim * sizeof *row); /* an equal in another set */
    distances(query, row, dim, all);
    snprintf(what, sizeof what, "%s in %s, %zu columns", queries->name, rows->name, dim);
    for (int f = 0; f < MPIVF_FILTERS; f++)
        for (int i = 0; i < 2; i++, turn++) {
            struct problem p = {
                mpivf_filter(f), (enum known)(turn % KNOWN), dim, row, query, all, what};
            if (mpivf_filter_runs(p.filter, dim))
                check(&p, turn / 3 % 2 == 1);
        }
    free(row);
    free(query);
    free(all);
}

static void
exact(void **state)
{
    (void)state;
    static const size_t dims[] = {1, 16, 3, 50};
    mpivf_context_init(&ctx);
    for (size_t i = 0; i < 2; i++)
        for (size_t kind = 0; kind < KINDS; kind++)
            check_kind(&kinds[kind], &kinds[kind], dims[(kind + i) % 4]);
    assert_int_equal(ctx.memory.used, 0);
}

static void
exact_mixed(void **state)
{
    (void)state;
    static const size_t pair[][2] = {{0, 6}, {6, 0}, {3, 6}, {0, 2}, {2, 0}, {0, 10}, {10, 0}};
    mpivf_context_init(&ctx);
    for (size_t i = 0; i < sizeof pair / sizeof pair[0]; i++)
        check_kind(&kinds[pair[i][0]], &kinds[pair[i][1]], 16);
}

/* What is known saves work; a row that stands apart is taken without being computed. */
static void
few_are_computed(void **state)
{
    (void)state;
    enum { DIM = 16 };
    float *row = room(ROWS * DIM, sizeof *row), *query = room(QUERIES * DIM, sizeof *query);
    double *all = room((size_t)QUERIES * ROWS, sizeof *all);
    mpivf_context_init(&ctx);
    gaussian(row, ROWS, DIM, 1);
    gaussian(query, QUERIES, DIM, 2);
    distances(query, row, DIM, all);
    for (int f = 0; f < MPIVF_FILTERS; f++) {
        struct problem p = {mpivf_filter(f), NOTHING, DIM, row, query, all, "few"};
        if (!mpivf_filter_runs(p.filter, DIM))
            continue;
        uint64_t nothing = check(&p, false);
        p.known = NEAREST;
        uint64_t nearest = check(&p, false);
        if (nothing > QUERIES * ROWS / 64 || nearest > nothing + QUERIES)
            fail_msg("%s: %llu distances, %llu with the nearest known", p.filter->name,
                     (unsigned long long)nothing, (unsigned long long)nearest);
    }
    for (size_t i = 0; i < ROWS * DIM; i++) /* each query has its row, and the others are far */
        row[i] = i < QUERIES * DIM ? query[i] + 0.01f : 20 * row[i];
    distances(query, row, DIM, all);
    for (int f = 0; f < MPIVF_FILTERS; f++) {
        struct problem p = {mpivf_filter(f), NOTHING, DIM, row, query, all, "apart"};
        uint64_t max = f == MPIVF_FILTER_INT7 ? QUERIES : QUERIES / 2;
        uint64_t computed = mpivf_filter_runs(p.filter, DIM) ? check(&p, false) : 0;
        if (computed > max)
            fail_msg("%s: %llu rows that stand apart are computed", p.filter->name,
                     (unsigned long long)computed);
    }
    free(row);
    free(query);
    free(all);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("nearest: the nearest alone is the brute force", exact),
        TEST("nearest: the nearest alone, queries of another size than the rows", exact_mixed),
        TEST("nearest: few distances are computed", few_are_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
