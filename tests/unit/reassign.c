/*
 * Rows that have a list and look for a nearer one, among all lists or among candidates: what the
 * naive search finds, for any filter and number of threads.
 */
#include "testing.h"

#include "index/coarse.h"
#include "math/distance.h"

#include <math.h>

enum { LISTS = 1200, DIM = 9, ROWS = 1700, GROUPS = 7, MAX = 1009, ZERO = 31 };

static struct mpivf_context ctx;

struct trial {
    struct mpivf_coarse coarse;
    struct mpivf_packed_queries rows;
    float row[ROWS * DIM];
    uint32_t had[ROWS], list[ROWS];
    double all[ROWS][LISTS]; /* the definition, of `known` */
    enum mpivf_metric known;
};

static struct trial trial = {.known = MPIVF_METRICS}; /* too large for a stack */

/* Squared l2; by ip and cosine a row of zeros stays where it is. */
static double
distance_of(const struct trial *t, enum mpivf_metric metric, size_t i, size_t l)
{
    if (metric != MPIVF_L2 && i == ZERO)
        return l == t->had[i] ? 0 : 1;
    return mpivf_distance(MPIVF_L2, t->row + i * DIM, 0, t->coarse.centroid + l * DIM, DIM);
}

/* Many centroids are equal, and many rows lie half-way between two; one is zero. */
static void
begin(struct trial *t, enum mpivf_metric metric, int threads)
{
    struct mpivf_coarse *coarse = &t->coarse;
    mpivf_context_init(&ctx);
    ctx.threads = threads;
    assert_ok(&ctx, mpivf_coarse_init(&ctx, coarse, metric, LISTS, DIM));
    fill_whole(coarse->centroid, LISTS * DIM, 1, 5);
    fill_whole(t->row, ROWS * DIM, 2, 9);
    for (size_t i = 0; i < ROWS * DIM; i++)
        t->row[i] = i % (3 * DIM) < DIM ? t->row[i] / 2 : t->row[i] + 0.01f * (float)(i % 13);
    memset(t->row + ZERO * DIM, 0, DIM * sizeof *t->row);
    for (size_t i = 0; i < ROWS && metric != MPIVF_L2; i++)
        mpivf_normalise(t->row + i * DIM, DIM, t->row + i * DIM);
    for (size_t l = 900; l < LISTS; l += 2)
        memcpy(coarse->centroid + l * DIM, coarse->centroid + draw(3, l) % 900 * DIM,
               DIM * sizeof(float));
    for (size_t l = 0; l < LISTS && metric != MPIVF_L2; l++)
        mpivf_normalise(coarse->centroid + l * DIM, DIM, coarse->centroid + l * DIM);
    mpivf_coarse_ready(coarse);
    assert_ok(&ctx, mpivf_coarse_prepare(&ctx, &t->rows, DIM, ROWS));
    mpivf_packed_queries_fill(&t->rows, t->row, ROWS, coarse->centre);
    for (size_t i = 0; i < ROWS; i++) {
        t->had[i] = t->list[i] = (uint32_t)(draw(4, i) % LISTS);
        for (size_t l = 0; l < LISTS && t->known != metric; l++)
            t->all[i][l] = distance_of(t, metric, i, l);
    }
    t->known = metric;
}

static void
end(struct trial *t)
{
    mpivf_packed_queries_clear(&t->rows);
    mpivf_coarse_clear(&t->coarse);
    assert_int_equal(ctx.memory.used, 0);
}

/* The nearer of two lists, ties to the smaller. */
static uint32_t
better(const struct trial *t, size_t i, uint32_t a, uint32_t b)
{
    double x = t->all[i][a], y = t->all[i][b];
    return x < y || (x == y && a < b) ? a : b;
}

static void
assert_list(const struct trial *t, size_t i, uint32_t want)
{
    if (t->list[i] != want)
        fail_msg("%s, %s, %d threads, row %zu of list %u: list %u instead of %u",
                 mpivf_metric_name(t->coarse.metric), t->coarse.packed.filter->name,
                 t->coarse.threads, i, t->had[i], t->list[i], want);
}

/* The nearest of all, and once more: what has been found stays. */
static void
check_all_lists(enum mpivf_metric metric, int threads)
{
    struct trial *t = &trial;
    begin(t, metric, threads);
    for (size_t i = 0; i < ROWS; i += 3)
        t->had[i] = t->list[i] = MPIVF_COARSE_NONE;
    for (int time = 0; time < 2; time++) {
        mpivf_coarse_reassign(&t->coarse, &t->rows, t->list);
        for (size_t i = time; i < ROWS; i += 1 + (size_t)time * 10) {
            uint32_t want = 0;
            for (uint32_t l = 1; l < LISTS; l++)
                want = better(t, i, want, l);
            assert_list(t, i, want);
        }
    }
    end(t);
}

/*
 * Group 0 has nothing, 1 rows without candidates, 2 candidates without rows, 3 one of each, 4 more
 * candidates than are taken at a time, 5 all lists, 6 neighbours in no order.
 */
static size_t
make_candidates(uint64_t start[GROUPS + 1], uint32_t *list)
{
    static const size_t sizes[GROUPS] = {0, 0, 11, 1, MAX, LISTS, 96};
    size_t n = 0;
    start[0] = 0;
    for (size_t g = 0; g < GROUPS; g++) {
        for (size_t i = 0; i < sizes[g]; i++)
            list[n++] = g == 6 ? (uint32_t)mpivf_random_place(5, MPIVF_FOR_DEAL, LISTS, i)
                               : (uint32_t)(i + (g == 4 ? 150 : 0));
        start[g + 1] = n;
    }
    return n;
}

/* Which rows a group has; the order within is any. */
static void
make_groups(uint64_t start[GROUPS + 1], uint32_t order[ROWS])
{
    static const size_t sizes[GROUPS] = {0, 40, 0, 1, 600, 400, ROWS - 1041};
    start[0] = 0;
    for (size_t g = 0; g < GROUPS; g++)
        start[g + 1] = start[g] + sizes[g];
    for (uint32_t i = 0; i < ROWS; i++)
        order[i] = (uint32_t)mpivf_random_place(6, MPIVF_FOR_DEAL, ROWS, i);
}

static void
check_among(enum mpivf_metric metric, int threads)
{
    struct trial *t = &trial;
    uint64_t start[GROUPS + 1], rows[GROUPS + 1];
    uint32_t list[2 * LISTS + MAX], order[ROWS];
    struct mpivf_candidates candidates = {GROUPS, start, list};
    begin(t, metric, threads);
    make_candidates(start, list);
    make_groups(rows, order);
    assert_ok(&ctx, mpivf_coarse_subsets_init(&t->coarse));
    mpivf_coarse_reassign_among(&t->coarse, &candidates, &t->rows, order, rows, t->list);
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t i = rows[g]; i < rows[g + 1]; i++) {
            uint32_t want = t->had[order[i]];
            for (size_t c = start[g]; c < start[g + 1]; c++)
                want = better(t, order[i], want, list[c]);
            assert_list(t, order[i], want);
        }
    end(t); /* and the picks with it */
}

static void
run_checks(void (*check)(enum mpivf_metric metric, int threads))
{
    for (int m = 0; m < MPIVF_METRICS; m++)
        for (int f = 0; f < MPIVF_FILTERS; f++) {
            setenv("MPIVF_FILTER", mpivf_filter(f)->name, 1);
            check((enum mpivf_metric)m, 1 + 2 * ((m + f) % 2));
        }
    unsetenv("MPIVF_FILTER");
}

static void
nearest_of_all(void **state)
{
    (void)state;
    run_checks(check_all_lists);
}

static void
nearest_of_candidates(void **state)
{
    (void)state;
    run_checks(check_among);
}

/* A block without rows, as a rank without a sample has it. */
static void
no_rows(void **state)
{
    (void)state;
    struct trial *t = &trial;
    uint64_t start[2] = {0, 5}, none[2] = {0, 0};
    uint32_t list[5] = {0, 1, 2, 3, 4}, order[1] = {0};
    struct mpivf_candidates candidates = {1, start, list};
    struct mpivf_packed_queries nothing = {0};
    begin(t, MPIVF_L2, 3);
    assert_ok(&ctx, mpivf_coarse_subsets_init(&t->coarse));
    mpivf_coarse_reassign(&t->coarse, &nothing, t->list);
    mpivf_coarse_reassign_among(&t->coarse, &candidates, &nothing, order, none, t->list);
    assert_memory_equal(t->list, t->had, sizeof t->had);
    end(t);
}

static void
memory_is_as_told(void **state)
{
    (void)state;
    struct mpivf_coarse coarse;
    for (int threads = 1; threads < 4; threads++) {
        mpivf_context_init(&ctx);
        ctx.threads = threads;
        assert_ok(&ctx, mpivf_coarse_init(&ctx, &coarse, MPIVF_L2, 700, 20));
        assert_true(ctx.memory.used <= mpivf_coarse_bytes(700, 20, threads));
        size_t before = ctx.memory.used;
        assert_ok(&ctx, mpivf_coarse_subsets_init(&coarse));
        assert_true(ctx.memory.used - before <= mpivf_coarse_subsets_bytes(20, threads));
        mpivf_coarse_subsets_clear(&coarse);
        assert_int_equal(ctx.memory.used, before);
        ctx.memory.limit = before + 5000;
        assert_fails(&ctx, MPIVF_MEMORY, "--memory", mpivf_coarse_subsets_init(&coarse));
        mpivf_coarse_clear(&coarse);
        assert_int_equal(ctx.memory.used, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("coarse: rows find the nearest of all lists", nearest_of_all),
        TEST("coarse: rows find the nearest of their candidates", nearest_of_candidates),
        TEST("coarse: no rows to bring to a list", no_rows),
        TEST("coarse: memory is as told", memory_is_as_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
