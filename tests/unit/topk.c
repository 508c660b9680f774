/* The k best and the ties beyond them against sorting and counting everything. */
#include "testing.h"

#include "math/topk.h"

#include <math.h>

enum { MAX = 400, PARTS = 5 };

static struct mpivf_context ctx;

/* n entries with different ids and `values` different distances. */
static void
fill(struct mpivf_candidate *entry, size_t n, uint64_t stream, uint64_t values)
{
    for (size_t i = 0; i < n; i++) {
        double distance = (double)(draw(stream, i) % values) - 3;
        int64_t id = (int64_t)mpivf_random_place(stream, MPIVF_FOR_DEAL, n, i);
        entry[i] = (struct mpivf_candidate){distance, id};
    }
}

static void
shuffle(struct mpivf_candidate *entry, size_t n, uint64_t stream)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = draw(stream, i) % i;
        struct mpivf_candidate t = entry[j];
        entry[j] = entry[i - 1];
        entry[i - 1] = t;
    }
}

/* What exporting n entries has to give, [k + 1]: the definition. */
static void
expect(const struct mpivf_candidate *entry, size_t n, size_t k, struct mpivf_candidate *block)
{
    struct mpivf_candidate *sorted = room(n, sizeof *sorted);
    memcpy(sorted, entry, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, nearer);
    for (size_t i = 0; i < k; i++)
        block[i] = i < n ? sorted[i] : (struct mpivf_candidate){INFINITY, -1};
    block[k] = (struct mpivf_candidate){block[k - 1].distance, 0};
    for (size_t i = k; i < n; i++)
        block[k].id += sorted[i].distance == block[k].distance;
    free(sorted);
}

static void
assert_block(const struct mpivf_candidate *got, const struct mpivf_candidate *want, size_t k,
             uint64_t round)
{
    for (size_t i = 0; i <= k; i++)
        if (got[i].id != want[i].id || got[i].distance != want[i].distance)
            fail_msg("round %llu, place %zu of %zu: %lld at %g instead of %lld at %g",
                     (unsigned long long)round, i, k, (long long)got[i].id, got[i].distance,
                     (long long)want[i].id, want[i].distance);
}

static void
select_puts_the_best_first(void **state)
{
    (void)state;
    struct mpivf_candidate entry[MAX], sorted[MAX];
    for (uint64_t round = 0; round < 3000; round++) {
        size_t n = draw(round, 1000) % MAX, k = draw(round, 1001) % (n + 3);
        fill(entry, n, round, 1 + round % 5 * 50);
        memcpy(sorted, entry, n * sizeof *entry);
        qsort(sorted, n, sizeof *sorted, nearer);
        mpivf_topk_select(entry, n, k);
        size_t best = k < n ? k : n;
        mpivf_topk_sort(entry, best);
        assert_memory_equal(entry, sorted, best * sizeof *entry);
        mpivf_topk_sort(entry, n); /* and none is lost */
        assert_memory_equal(entry, sorted, n * sizeof *entry);
    }
}

static void
select_is_linear_with_ties(void **state)
{
    (void)state;
    enum { N = 2000000 };
    struct mpivf_candidate *entry = room(N, sizeof *entry);
    for (size_t i = 0; i < N; i++)
        entry[i] = (struct mpivf_candidate){1, 5}; /* quadratic would take hours */
    mpivf_topk_select(entry, N, N / 2);
    assert_int_equal(entry[N - 1].id, 5);
    free(entry);
}

static void
settle_keeps_k_and_sets_the_limit(void **state)
{
    (void)state;
    struct mpivf_topk topk;
    struct mpivf_candidate want[MAX];
    mpivf_context_init(&ctx);
    for (uint64_t round = 0; round < 600; round++) {
        size_t k = 1 + draw(round, 1000) % 150, q = round % 3;
        assert_ok(&ctx, mpivf_topk_init(&ctx, &topk, 3, k));
        assert_true(topk.room >= 2 * k && topk.room >= k + 64);
        assert_true(mpivf_topk_query_bytes(k) >= topk.room * sizeof *want + 20);
        size_t n = draw(round, 1001) % (topk.room + 1);
        struct mpivf_candidate *entry = topk.entry + q * topk.room;
        fill(entry, n, round, 1 + round % 40);
        topk.count[q] = (uint32_t)n;
        expect(entry, n, k, want);
        mpivf_topk_settle(&topk, q);
        mpivf_topk_settle(&topk, q); /* again changes nothing */
        size_t kept = n < k ? n : k;
        assert_int_equal(topk.count[q], kept);
        assert_true(topk.limit[q] == want[k - 1].distance);
        assert_int_equal(topk.tied[q], want[k].id);
        mpivf_topk_sort(entry, kept);
        assert_memory_equal(entry, want, kept * sizeof *entry);
        size_t other = (q + 1) % 3; /* is left alone */
        assert_int_equal(topk.count[other] + topk.tied[other], 0);
        mpivf_topk_clear(&topk);
    }
    assert_int_equal(ctx.memory.used, 0);
}

/* Offer n entries to query q, settling and tightening now and then. */
static void
offer(struct mpivf_topk *topk, size_t q, const struct mpivf_candidate *entry, size_t n,
      uint64_t stream)
{
    for (size_t i = 0; i < n; i++) {
        mpivf_topk_add(topk, q, entry[i].distance, entry[i].id);
        assert_true(topk->count[q] < topk->room);
        uint64_t what = draw(stream, i) % 40;
        if (what == 0)
            mpivf_topk_settle(topk, q);
        else if (what < 4)
            mpivf_topk_tighten(topk, q);
    }
}

static void
any_order_of_arrival(void **state)
{
    (void)state;
    enum { N = 10 * MAX };
    struct mpivf_topk topk;
    struct mpivf_candidate *entry = room(N, sizeof *entry), want[202], got[2 * 202];
    mpivf_context_init(&ctx);
    for (uint64_t round = 0; round < 600; round++) {
        size_t n = draw(round, 1) % (round % 3 ? MAX : N), k = 1 + draw(round, 2) % 200;
        fill(entry, n, round, 1 + draw(round, 3) % (round % 2 ? 5 : 1000));
        if (round % 5 == 0)
            mpivf_topk_sort(entry, n);
        expect(entry, n, k, want);
        assert_ok(&ctx, mpivf_topk_init(&ctx, &topk, 2, k));
        for (uint64_t order = 0; order < 3; order++) {
            offer(&topk, 1, entry, n, round + order);
            mpivf_topk_export(&topk, got);
            assert_block(got + k + 1, want, k, round);
            assert_int_equal(got[0].id, -1); /* the other query has none */
            assert_int_equal(got[k].id, 0);
            mpivf_topk_export(&topk, got); /* and again */
            assert_block(got + k + 1, want, k, round);
            mpivf_topk_reset(&topk);
            shuffle(entry, n, 10000 + 3 * round + order);
        }
        mpivf_topk_clear(&topk);
    }
    free(entry);
    assert_int_equal(ctx.memory.used, 0);
}

static void
tighten_is_for_a_lower_limit(void **state)
{
    (void)state;
    struct mpivf_topk topk;
    mpivf_context_init(&ctx);
    assert_ok(&ctx, mpivf_topk_init(&ctx, &topk, 1, 20));
    for (int64_t i = 0; i < 19; i++)
        mpivf_topk_add(&topk, 0, (double)i, i);
    mpivf_topk_tighten(&topk, 0);
    assert_true(topk.limit[0] == INFINITY); /* 20 are needed */
    mpivf_topk_add(&topk, 0, 50, 19);
    mpivf_topk_tighten(&topk, 0);
    assert_true(topk.limit[0] == 50);
    mpivf_topk_add(&topk, 0, 51, 20);
    assert_int_equal(topk.count[0], 20);
    for (int64_t i = 21; i < 60; i++)
        mpivf_topk_add(&topk, 0, 3, i);
    mpivf_topk_tighten(&topk, 0);
    assert_true(topk.limit[0] == 3);
    assert_int_equal(topk.tied[0], 4 + 39 - 20);
    mpivf_topk_clear(&topk);
}

static void
export_fills_up(void **state)
{
    (void)state;
    struct mpivf_topk topk;
    struct mpivf_candidate block[2 * 6];
    mpivf_context_init(&ctx);
    assert_ok(&ctx, mpivf_topk_init(&ctx, &topk, 2, 5));
    fill(topk.entry + topk.room, 3, 1, 2);
    topk.count[1] = 3;
    mpivf_topk_export(&topk, block);
    for (size_t i = 0; i < 12; i++) {
        bool there = i >= 6 && i < 9, last = i % 6 == 5;
        assert_int_equal(block[i].id, last ? 0 : there ? block[i].id : -1);
        assert_int_equal(isinf(block[i].distance) != 0, !there);
        if (there && i > 6)
            assert_true(nearer(&block[i - 1], &block[i]) < 0);
    }
    mpivf_topk_reset(&topk);
    mpivf_topk_export(&topk, block);
    assert_int_equal(block[6].id, -1);
    mpivf_topk_clear(&topk);
}

/* ---- split into parts ---- */

struct split {
    size_t k, width; /* of the PARTS + 1 blocks of two queries each */
    struct mpivf_candidate *part, *want;
};

/*
 * Deal two queries' entries to parts of different sizes, some empty. Their blocks are
 * what ranks would have.
 */
static void
make_split(struct split *split, const struct mpivf_candidate *entry, size_t n, uint64_t stream)
{
    struct mpivf_topk topk[PARTS];
    size_t k = split->k;
    split->width = 2 * (k + 1);
    split->part = room(PARTS * split->width, sizeof *split->part);
    split->want = room(split->width, sizeof *split->want);
    for (size_t p = 0; p < PARTS; p++)
        assert_ok(&ctx, mpivf_topk_init(&ctx, &topk[p], 2, k));
    for (size_t i = 0; i < n; i++) {
        size_t p = draw(stream, i) % PARTS, at = p < 2 ? 0 : stream % 2 ? p : 3;
        mpivf_topk_add(&topk[at], i % 2, entry[i].distance, entry[i].id);
    }
    for (size_t p = 0; p < PARTS; p++) {
        mpivf_topk_export(&topk[p], split->part + p * split->width);
        mpivf_topk_clear(&topk[p]);
    }
    struct mpivf_candidate *half = room(n, sizeof *half);
    for (size_t q = 0; q < 2; q++) {
        size_t some = 0;
        for (size_t i = q; i < n; i += 2)
            half[some++] = entry[i];
        expect(half, some, k, split->want + q * (k + 1));
    }
    free(half);
}

static void
check_join(const struct split *split, uint64_t round)
{
    size_t k = split->k, w = split->width, bytes = w * sizeof *split->part;
    struct mpivf_candidate *scratch = room(k, sizeof *scratch), *block = room(3 * w, sizeof *block);
    struct mpivf_topk_block shape = {2, k, scratch};
    size_t start = round % PARTS; /* (((a b) c) d) e and (a b) (e (c d)), from every part on */
    memcpy(block, split->part + start * w, bytes);
    for (size_t p = 1; p < PARTS; p++)
        mpivf_topk_join(&shape, block, split->part + (start + p) % PARTS * w);
    assert_block(block, split->want, k, round);
    assert_block(block + k + 1, split->want + k + 1, k, round);
    for (size_t p = 0; p < 3; p++)
        memcpy(block + p * w, split->part + (start + 2 * p) % PARTS * w, bytes);
    mpivf_topk_join(&shape, block, split->part + (start + 1) % PARTS * w);
    mpivf_topk_join(&shape, block + w, split->part + (start + 3) % PARTS * w);
    mpivf_topk_join(&shape, block + 2 * w, block + w);
    mpivf_topk_join(&shape, block, block + 2 * w);
    assert_block(block, split->want, k, round);
    assert_block(block + k + 1, split->want + k + 1, k, round);
    free(scratch);
    free(block);
}

/* Blocks and single rows into one topk, in turn. */
static void
check_import(const struct split *split, uint64_t round)
{
    struct mpivf_topk topk;
    size_t k = split->k, w = split->width;
    struct mpivf_candidate *block = room(w, sizeof *block);
    assert_ok(&ctx, mpivf_topk_init(&ctx, &topk, 2, k));
    for (size_t q = 0; q < 2; q++)
        for (size_t p = 0; p < PARTS; p++) {
            size_t part = mpivf_random_place(round + q, MPIVF_FOR_DEAL, PARTS, p);
            mpivf_topk_import(&topk, q, split->part + part * w + q * (k + 1));
        }
    mpivf_topk_export(&topk, block);
    assert_block(block, split->want, k, round);
    assert_block(block + k + 1, split->want + k + 1, k, round);
    mpivf_topk_clear(&topk);
    free(block);
}

static void
any_split(void **state)
{
    (void)state;
    struct mpivf_candidate entry[2 * MAX];
    mpivf_context_init(&ctx);
    for (uint64_t round = 0; round < 2000; round++) {
        size_t n = draw(round, 1000) % (round % 4 ? 2 * MAX : 40);
        struct split split = {.k = 1 + draw(round, 1001) % (round % 3 ? 10 : 80)};
        fill(entry, n, round, 1 + draw(round, 1002) % (round % 2 ? 6 : 60));
        make_split(&split, entry, n, round);
        check_join(&split, round);
        check_import(&split, round);
        free(split.part);
        free(split.want);
    }
    assert_int_equal(ctx.memory.used, 0);
}

/* Rows offered one by one before, between and after the import of blocks. */
static void
imports_and_rows_mixed(void **state)
{
    (void)state;
    struct mpivf_topk topk, other;
    struct mpivf_candidate entry[MAX], block[32], want[32];
    mpivf_context_init(&ctx);
    for (uint64_t round = 0; round < 2000; round++) {
        size_t n = draw(round, 1000) % MAX, k = 1 + draw(round, 1001) % 30;
        fill(entry, n, round, 1 + draw(round, 1002) % 8);
        expect(entry, n, k, want);
        assert_ok(&ctx, mpivf_topk_init(&ctx, &topk, 1, k));
        assert_ok(&ctx, mpivf_topk_init(&ctx, &other, 1, k));
        for (size_t i = 0; i < n; i++) {
            bool here = draw(round + 1, i) % 2;
            mpivf_topk_add(here ? &topk : &other, 0, entry[i].distance, entry[i].id);
            if (draw(round + 2, i) % 30 > 0 && i + 1 < n)
                continue;
            mpivf_topk_export(&other, block);
            mpivf_topk_import(&topk, 0, block);
            mpivf_topk_reset(&other);
        }
        mpivf_topk_export(&topk, block);
        assert_block(block, want, k, round);
        mpivf_topk_clear(&topk);
        mpivf_topk_clear(&other);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("topk: select puts the k best first", select_puts_the_best_first),
        TEST("topk: select is linear when all are equal", select_is_linear_with_ties),
        TEST("topk: settle keeps k and sets the limit", settle_keeps_k_and_sets_the_limit),
        TEST("topk: the order of arrival does not show", any_order_of_arrival),
        TEST("topk: tighten lowers the limit", tighten_is_for_a_lower_limit),
        TEST("topk: export sorts and fills up", export_fills_up),
        TEST("topk: how rows are split does not show", any_split),
        TEST("topk: blocks and rows mixed", imports_and_rows_mixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
