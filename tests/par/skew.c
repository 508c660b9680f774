/* How the ranks' rows differ over lists: by hand, by chance, and not by rank counts. */
#include "checks.h"

#include "build/skew.h"

#include <math.h>

enum { LISTS = 40 };

/* Count n rows a rank, in lists that `choose` draws. */
static struct mpivf_difference
found_all(struct checks *t, size_t lists, size_t n, uint64_t (*choose)(struct checks *, size_t))
{
    struct mpivf_skew skew;
    struct mpivf_difference d = {.rank = -1};
    CHECK(t, mpivf_skew_init(&t->ctx, &skew, lists) == MPIVF_OK);
    CHECK(t, t->ctx.memory.used <= lists * 8 + 128);
    for (size_t i = 0; i < n; i++) {
        uint32_t list[2] = {(uint32_t)choose(t, i), UINT32_MAX}; /* a rejected row is in no list */
        mpivf_skew_count(&skew, list, 2);
    }
    CHECK(t, mpivf_skew_compare_all(&t->par, &skew, &d) == MPIVF_OK);
    mpivf_skew_clear(&skew);
    CHECK(t, mpivf_max_all(&t->par, d.found) == d.found &&
                 mpivf_max_all(&t->par, d.expected) == d.expected);
    CHECK(t, d.rank >= 0 && d.rank < t->par.size);
    CHECK(t, (int)mpivf_max_all(&t->par, d.rank) == d.rank);
    return d;
}

static uint64_t
by_chance(struct checks *t, size_t i)
{
    uint64_t x = draw(10 + (uint64_t)t->par.rank, i) % LISTS,
             y = draw(50 + (uint64_t)t->par.rank, i) % LISTS;
    return x < y ? x : y; /* lists of different sizes */
}

static uint64_t
by_rank(struct checks *t, size_t i)
{
    (void)i;
    return (uint64_t)t->par.rank;
}

static uint64_t
all_alike(struct checks *t, size_t i)
{
    (void)t;
    return i % LISTS;
}

static uint64_t
only_list(struct checks *t, size_t i)
{
    (void)t, (void)i;
    return 0;
}

/* Rank 0 has one list more often than the others. */
static uint64_t
first_leans(struct checks *t, size_t i)
{
    return t->par.rank == 0 && i % 2 ? 0 : i / 2 % LISTS;
}

static void
random_order_is_as_expected(struct checks *t)
{
    for (size_t n = 200; n <= 20000; n *= 10) {
        struct mpivf_difference d = found_all(t, LISTS, n, by_chance);
        CHECK(t, !d.large);
        if (t->par.size == 1)
            CHECK(t, d.found == 0 && d.expected == 0);
        else /* the largest of a few ranks */
            CHECK(t, d.found > 0.7 * d.expected && d.found < 1.8 * d.expected);
    }
}

static void
sorted_is_seen(struct checks *t)
{
    struct mpivf_difference d = found_all(t, LISTS, 1000, by_rank);
    double others = 1 - 1.0 / t->par.size; /* all its rows are in a list that has 1 / size of all */
    CHECK(t, fabs(d.found - others) < 1e-12);
    CHECK(t, d.large == (t->par.size > 1));
    d = found_all(t, LISTS, 4000, first_leans);
    if (t->par.size > 1)
        CHECK(t, d.large && d.rank == 0 && d.found > 0.2);
}

static void
alike_is_no_difference(struct checks *t)
{
    struct mpivf_difference d = found_all(t, LISTS, 10 * LISTS, all_alike);
    CHECK(t, d.found < 1e-12 && !d.large);
    d = found_all(t, 1, 10, only_list);
    CHECK(t, d.found == 0 && !d.large);
}

/* Ranks without rows, and no rows at all. */
static void
empty_ranks_join(struct checks *t)
{
    bool last = t->par.rank == t->par.size - 1;
    struct mpivf_difference d = found_all(t, LISTS, last ? 500 : 0, by_chance);
    CHECK(t, d.found == 0 && !d.large);
    d = found_all(t, LISTS, 0, by_chance);
    CHECK(t, d.found == 0 && d.expected == 0 && !d.large);
    d = found_all(t, LISTS, t->par.rank < 2 ? 1000 : 0, by_rank);
    CHECK(t, d.large == (t->par.size > 1) && d.rank < 2);
}

static void
memory_is_agreed_on(struct checks *t)
{
    struct mpivf_skew skew;
    struct mpivf_difference d;
    CHECK(t, mpivf_skew_init(&t->ctx, &skew, LISTS) == MPIVF_OK);
    if (t->par.rank == t->par.size - 1)
        t->ctx.memory.limit = t->ctx.memory.used;
    CHECK(t, mpivf_skew_compare_all(&t->par, &skew, &d) == MPIVF_MEMORY);
    CHECK(t, strstr(t->ctx.error, "raise --memory") != NULL);
    t->ctx.memory.limit = 0;
    mpivf_skew_clear(&skew);
}

int
main(int argc, char **argv)
{
    static const struct par_test tests[] = {
        {"skew: random order differs as much as expected", random_order_is_as_expected},
        {"skew: sorted rows are seen", sorted_is_seen},
        {"skew: equal ranks do not differ", alike_is_no_difference},
        {"skew: empty ranks join", empty_ranks_join},
        {"skew: a rank out of memory stops all", memory_is_agreed_on},
    };
    return run_tests_all(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
