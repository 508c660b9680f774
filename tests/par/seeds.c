/* Seeds: the rows with the smallest hashes of each group, on any number of ranks. */
#include "samples.h"

#include "build/seeds.h"
#include "math/distance.h"

#include <math.h>

enum { DIM = 3, ROWS = 2400, GROUPS = 12, SEED = 9 };

/* A row tells its own number. */
static void
numbered(uint64_t i, size_t dim, float *row)
{
    for (size_t j = 0; j < dim; j++)
        row[j] = (float)i + (float)j / 4;
}

static const struct rows rows = {"numbered", MPIVF_L2, ROWS, 300, 900, DIM, numbered};

/* Which group a row is in. */
typedef uint32_t (*grouping)(uint64_t i);

static uint32_t
even(uint64_t i)
{
    return (uint32_t)(draw(1, i) % GROUPS);
}

/* The later groups have one row in a hundred. */
static uint32_t
uneven(uint64_t i)
{
    return i % 100 == 0 ? 1 + (uint32_t)(i / 100 % (GROUPS - 1)) : 0;
}

struct hashed {
    uint64_t hash, row;
};

static int
by_hash(const void *a, const void *b)
{
    const struct hashed *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* The rows up to a level, sorted by the hash of their keys. */
static size_t
sorted(enum mpivf_sample_level level, struct hashed *all)
{
    size_t n = 0;
    for (uint64_t i = 0; i < ROWS; i++)
        if (level_of(&rows, i) <= level)
            all[n++] = (struct hashed){mpivf_random(SEED, MPIVF_FOR_SEEDS, key_of(i)), i};
    qsort(all, n, sizeof *all, by_hash);
    return n;
}

/* How many rows each group has, and how many seeds it shall give: a share, all of some. */
static void
deal(const struct hashed *all, size_t n, grouping group, size_t part, uint64_t first[GROUPS + 1])
{
    uint64_t count[GROUPS] = {0};
    for (size_t i = 0; i < n; i++)
        count[group ? group(all[i].row) : 0]++;
    first[0] = 0;
    for (size_t g = 0; g < GROUPS; g++)
        first[g + 1] = first[g] + (g % 3 == 1 ? count[g] : (count[g] + part - 1) / part);
}

/* Groups of the rows of this rank, by place. */
static uint32_t *
groups_of(const struct mpivf_par *par, const struct mpivf_sample *sample, grouping group)
{
    uint64_t first, end;
    size_t at[MPIVF_SAMPLE_LEVELS];
    uint32_t *of = calloc(sample->first[MPIVF_SAMPLE_LEVELS] + 1, sizeof *of);
    memcpy(at, sample->first, sizeof at);
    share_of(par, ROWS, &first, &end);
    for (uint64_t i = first; i < end; i++)
        of[at[level_of(&rows, i)]++] = group(i);
    return of;
}

static void
check(struct checks *t, enum mpivf_sample_level level, grouping group, size_t part, size_t memory)
{
    static struct hashed all[ROWS];
    struct mpivf_sample sample;
    uint64_t first[GROUPS + 1], next[GROUPS];
    char path[128];
    snprintf(path, sizeof path, "%s/x", t->folder);
    size_t n = sorted(level, all), wrong = 0;
    deal(all, n, group, part, first);
    float *row = calloc(first[GROUPS] * DIM + 1, sizeof *row), want[DIM];
    CHECK(t, make_sample(&t->par, &rows, memory, path, &sample) == MPIVF_OK);
    uint32_t *of = group ? groups_of(&t->par, &sample, group) : NULL;
    struct mpivf_seeds seeds = {&sample, level, SEED, GROUPS, of, first};
    CHECK(t, mpivf_seeds_all(&t->par, &seeds, row) == MPIVF_OK);
    memcpy(next, first, sizeof next);
    for (size_t i = 0; i < n && t->par.rank == 0; i++) {
        size_t g = group ? group(all[i].row) : 0;
        if (next[g] == first[g + 1])
            continue;
        row_of(&rows, all[i].row, want);
        wrong += memcmp(row + next[g]++ * DIM, want, sizeof want) != 0;
    }
    CHECK(t, wrong == 0 && row[first[GROUPS] * DIM] == 0);
    mpivf_sample_clear(&sample);
    free(row);
    free(of);
}

static void
without_groups(struct checks *t)
{
    for (int level = 0; level < MPIVF_SAMPLE_LEVELS; level++) {
        check(t, (enum mpivf_sample_level)level, NULL, ROWS, SIZE_MAX); /* one */
        check(t, (enum mpivf_sample_level)level, NULL, 37, SIZE_MAX);
        check(t, (enum mpivf_sample_level)level, NULL, 3, SIZE_MAX); /* four times as many: all */
        check(t, (enum mpivf_sample_level)level, NULL, 1, SIZE_MAX);
    }
}

static void
by_group(struct checks *t)
{
    check(t, MPIVF_SAMPLE_ALL, even, 20, SIZE_MAX);
    check(t, MPIVF_SAMPLE_PART, even, 5, SIZE_MAX);
    check(t, MPIVF_SAMPLE_TOP, even, 1, SIZE_MAX);
}

/* Small groups give all their rows, which lie behind most others: it takes several rounds. */
static void
uneven_groups(struct checks *t)
{
    check(t, MPIVF_SAMPLE_ALL, uneven, 1000, SIZE_MAX);
    check(t, MPIVF_SAMPLE_ALL, uneven, 2, SIZE_MAX);
    check(t, MPIVF_SAMPLE_PART, uneven, 30, SIZE_MAX);
}

static void
from_a_file(struct checks *t)
{
    check(t, MPIVF_SAMPLE_ALL, NULL, 37, memory_for(&t->ctx, ROWS, DIM, 260));
    check(t, MPIVF_SAMPLE_ALL, uneven, 10, memory_for(&t->ctx, ROWS, DIM, 260));
}

/* Three rows of four are one and the same. */
static void
mostly_one(uint64_t i, size_t dim, float *row)
{
    numbered(draw(2, i) % 4 == 0 ? i + 1 : 1, dim, row);
}

/* Zeros and one other row. */
static void
zero_and_one(uint64_t i, size_t dim, float *row)
{
    numbered(i % 2, dim, row);
    if (i % 2)
        memset(row, 0, dim * sizeof *row);
}

static void
huge(uint64_t i, size_t dim, float *row)
{
    for (size_t j = 0; j < dim; j++)
        row[j] = i % 2 ? 3e38f : -3e38f;
}

/* The first seed of each kind is a row, and no two seeds are equal. */
static void
check_distinct(struct checks *t, void (*value)(uint64_t i, size_t dim, float *row), size_t kinds,
               bool unit)
{
    enum { SEEDS = 300, WIDE = 70 };
    struct rows equal = {"equal", unit ? MPIVF_COSINE : MPIVF_L2, ROWS, 300, 900, WIDE, value};
    struct mpivf_sample sample;
    uint64_t first[2] = {0, SEEDS};
    float *seed = calloc(SEEDS * WIDE, sizeof *seed), *row = calloc(ROWS * WIDE, sizeof *row);
    size_t twins = 0, given = 0, bytes = WIDE * sizeof *row;
    CHECK(t, make_sample(&t->par, &equal, SIZE_MAX, "x", &sample) == MPIVF_OK);
    struct mpivf_seeds seeds = {&sample, MPIVF_SAMPLE_ALL, SEED, 1, NULL, first};
    CHECK(t, mpivf_seeds_all(&t->par, &seeds, seed) == MPIVF_OK);
    for (uint64_t i = 0; i < ROWS; i++)
        row_of(&equal, i, row + i * WIDE);
    for (size_t s = 0; s < SEEDS && t->par.rank == 0; s++) {
        bool is_row = false;
        for (size_t other = 0; other < s; other++)
            twins += memcmp(seed + s * WIDE, seed + other * WIDE, bytes) == 0;
        for (size_t i = 0; i < ROWS && !is_row; i++)
            is_row = memcmp(seed + s * WIDE, row + i * WIDE, bytes) == 0;
        given += is_row;
        CHECK(t, mpivf_finite(seed + s * WIDE, WIDE));
        double square = mpivf_square(seed + s * WIDE, WIDE);
        CHECK(t, !unit || square == 0 || fabs(square - 1) < 1e-6);
    }
    CHECK(t,
          twins == 0 && (t->par.rank > 0 || (kinds ? given == kinds : given > 50 && given < 100)));
    mpivf_sample_clear(&sample);
    free(seed);
    free(row);
}

static void
equal_rows(struct checks *t)
{
    check_distinct(t, mostly_one, 0, false);
    check_distinct(t, mostly_one, 0, true);
    check_distinct(t, all_zero, 1, false);
    check_distinct(t, all_zero, 1, true);
    check_distinct(t, zero_and_one, 2, true);
    check_distinct(t, huge, 2, false);
}

static void
too_few_rows_in_a_group(struct checks *t)
{
    struct mpivf_sample sample;
    uint64_t first[2] = {0, ROWS + 1};
    float *row = calloc((ROWS + 1) * DIM, sizeof *row);
    CHECK(t, make_sample(&t->par, &rows, SIZE_MAX, "x", &sample) == MPIVF_OK);
    struct mpivf_seeds seeds = {&sample, MPIVF_SAMPLE_ALL, SEED, 1, NULL, first};
    CHECK(t, mpivf_seeds_all(&t->par, &seeds, row) == MPIVF_INTERNAL);
    mpivf_clear_error(&t->ctx);
    mpivf_sample_clear(&sample);
    free(row);
}

/* On one rank, wherever it is, the others learn of it. */
static void
no_memory(struct checks *t)
{
    struct mpivf_sample sample;
    uint64_t first[2] = {0, 400};
    float *row = calloc(400 * DIM, sizeof *row);
    CHECK(t, make_sample(&t->par, &rows, SIZE_MAX, "x", &sample) == MPIVF_OK);
    struct mpivf_seeds seeds = {&sample, MPIVF_SAMPLE_ALL, SEED, 1, NULL, first};
    for (size_t more = 500; more < 30000; more += 4000) {
        if (t->par.rank == t->par.size - 1)
            t->ctx.memory.limit = t->ctx.memory.used + more;
        mpivf_status status = mpivf_seeds_all(&t->par, &seeds, row);
        CHECK(t, status == MPIVF_OK || strstr(t->ctx.error, "--memory") != NULL);
        CHECK(t, more > 6000 || status == MPIVF_MEMORY);
        t->ctx.memory.limit = 0;
        mpivf_clear_error(&t->ctx);
    }
    mpivf_sample_clear(&sample);
    free(row);
}

int
main(int argc, char **argv)
{
    static const struct par_test tests[] = {
        {"seeds: the smallest hashes, in order", without_groups},
        {"seeds: the smallest hashes of each group", by_group},
        {"seeds: groups of which the first round has too few", uneven_groups},
        {"seeds: rows of a scratch file", from_a_file},
        {"seeds: equal rows become different seeds", equal_rows},
        {"seeds: fewer rows than seeds", too_few_rows_in_a_group},
        {"seeds: one rank without memory fails on every rank", no_memory},
    };
    return run_tests_all(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
