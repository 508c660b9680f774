/* Choosing the k best against sorting them all; many ties. */
#include "testing.h"

#include "math/topk.h"

#include <math.h>

enum { MOST = 400 };

static int
by_distance(const void *a, const void *b)
{
    const struct mpivf_candidate *x = a, *y = b;
    if (x->lo != y->lo)
        return x->lo < y->lo ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static int
by_upper(const void *a, const void *b)
{
    const struct mpivf_candidate *x = a, *y = b;
    return (x->hi > y->hi) - (x->hi < y->hi);
}

/* n resolved entries with different ids and `values` different distances. */
static void
fill(struct mpivf_candidate *entry, size_t n, uint64_t stream, uint64_t values)
{
    for (size_t i = 0; i < n; i++) {
        double distance = (double)(draw(stream, i) % values) - 3;
        int64_t id = (int64_t)mpivf_random_place(stream, MPIVF_FOR_DEAL, n, i);
        entry[i] = (struct mpivf_candidate){distance, distance, id};
    }
}

static void
select_puts_the_best_first(void **state)
{
    (void)state;
    struct mpivf_candidate entry[MOST], sorted[MOST];
    for (uint64_t round = 0; round < 3000; round++) {
        size_t n = draw(round, 1000) % MOST, k = draw(round, 1001) % (n + 3);
        fill(entry, n, round, 1 + round % 5 * 50);
        memcpy(sorted, entry, n * sizeof *entry);
        qsort(sorted, n, sizeof *sorted, by_distance);
        mpivf_topk_select(entry, n, k, false);
        size_t best = k < n ? k : n;
        qsort(entry, best, sizeof *entry, by_distance);
        assert_memory_equal(entry, sorted, best * sizeof *entry);
        qsort(entry, n, sizeof *entry, by_distance); /* and none is lost */
        assert_memory_equal(entry, sorted, n * sizeof *entry);
    }
}

static void
select_by_upper_bound(void **state)
{
    (void)state;
    struct mpivf_candidate entry[MOST], sorted[MOST];
    for (uint64_t round = 0; round < 1000; round++) {
        size_t n = 1 + draw(round, 1000) % (MOST - 1), k = 1 + draw(round, 1001) % n;
        fill(entry, n, round, 1 + round % 3 * 20);
        for (size_t i = 0; i < n; i++)
            entry[i].hi += (double)(draw(round + 1, i) % 9);
        memcpy(sorted, entry, n * sizeof *entry);
        qsort(sorted, n, sizeof *sorted, by_upper);
        mpivf_topk_select(entry, n, k, true);
        qsort(entry, k, sizeof *entry, by_upper);
        for (size_t i = 0; i < k; i++)
            assert_true(entry[i].hi == sorted[i].hi);
    }
}

static void
select_is_linear_with_ties(void **state)
{
    (void)state;
    enum { N = 2000000 };
    struct mpivf_candidate *entry = room(N, sizeof *entry);
    for (size_t i = 0; i < N; i++)
        entry[i] = (struct mpivf_candidate){1, 1, 5}; /* quadratic would take hours */
    mpivf_topk_select(entry, N, N / 2, false);
    mpivf_topk_select(entry, N, N / 2, true);
    assert_int_equal(entry[N - 1].id, 5);
    free(entry);
}

static void
settle_keeps_k_and_sets_the_limit(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    struct mpivf_topk topk;
    struct mpivf_candidate sorted[MOST];
    mpivf_context_init(&ctx);
    for (uint64_t round = 0; round < 600; round++) {
        size_t k = 1 + draw(round, 1000) % 150, q = round % 3;
        assert_ok(&ctx, mpivf_topk_init(&ctx, &topk, 3, k));
        assert_true(topk.room >= 2 * k && topk.room >= k + 64);
        size_t n = draw(round, 1001) % (topk.room + 1);
        struct mpivf_candidate *entry = topk.entry + q * topk.room;
        fill(entry, n, round, 1 + round % 40);
        topk.count[q] = (uint32_t)n;
        memcpy(sorted, entry, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, by_distance);
        mpivf_topk_settle(&topk, q);
        size_t kept = n < k ? n : k;
        assert_int_equal(topk.count[q], kept);
        if (n >= k)
            assert_true(topk.limit[q] == sorted[k - 1].lo);
        else
            assert_true(isinf(topk.limit[q]));
        qsort(entry, kept, sizeof *entry, by_distance);
        assert_memory_equal(entry, sorted, kept * sizeof *entry);
        assert_int_equal(topk.count[(q + 1) % 3], 0); /* the others are left alone */
        mpivf_topk_clear(&ctx, &topk);
    }
    assert_int_equal(ctx.memory.used, 0);
}

static void
export_fills_up(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    struct mpivf_topk topk;
    struct mpivf_candidate block[2 * 5];
    mpivf_context_init(&ctx);
    assert_ok(&ctx, mpivf_topk_init(&ctx, &topk, 2, 5));
    fill(topk.entry + topk.room, 3, 1, 2);
    topk.count[1] = 3;
    mpivf_topk_export(&topk, block);
    for (size_t i = 0; i < 10; i++) {
        bool there = i >= 5 && i < 8;
        assert_int_equal(block[i].id >= 0, there);
        assert_int_equal(isinf(block[i].lo) != 0, !there);
        if (there && i > 5)
            assert_true(by_distance(&block[i - 1], &block[i]) < 0);
    }
    mpivf_topk_reset(&topk);
    mpivf_topk_export(&topk, block);
    assert_int_equal(block[5].id, -1);
    mpivf_topk_clear(&ctx, &topk);
}

/* Cut n entries into two blocks, join, and compare with the k best of all. */
static void
join_is_the_best_of_both(void **state)
{
    (void)state;
    struct mpivf_candidate entry[MOST], a[2 * MOST], b[2 * MOST], scratch[MOST];
    for (uint64_t round = 0; round < 2000; round++) {
        size_t k = 1 + draw(round, 1000) % 60, n = draw(round, 1001) % (2 * k + 1);
        size_t in[2] = {0, 0};
        struct mpivf_topk_block shape = {2, k, scratch};
        fill(entry, n, round, 1 + round % 7);
        for (size_t i = 0; i < 2 * k; i++)
            a[i] = b[i] = (struct mpivf_candidate){INFINITY, INFINITY, -1};
        for (size_t i = 0; i < n; i++) {
            size_t side = draw(round + 1, i) % 2;
            side = in[side] == k ? 1 - side : side;
            (side ? b : a)[k + in[side]++] = entry[i]; /* of the second query */
        }
        qsort(a + k, in[0], sizeof *a, by_distance);
        qsort(b + k, in[1], sizeof *b, by_distance);
        qsort(entry, n, sizeof *entry, by_distance);
        mpivf_topk_join(&shape, a, b);
        for (size_t i = 0; i < k; i++) {
            assert_int_equal(a[i].id, -1);
            assert_int_equal(a[k + i].id, i < n ? entry[i].id : -1);
            assert_true(a[k + i].lo == (i < n ? entry[i].lo : INFINITY));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("topk: select puts the k best first", select_puts_the_best_first),
        TEST("topk: select by upper bound", select_by_upper_bound),
        TEST("topk: select is linear when all are equal", select_is_linear_with_ties),
        TEST("topk: settle keeps k and sets the limit", settle_keeps_k_and_sets_the_limit),
        TEST("topk: export sorts and fills up", export_fills_up),
        TEST("topk: join is the best of both", join_is_the_best_of_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
