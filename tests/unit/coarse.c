/* Lists for rows: by canonical distance, ties to the smaller, for add as for search. */
#include "rows.h"

#include "index/coarse.h"
#include "math/distance.h"

enum { LISTS = 60, DIM = 520, ROWS = 1500 };

static struct mpivf_context ctx;

static void
make_coarse(struct mpivf_coarse *coarse, enum mpivf_metric metric, int threads)
{
    mpivf_context_init(&ctx);
    ctx.threads = threads;
    assert_ok(&ctx, mpivf_coarse_init(&ctx, coarse, metric, LISTS, DIM));
    fill_normal(coarse->centroid, (size_t)LISTS * DIM, 1, 1, 3);
    for (size_t l = 40; l < 50; l++) /* doubled centroids: ties for every row */
        memcpy(coarse->centroid + l * DIM, coarse->centroid + (l - 40) * DIM, DIM * sizeof(float));
    for (size_t l = 0; l < LISTS && metric != MPIVF_L2; l++)
        mpivf_normalise(coarse->centroid + l * DIM, DIM, coarse->centroid + l * DIM);
    mpivf_coarse_ready(coarse);
}

/* Squared l2, for ip and cosine of the unit vector; zeros are then at 1 from every list. */
static void
naive(const struct mpivf_coarse *coarse, const float *row, struct mpivf_candidate entry[LISTS])
{
    bool unit = coarse->metric != MPIVF_L2, zero = unit && !(mpivf_square(row, DIM) > 0);
    float at[DIM];
    memcpy(at, row, sizeof at);
    if (unit)
        mpivf_normalise(at, DIM, at);
    for (int l = 0; l < LISTS; l++) {
        double distance = mpivf_distance(MPIVF_L2, at, 0, coarse->centroid + l * DIM, DIM);
        entry[l].distance = zero ? 1 : distance;
        entry[l].id = l;
    }
    qsort(entry, LISTS, sizeof *entry, nearer);
}

static void
check(enum mpivf_metric metric, int threads, size_t probes)
{
    struct mpivf_coarse coarse;
    struct mpivf_candidate want[LISTS];
    make_coarse(&coarse, metric, threads);
    float *row = room((size_t)ROWS * DIM, sizeof *row);
    uint32_t *list = room(ROWS * probes, sizeof *list), *one = room(ROWS, sizeof *one);
    double *distance = room(ROWS * probes, sizeof *distance);
    fill_normal(row, (size_t)ROWS * DIM, 2, 1, 3);
    memset(row + 5 * DIM, 0, DIM * sizeof *row);
    size_t before = ctx.memory.used;
    ctx.memory.peak = before;
    assert_ok(&ctx, mpivf_coarse_probe(&coarse, row, ROWS, probes, list, distance));
    assert_int_equal(ctx.memory.used, before);
    assert_true(ctx.memory.peak - before <=
                mpivf_coarse_scratch(metric, coarse.dim, coarse.threads, probes));
    assert_ok(&ctx, mpivf_coarse_assign(&coarse, row, ROWS, one));
    for (size_t i = 0; i < ROWS; i++) {
        naive(&coarse, row + i * DIM, want);
        assert_int_equal(one[i], want[0].id);
        for (size_t p = 0; p < probes; p++) {
            assert_int_equal(list[i * probes + p], want[p].id);
            assert_true(distance[i * probes + p] == want[p].distance);
        }
    }
    free(row);
    free(list);
    free(one);
    free(distance);
    mpivf_coarse_clear(&coarse);
    assert_int_equal(ctx.memory.used, 0);
}

static void
as_naive(void **state)
{
    (void)state;
    for (int filter = 0; filter < MPIVF_FILTERS; filter++) {
        assert_int_equal(setenv("MPIVF_FILTER", mpivf_filter(filter)->name, 1), 0);
        for (int metric = 0; metric < MPIVF_METRICS; metric++) {
            check((enum mpivf_metric)metric, 1, 1);
            check((enum mpivf_metric)metric, 2, 7);
            check((enum mpivf_metric)metric, 1, LISTS);
        }
    }
    unsetenv("MPIVF_FILTER");
}

static void
ties_to_the_smaller(void **state)
{
    (void)state;
    struct mpivf_coarse coarse;
    uint32_t list[20];
    make_coarse(&coarse, MPIVF_L2, 1);
    assert_ok(&ctx, mpivf_coarse_assign(&coarse, coarse.centroid + 40 * DIM, 10, list));
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(list[i], i);
    assert_ok(&ctx, mpivf_coarse_probe(&coarse, coarse.centroid + 40 * DIM, 10, 2, list, NULL));
    for (uint32_t i = 0; i < 10; i++)
        assert_true(list[2 * i] == i && list[2 * i + 1] == 40 + i);
    mpivf_coarse_clear(&coarse);
}

static void
length_does_not_matter(void **state)
{
    (void)state;
    struct mpivf_coarse coarse;
    float row[2 * DIM];
    uint32_t list[2 * LISTS];
    make_coarse(&coarse, MPIVF_COSINE, 1);
    fill_normal(row, DIM, 9, 1, 0);
    for (size_t j = 0; j < DIM; j++)
        row[DIM + j] = 1024 * row[j];
    assert_ok(&ctx, mpivf_coarse_probe(&coarse, row, 2, LISTS, list, NULL));
    assert_memory_equal(list, list + LISTS, LISTS * sizeof *list);
    mpivf_coarse_clear(&coarse);
}

/* However many: they are as near to every list. */
static void
zeros_are_not_compared(void **state)
{
    (void)state;
    struct mpivf_coarse coarse;
    uint32_t list[ROWS];
    float *zero = room((size_t)ROWS * DIM, sizeof *zero);
    memset(zero, 0, (size_t)ROWS * DIM * sizeof *zero);
    make_coarse(&coarse, MPIVF_IP, 1);
    assert_ok(&ctx, mpivf_coarse_assign(&coarse, zero, ROWS, list));
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(list[i], 0);
    assert_int_equal(coarse.tile[0].rivals.computed, 0);
    mpivf_coarse_clear(&coarse);
    free(zero);
}

/* Unit vectors that differ by 1e-6: inner products of floats see one length or the other. */
static void
near_lists_are_told_apart(void **state)
{
    (void)state;
    struct mpivf_coarse coarse;
    float *row = room((size_t)LISTS * DIM, sizeof *row);
    uint32_t list[LISTS];
    make_coarse(&coarse, MPIVF_COSINE, 1);
    fill_normal(row, (size_t)LISTS * DIM, 5, 1e-6, 1);
    for (size_t l = 0; l < LISTS; l++)
        mpivf_normalise(row + l * DIM, DIM, coarse.centroid + l * DIM);
    mpivf_coarse_ready(&coarse);
    for (size_t i = 0; i < (size_t)LISTS * DIM; i++)
        row[i] *= 3;
    assert_ok(&ctx, mpivf_coarse_assign(&coarse, row, LISTS, list));
    for (uint32_t i = 0; i < LISTS; i++)
        assert_int_equal(list[i], i);
    mpivf_coarse_clear(&coarse);
    free(row);
}

static void
fingerprint_sees_one_bit(void **state)
{
    (void)state;
    struct mpivf_coarse coarse;
    make_coarse(&coarse, MPIVF_L2, 1);
    uint64_t mark = mpivf_coarse_fingerprint(&coarse);
    unsigned char *bytes = (unsigned char *)coarse.centroid;
    for (size_t i = 0; i < LISTS * DIM * sizeof(float); i += 13) {
        bytes[i] ^= 1;
        assert_true(mpivf_coarse_fingerprint(&coarse) != mark);
        bytes[i] ^= 1;
    }
    assert_int_equal(mpivf_coarse_fingerprint(&coarse), mark);
    coarse.metric = MPIVF_IP;
    assert_true(mpivf_coarse_fingerprint(&coarse) != mark);
    coarse.metric = MPIVF_L2;
    coarse.lists = DIM;
    coarse.dim = LISTS; /* the same bytes in another shape */
    assert_true(mpivf_coarse_fingerprint(&coarse) != mark);
    mpivf_coarse_clear(&coarse);
}

/* By axes that are forced, or chosen; some rows are bad, and some have no direction. */
static void
check_first_look(enum mpivf_metric metric, const char *axes)
{
    enum { MANY = 1500, LOTS = 900 };
    struct mpivf_coarse coarse;
    float *row = room((size_t)MANY * DIM, sizeof *row);
    uint32_t *list = room(MANY, sizeof *list), *want = room(MANY, sizeof *want);
    mpivf_context_init(&ctx);
    ctx.threads = 2;
    assert_ok(&ctx, mpivf_coarse_init(&ctx, &coarse, metric, LOTS, DIM));
    falling(coarse.centroid, LOTS, DIM, 1);
    falling(row, MANY, DIM, 2);
    memset(row + 5 * DIM, 0, DIM * sizeof *row);
    memcpy(row + 6 * DIM, coarse.centroid + 3 * DIM, DIM * sizeof *row);
    memcpy(coarse.centroid + 800 * DIM, coarse.centroid + 3 * DIM, DIM * sizeof *row);
    row[0] = NAN;
    for (size_t l = 0; l < LOTS && metric != MPIVF_L2; l++)
        mpivf_normalise(coarse.centroid + l * DIM, DIM, coarse.centroid + l * DIM);
    mpivf_coarse_ready(&coarse);
    assert_ok(&ctx, mpivf_coarse_assign(&coarse, row + DIM, MANY - 1, want));
    if (axes)
        assert_int_equal(setenv("MPIVF_AXES", axes, 1), 0);
    size_t before = ctx.memory.used;
    ctx.memory.peak = before;
    /* so many that it is worth it */
    assert_ok(&ctx, mpivf_coarse_choose(&coarse, row, MANY, 1000000));
    assert_ok(&ctx, mpivf_coarse_choose(&coarse, row, MANY, 1000000)); /* once */
    unsetenv("MPIVF_AXES");
    assert_true(ctx.memory.peak - before <= mpivf_coarse_choose_bytes(&coarse));
    if (axes && mpivf_filter_best(DIM)->round)
        assert_int_equal(coarse.packed.first != NULL, strcmp(axes, "0") != 0);
    size_t grown = ctx.memory.used - before, used = ctx.memory.used;
    ctx.memory.peak = used;
    assert_ok(&ctx, mpivf_coarse_assign(&coarse, row + DIM, MANY - 1, list));
    assert_true(grown + (ctx.memory.peak - used) <=
                mpivf_coarse_choose_bytes(&coarse) +
                    mpivf_coarse_scratch(metric, DIM, ctx.threads, 0));
    assert_memory_equal(list, want, (MANY - 1) * sizeof *list);
    mpivf_coarse_clear(&coarse);
    assert_int_equal(ctx.memory.used, 0);
    free(row);
    free(list);
    free(want);
}

static void
a_first_look_changes_nothing(void **state)
{
    (void)state;
    for (int metric = 0; metric < MPIVF_METRICS; metric++) {
        check_first_look((enum mpivf_metric)metric, "16");
        check_first_look((enum mpivf_metric)metric, "64");
        check_first_look((enum mpivf_metric)metric, "0");
    }
    check_first_look(MPIVF_L2, NULL);
}

static void
no_memory(void **state)
{
    (void)state;
    struct mpivf_coarse coarse;
    uint32_t list;
    make_coarse(&coarse, MPIVF_L2, 2);
    ctx.memory.limit = ctx.memory.used + 2000;
    assert_fails(&ctx, MPIVF_MEMORY, "--memory",
                 mpivf_coarse_assign(&coarse, coarse.centroid, 1, &list));
    mpivf_coarse_clear(&coarse);
    assert_int_equal(ctx.memory.used, 0);
    ctx.memory.limit = 3000;
    assert_fails(&ctx, MPIVF_MEMORY, "--memory",
                 mpivf_coarse_init(&ctx, &coarse, MPIVF_L2, LISTS, DIM));
    mpivf_coarse_clear(&coarse);
    assert_int_equal(ctx.memory.used, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("coarse: probing and assigning are the naive search", as_naive),
        TEST("coarse: ties go to the smaller list", ties_to_the_smaller),
        TEST("coarse: the length of a row does not matter for cosine", length_does_not_matter),
        TEST("coarse: rows without a direction are not compared", zeros_are_not_compared),
        TEST("coarse: lists that are near to each other are told apart", near_lists_are_told_apart),
        TEST("coarse: the fingerprint sees one bit", fingerprint_sees_one_bit),
        TEST("coarse: a first look changes nothing", a_first_look_changes_nothing),
        TEST("coarse: no memory is an error", no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
