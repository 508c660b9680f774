/* The m-th smallest hash of all ranks, against sorting them. */
#include "checks.h"

#include "build/smallest.h"

enum { MAX = 3000 };

struct hashes {
    uint64_t stream, first, mask;
};

static uint64_t
hash_at(void *arg, size_t i)
{
    const struct hashes *h = arg;
    uint64_t number = h->first + i;
    /* narrow ones differ in a few digits only */
    return h->mask ? (draw(h->stream, 0) & ~h->mask) | number * 3 : draw(h->stream, number);
}

static int
by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* `count` hashes on the ranks from `from` on, evenly; the ones before have none. */
static void
check(struct checks *t, uint64_t count, int from, uint64_t wanted, uint64_t mask)
{
    static uint64_t all[MAX];
    struct hashes whole = {count + 1, 0, mask}, mine = whole;
    int rank = t->par.rank - from, size = t->par.size - from;
    size_t n = 0;
    if (rank >= 0) {
        mine.first = mpivf_share_first(count, rank, size);
        n = mpivf_share_first(count, rank + 1, size) - mine.first;
    }
    for (uint64_t i = 0; i < count; i++)
        all[i] = hash_at(&whole, i);
    qsort(all, count, sizeof *all, by_value);
    uint64_t last = mpivf_smallest_all(&t->par, hash_at, &mine, n, wanted);
    CHECK(t, last == (wanted < 1 || wanted >= count ? UINT64_MAX : all[wanted - 1]));
}

static void
as_sorted(struct checks *t)
{
    static const uint64_t counts[] = {0, 1, 2, 10, 1000, MAX};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
        for (uint64_t wanted = 1; wanted <= counts[c] + 1; wanted += 1 + counts[c] / 7)
            check(t, counts[c], 0, wanted, 0);
}

static void
with_empty_ranks(struct checks *t)
{
    for (int from = 0; from < t->par.size; from++) {
        check(t, 100, from, 30, 0);
        check(t, 1, from, 1, 0);
        check(t, 1, from, 2, 0);
    }
}

static void
nearly_equal_hashes(struct checks *t)
{
    for (uint64_t wanted = 1; wanted < MAX; wanted += 499) {
        check(t, MAX, 0, wanted, 0xffff);
        check(t, MAX, 0, wanted, 0xffffff);
    }
}

int
main(int argc, char **argv)
{
    static const struct par_test tests[] = {
        {"smallest: as sorting all of them", as_sorted},
        {"smallest: empty ranks", with_empty_ranks},
        {"smallest: hashes that differ in the last digit", nearly_equal_hashes},
    };
    return run_tests_all(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
