/* Sets of rows against a bitmap that does the same naively. */
#include "testing.h"

#include "base/row_set.h"

enum { ROWS = 200, MAX = 40, ROUNDS = 2000 };

/* A few random ranges in [0, ROWS), overlapping or not. */
static size_t
random_ranges(struct mpivf_range *range, uint64_t stream)
{
    size_t n = draw(stream, 0) % MAX;
    for (size_t i = 0; i < n; i++) {
        uint64_t row = draw(stream, 2 * i + 1) % ROWS, rows = draw(stream, 2 * i + 2) % 12;
        range[i] = (struct mpivf_range){row, rows < ROWS - row ? rows : ROWS - row};
    }
    return n;
}

/* How often each row is in a range. */
static void
mark(const struct mpivf_range *range, size_t n, int map[ROWS])
{
    memset(map, 0, ROWS * sizeof *map);
    for (size_t i = 0; i < n; i++)
        for (uint64_t row = range[i].row; row < range[i].row + range[i].rows; row++)
            map[row]++;
}

static void
assert_set(const struct mpivf_range *range, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_true(range[i].rows > 0);
        if (i > 0)
            assert_true(range[i].row > range[i - 1].row + range[i - 1].rows);
    }
}

static void
normalise_is_the_union(void **state)
{
    (void)state;
    struct mpivf_range range[MAX];
    int before[ROWS], after[ROWS];
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t overlap, first = UINT64_MAX, rows = 0;
        size_t n = random_ranges(range, round);
        mark(range, n, before);
        n = mpivf_range_normalise(range, n, &overlap);
        assert_set(range, n);
        mark(range, n, after);
        for (uint64_t row = 0; row < ROWS; row++) {
            assert_int_equal(after[row], before[row] > 0);
            rows += before[row] > 0;
            if (before[row] > 1 && first == UINT64_MAX)
                first = row;
        }
        assert_int_equal(overlap, first);
        assert_int_equal(mpivf_range_rows(range, n), rows);
    }
}

static void
gaps_are_the_rest(void **state)
{
    (void)state;
    struct mpivf_range range[MAX], gap[MAX + 1];
    int set[ROWS], rest[ROWS];
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t rows = draw(round, 1000) % (ROWS + 1);
        size_t n = mpivf_range_normalise(range, random_ranges(range, round), NULL);
        size_t gaps = mpivf_range_gaps(range, n, rows, gap);
        assert_true(gaps <= n + 1);
        assert_set(gap, gaps);
        mark(range, n, set);
        mark(gap, gaps, rest);
        for (uint64_t row = 0; row < ROWS; row++)
            assert_int_equal(rest[row], row < rows && !set[row]);
    }
}

static void
common_counts_both(void **state)
{
    (void)state;
    struct mpivf_range a[MAX], b[MAX];
    int in_a[ROWS], in_b[ROWS];
    for (uint64_t round = 0; round < ROUNDS; round++) {
        size_t na = mpivf_range_normalise(a, random_ranges(a, 2 * round), NULL);
        size_t nb = mpivf_range_normalise(b, random_ranges(b, 2 * round + 1), NULL);
        mark(a, na, in_a);
        mark(b, nb, in_b);
        uint64_t both = 0;
        for (uint64_t row = 0; row < ROWS; row++)
            both += in_a[row] && in_b[row];
        assert_int_equal(mpivf_range_common(a, na, b, nb), both);
        assert_int_equal(mpivf_range_common(b, nb, a, na), both);
    }
}

static void
cut_is_what_lies_within(void **state)
{
    (void)state;
    struct mpivf_range range[MAX], part[MAX], few[2];
    int set[ROWS], cut[ROWS];
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t row = draw(round, 1001) % ROWS;
        struct mpivf_range within = {row, 1 + draw(round, 1002) % (ROWS - row)};
        size_t n = mpivf_range_normalise(range, random_ranges(range, round), NULL);
        size_t parts = mpivf_range_cut(range, n, within, part, MAX);
        assert_set(part, parts);
        mark(range, n, set);
        mark(part, parts, cut);
        for (uint64_t r = 0; r < ROWS; r++)
            assert_int_equal(cut[r], set[r] && r >= row && r < row + within.rows);
        size_t some = mpivf_range_cut(range, n, within, few, 2);
        assert_int_equal(some, parts < 2 ? parts : 2);
        assert_memory_equal(few, part, some * sizeof *few);
    }
}

static void
empty_sets(void **state)
{
    (void)state;
    struct mpivf_range none[1] = {{5, 0}}, gap[2];
    uint64_t overlap;
    assert_int_equal(mpivf_range_normalise(NULL, 0, &overlap), 0);
    assert_int_equal(overlap, UINT64_MAX);
    assert_int_equal(mpivf_range_normalise(none, 1, &overlap), 0);
    assert_int_equal(mpivf_range_rows(NULL, 0), 0);
    assert_int_equal(mpivf_range_gaps(NULL, 0, 0, gap), 0);
    assert_int_equal(mpivf_range_gaps(NULL, 0, 9, gap), 1);
    assert_int_equal(gap[0].rows, 9);
    assert_int_equal(mpivf_range_cut(NULL, 0, (struct mpivf_range){0, 9}, gap, 2), 0);
    assert_int_equal(mpivf_range_common(NULL, 0, gap, 1), 0);
}

/* Ranges that come a few at a time make the same set as all at once. */
static void
row_set_grows(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    for (uint64_t t = 0; t < ROUNDS / 10; t++) {
        struct mpivf_row_set set = {.range = NULL}, later = {.range = NULL};
        struct mpivf_range all[4 * MAX];
        size_t n = 0;
        for (int k = 0; k < 4; k++) {
            size_t few = random_ranges(all + n, 4 * t + (uint64_t)k);
            assert_ok(&ctx, mpivf_row_set_add(&ctx, &set, all + n, few));
            assert_ok(&ctx, mpivf_row_set_put(&ctx, &later, all + n, few));
            n += few;
        }
        uint64_t overlap, first;
        mpivf_row_set_order(&later, &overlap);
        n = mpivf_range_normalise(all, n, &first);
        assert_true(overlap == first);
        assert_int_equal(set.ranges, n);
        assert_int_equal(later.ranges, n);
        assert_memory_equal(set.range, all, n * sizeof *all);
        assert_memory_equal(later.range, all, n * sizeof *all);
        mpivf_row_set_clear(&ctx, &set);
        mpivf_row_set_clear(&ctx, &later);
    }
    assert_int_equal(ctx.memory.used, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("range: normalise is the union and tells the first overlap", normalise_is_the_union),
        TEST("range: gaps are the rest", gaps_are_the_rest),
        TEST("range: common counts what both have", common_counts_both),
        TEST("range: cut is what lies within", cut_is_what_lies_within),
        TEST("range: empty sets", empty_sets),
        TEST("range: a set that grows", row_set_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
