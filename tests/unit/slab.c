/* Dealing blocks: each row to one rank, whatever the ranks, sets and batch sizes. */
#include "testing.h"

#include "source/slab.h"

enum { MAX_ROWS = 3000, MAX_RANGES = 64 };

static struct mpivf_context ctx;

static struct mpivf_source
make_source(struct mpivf_par *par, uint64_t rows, uint64_t block_rows, int rank, int size)
{
    *par = (struct mpivf_par){.ctx = &ctx, .rank = rank, .size = size};
    return (struct mpivf_source){.par = par,
                                 .rows = rows,
                                 .dim = 4,
                                 .block_rows = block_rows,
                                 .blocks = (rows + block_rows - 1) / block_rows};
}

/* Read a slab to its end, counting each row; the rows it had. */
static uint64_t
count_rows(struct mpivf_slab *slab, uint64_t max_rows, size_t max_ranges, int seen[MAX_ROWS])
{
    struct mpivf_range range[MAX_RANGES], peek[MAX_RANGES];
    uint64_t row_of[MAX_ROWS], rows, all = 0;
    for (;;) {
        size_t ahead = mpivf_slab_peek(slab, max_rows, peek, max_ranges);
        size_t ranges = mpivf_slab_next(slab, max_rows, range, max_ranges, &rows);
        assert_int_equal(ahead, ranges);
        assert_memory_equal(peek, range, ranges * sizeof *range);
        assert_true(rows <= max_rows && ranges <= max_ranges);
        assert_int_equal(mpivf_range_rows(range, ranges), rows);
        if (rows == 0)
            return all;
        mpivf_slab_rows(range, ranges, row_of);
        for (uint64_t i = 0; i < rows; i++) {
            assert_true(i == 0 || row_of[i] > row_of[i - 1]);
            seen[row_of[i]]++;
        }
        all += rows;
    }
}

/* Deal to `size` ranks and look that exactly the rows of the set come, once each. */
static void
check(uint64_t rows, uint64_t block_rows, int size, const struct mpivf_range *set, size_t ranges,
      uint64_t max_rows, size_t max_ranges)
{
    int seen[MAX_ROWS] = {0};
    for (int rank = 0; rank < size; rank++) {
        struct mpivf_par par;
        struct mpivf_slab slab;
        struct mpivf_source source = make_source(&par, rows, block_rows, rank, size);
        assert_ok(&ctx, mpivf_slab_init(&slab, &source, 5, set, ranges));
        uint64_t promised = slab.rows;
        assert_int_equal(count_rows(&slab, max_rows, max_ranges, seen), promised);
        mpivf_slab_clear(&slab);
    }
    struct mpivf_range all = {0, rows};
    struct mpivf_range one = {0, 1};
    for (one.row = 0; one.row < rows; one.row++) {
        uint64_t wanted = mpivf_range_common(set ? set : &all, set ? ranges : 1, &one, 1);
        assert_int_equal(seen[one.row], wanted);
    }
    assert_int_equal(ctx.memory.used, 0);
}

static const int sizes[] = {1, 2, 3, 5, 7};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void
every_row_once(void **state)
{
    (void)state;
    static const uint64_t rows[] = {1, 2, 6, 100, 997, 3000}, blocks[] = {1, 7, 64, 5000};
    mpivf_context_init(&ctx);
    for (size_t s = 0; s < SIZES; s++)
        for (size_t r = 0; r < 6; r++)
            for (size_t b = 0; b < 4; b++) {
                check(rows[r], blocks[b], sizes[s], NULL, 0, 100, MAX_RANGES);
                check(rows[r], blocks[b], sizes[s], NULL, 0, 3, 2);
            }
}

static void
only_the_set(void **state)
{
    (void)state;
    mpivf_context_init(&ctx);
    for (uint64_t round = 0; round < 60; round++) {
        struct mpivf_range set[20];
        size_t n = round % 20;
        for (size_t i = 0; i < n; i++)
            set[i] = (struct mpivf_range){draw(round, i) % 900, 1 + draw(round + 1, i) % 70};
        n = mpivf_range_normalise(set, n, NULL);
        check(1000, 1 + draw(round, 99) % 150, sizes[round % SIZES], set, n, 1 + round % 40,
              1 + round % MAX_RANGES);
    }
}

static void
shares_are_even(void **state)
{
    (void)state;
    mpivf_context_init(&ctx);
    for (size_t s = 0; s < SIZES; s++)
        for (int rank = 0; rank < sizes[s]; rank++) {
            struct mpivf_par par;
            struct mpivf_slab slab;
            struct mpivf_source source = make_source(&par, 1000, 10, rank, sizes[s]);
            uint64_t even = 100 / (uint64_t)sizes[s];
            assert_ok(&ctx, mpivf_slab_init(&slab, &source, 5, NULL, 0));
            assert_in_range(slab.pieces, even, even + 1);
            mpivf_slab_clear(&slab);
        }
}

static void
blocks_are_mixed(void **state)
{
    (void)state;
    struct mpivf_par par;
    struct mpivf_slab slab;
    uint64_t low = 0;
    mpivf_context_init(&ctx);
    struct mpivf_source source = make_source(&par, 3000, 10, 0, 3);
    assert_ok(&ctx, mpivf_slab_init(&slab, &source, 5, NULL, 0));
    for (size_t i = 0; i < slab.pieces; i++)
        low += slab.piece[i].row < 1500;
    assert_in_range(low, 35, 65); /* of 100 pieces: a rank sees all of the file */
    mpivf_slab_clear(&slab);
}

static void
whole_blocks_stay_whole(void **state)
{
    (void)state;
    struct mpivf_par par;
    struct mpivf_slab slab;
    struct mpivf_range range[MAX_RANGES];
    uint64_t rows;
    mpivf_context_init(&ctx);
    struct mpivf_source source = make_source(&par, 1000, 10, 0, 1);
    assert_ok(&ctx, mpivf_slab_init(&slab, &source, 5, NULL, 0));
    do {
        size_t n = mpivf_slab_next(&slab, 35, range, MAX_RANGES, &rows);
        assert_true(rows == 30 || rows == 10 || rows == 0); /* 100 blocks, three at a time */
        for (size_t i = 0; i < n; i++)
            assert_true(range[i].row % 10 == 0 && range[i].rows % 10 == 0);
    } while (rows > 0);
    mpivf_slab_clear(&slab);
}

static void
more_ranks_than_blocks(void **state)
{
    (void)state;
    mpivf_context_init(&ctx);
    check(5, 5, 7, NULL, 0, 2, 1);
    check(20, 5, 7, NULL, 0, 100, 1);
    struct mpivf_range one = {13, 1};
    check(20, 5, 7, &one, 1, 100, 1);
    check(20, 5, 3, &one, 0, 100, 1); /* an empty set */
}

static void
no_memory(void **state)
{
    (void)state;
    struct mpivf_par par;
    struct mpivf_slab slab;
    mpivf_context_init(&ctx);
    ctx.memory.limit = 100;
    struct mpivf_source source = make_source(&par, 1000, 10, 0, 1);
    assert_fails(&ctx, MPIVF_MEMORY, "slab", mpivf_slab_init(&slab, &source, 5, NULL, 0));
    mpivf_slab_clear(&slab);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("slab: every row once, for every number of ranks", every_row_once),
        TEST("slab: only the rows of the set", only_the_set),
        TEST("slab: shares are even", shares_are_even),
        TEST("slab: a rank sees all of the file", blocks_are_mixed),
        TEST("slab: blocks that fit are not split", whole_blocks_stay_whole),
        TEST("slab: more ranks than blocks, empty sets", more_ranks_than_blocks),
        TEST("slab: no memory is an error", no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
