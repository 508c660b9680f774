/* The sample of a rank: the same rows and blocks whether it is in memory or in a scratch file. */
#include "testing.h"

#include "build/sample.h"
#include "index/coarse.h"

#include <math.h>

enum { DIM = 6, LEVELS = MPIVF_SAMPLE_LEVELS, MAX = 4000 };

static struct mpivf_context ctx;
static char folder[FOLDER], path[FOLDER + 8];

static void
value_of(size_t level, size_t i, float row[DIM])
{
    for (size_t j = 0; j < DIM; j++)
        row[j] = (float)(100000 * level + 10 * i + j) / 8 - 7000;
}

/* How many rows of each level have room, and come. */
struct plan {
    size_t room[LEVELS], put[LEVELS];
};

static size_t
total(const size_t rows[LEVELS])
{
    return rows[0] + rows[1] + rows[2];
}

/* Enough for everything that comes with a row. */
static size_t
ample(size_t rows)
{
    return (rows + 1) * 400 + (64 << 10);
}

static bool
in_a_file(const struct mpivf_sample *sample)
{
    return sample->file.fd >= 0;
}

/* Put the rows of the levels in turns. */
static void
make(struct mpivf_sample *sample, const struct plan *plan, size_t memory)
{
    float row[DIM];
    assert_ok(&ctx, mpivf_sample_init(&ctx, sample, MPIVF_L2, DIM, plan->room, memory, path));
    for (size_t i = 0; i < MAX; i++)
        for (size_t l = 0; l < LEVELS; l++)
            if (i < plan->put[l]) {
                value_of(l, i, row);
                assert_ok(&ctx, mpivf_sample_put(sample, (enum mpivf_sample_level)l, row,
                                                 1000000 * l + i));
            }
    assert_ok(&ctx, mpivf_sample_ready(sample));
}

/* Row i of all levels, where it is and what it holds. */
static void
check_rows(struct mpivf_sample *sample, const struct plan *plan)
{
    float row[DIM], want[DIM];
    size_t i = 0;
    for (size_t l = 0; l < LEVELS; l++)
        for (size_t n = 0; n < plan->put[l]; n++, i++) {
            size_t place = mpivf_sample_place(sample, i);
            assert_int_equal(place, sample->first[l] + n);
            assert_int_equal(sample->key[place], 1000000 * l + n);
            assert_ok(&ctx, mpivf_sample_row(sample, place, row));
            value_of(l, n, want);
            assert_memory_equal(row, want, sizeof want);
        }
}

/* The blocks up to a level hold the rows up to it, each once and in order. */
static void
check_blocks(struct mpivf_sample *sample, const struct plan *plan, enum mpivf_sample_level level)
{
    struct mpivf_sample_block block;
    float want[DIM];
    size_t i = 0, rows = mpivf_sample_rows(sample, level);
    for (size_t b = 0; b < mpivf_sample_blocks(sample, level); b++) {
        assert_ok(&ctx, mpivf_sample_block(sample, b, &block));
        assert_true(block.rows->rows <= sample->block_rows);
        for (size_t n = 0; n < block.rows->rows; n++, i++) {
            assert_true(i < rows);
            assert_int_equal(block.first + n, mpivf_sample_place(sample, i));
            size_t l = i < plan->put[0] ? 0 : i < plan->put[0] + plan->put[1] ? 1 : 2;
            value_of(l, i - (l > 0 ? plan->put[0] : 0) - (l > 1 ? plan->put[1] : 0), want);
            assert_memory_equal(block.rows->raw.f32 + n * DIM, want, sizeof want);
        }
    }
    assert_int_equal(i, rows);
}

static void
check(const struct plan *plan, size_t memory, bool streams)
{
    struct mpivf_sample sample;
    make(&sample, plan, memory);
    assert_true(in_a_file(&sample) == streams);
    size_t rows = 0;
    for (int l = 0; l < LEVELS; l++)
        assert_int_equal(mpivf_sample_rows(&sample, (enum mpivf_sample_level)l),
                         rows += plan->put[l]);
    check_rows(&sample, plan);
    for (int l = LEVELS; l-- > 0;)
        check_blocks(&sample, plan, (enum mpivf_sample_level)l);
    check_rows(&sample, plan); /* blocks have been in the buffer meanwhile */
    check_blocks(&sample, plan, MPIVF_SAMPLE_ALL);
    assert_int_equal(sample.bytes_written, streams ? rows * DIM * sizeof(float) : 0);
    assert_true(streams ? sample.bytes_read > 0 || rows == 0 : sample.bytes_read == 0);
    assert_true(ctx.memory.used <= memory + 2048); /* every allocation has a head */
    mpivf_sample_clear(&sample);
    assert_int_equal(ctx.memory.used, 0);
}

/* Memory in which a block has `rows` rows, of `plan`. */
static size_t
memory_for(const struct plan *plan, size_t rows)
{
    return mpivf_sample_bytes(DIM, total(plan->room), rows, ctx.threads);
}

static const struct plan plans[] = {
    {{100, 900, 3000}, {100, 900, 3000}},
    {{100, 900, 3000}, {93, 777, 2903}}, /* rows that were left out */
    {{0, 0, 2000}, {0, 0, 2000}},
    {{1200, 0, 0}, {1200, 0, 0}},
    {{700, 0, 1500}, {700, 0, 1500}},
    {{5, 1, 1200}, {0, 1, 1}},
    {{300, 300, 300}, {0, 0, 0}},
    {{255, 256, 257}, {255, 256, 257}}, /* whole thirds and blocks, and one more or less */
    {{85, 170, 512}, {85, 170, 511}},
};

static void
same_in_memory_and_in_a_file(void **state)
{
    (void)state;
    static const size_t blocks[] = {256, 257, 300, 511, 899};
    mpivf_context_init(&ctx);
    for (size_t p = 0; p < sizeof plans / sizeof plans[0]; p++) {
        check(&plans[p], ample(total(plans[p].room)), false);
        for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++)
            check(&plans[p], memory_for(&plans[p], blocks[b]), blocks[b] < total(plans[p].room));
    }
}

static void
no_rows_at_all(void **state)
{
    (void)state;
    static const struct plan none = {{0, 0, 0}, {0, 0, 0}};
    struct mpivf_sample sample;
    mpivf_context_init(&ctx);
    check(&none, ample(0), false);
    check(&none, 0, false); /* a rank without rows needs nothing */
    memset(&sample, 0, sizeof sample);
    mpivf_sample_clear(&sample); /* never made */
}

/* What rows are prepared around and what sums are scaled by. */
static void
centre_and_largest_value(void **state)
{
    (void)state;
    struct mpivf_sample sample;
    double mean[DIM] = {0}, max = 0;
    float row[DIM];
    mpivf_context_init(&ctx);
    for (int streams = 0; streams < 2; streams++) {
        make(&sample, &plans[0], streams ? memory_for(&plans[0], 256) : ample(4000));
        memset(mean, 0, sizeof mean);
        for (size_t i = 0; i < total(plans[0].put); i++) {
            assert_ok(&ctx, mpivf_sample_row(&sample, mpivf_sample_place(&sample, i), row));
            for (size_t j = 0; j < DIM; j++) {
                mean[j] += (double)row[j] / (double)total(plans[0].put);
                max = fmax(max, fabs((double)row[j]));
            }
        }
        assert_true(sample.max == max);
        for (size_t j = 0; j < DIM; j++)
            assert_true(fabs(sample.centre[j] - mean[j]) < 1e-3 * max);
        mpivf_sample_clear(&sample);
    }
}

static void
more_rows_than_room(void **state)
{
    (void)state;
    static const struct plan full = {{2, 0, 3}, {2, 0, 3}};
    struct mpivf_sample sample;
    float row[DIM] = {0};
    mpivf_context_init(&ctx);
    make(&sample, &full, ample(5));
    for (int l = 0; l < LEVELS; l++)
        assert_fails(&ctx, MPIVF_INTERNAL, "overflows",
                     mpivf_sample_put(&sample, (enum mpivf_sample_level)l, row, 1));
    check_rows(&sample, &full);
    mpivf_sample_clear(&sample);
}

/* Blocks of wide rows have few, but enough of them. */
static void
wide_rows_stream(void **state)
{
    (void)state;
    enum { WIDE = 1 << 18, WIDE_ROWS = 260 };
    static const size_t rows[LEVELS] = {0, 0, WIDE_ROWS};
    struct mpivf_sample sample;
    mpivf_context_init(&ctx);
    ctx.memory.limit = mpivf_sample_min_bytes(WIDE, WIDE_ROWS, 1) + 4096;
    assert_ok(&ctx, mpivf_sample_init(&ctx, &sample, MPIVF_L2, WIDE, rows, ctx.memory.limit, path));
    assert_true(sample.block_rows == 256 && sample.file.fd >= 0);
    mpivf_sample_clear(&sample);
    assert_int_equal(ctx.memory.used, 0);
}

static void
too_little_memory(void **state)
{
    (void)state;
    struct mpivf_sample sample;
    const struct plan *plan = &plans[0];
    mpivf_context_init(&ctx);
    for (size_t memory = 0; memory < memory_for(plan, 256); memory += 30000) {
        assert_fails(&ctx, MPIVF_MEMORY, "a sample of 4000 rows needs",
                     mpivf_sample_init(&ctx, &sample, MPIVF_L2, DIM, plan->room, memory, path));
        mpivf_sample_clear(&sample);
        assert_int_equal(ctx.memory.used, 0);
    }
    assert_int_equal(mpivf_sample_init(&ctx, &sample, MPIVF_L2, DIM, plan->room, 1000, path),
                     MPIVF_MEMORY);
    assert_non_null(strstr(ctx.error, "--memory"));
    assert_non_null(strstr(ctx.error, "--sample"));
    mpivf_clear_error(&ctx);
    ctx.memory.limit = 20000; /* the budget, when what was promised is not there */
    assert_fails(
        &ctx, MPIVF_MEMORY, "--sample",
        mpivf_sample_init(&ctx, &sample, MPIVF_L2, DIM, plan->room, memory_for(plan, 256), path));
    mpivf_sample_clear(&sample);
    assert_int_equal(ctx.memory.used, 0);
}

static void
no_file_is_left(void **state)
{
    (void)state;
    struct mpivf_sample sample;
    mpivf_context_init(&ctx);
    make(&sample, &plans[0], memory_for(&plans[0], 256));
    assert_true(in_a_file(&sample));
    assert_int_equal(count_entries(&ctx, folder), 0); /* not even while it is used */
    mpivf_sample_clear(&sample);
    assert_int_equal(count_entries(&ctx, folder), 0);
}

static void
no_such_folder(void **state)
{
    (void)state;
    struct mpivf_sample sample;
    mpivf_context_init(&ctx);
    assert_fails(&ctx, MPIVF_IO, "/not/here",
                 mpivf_sample_init(&ctx, &sample, MPIVF_L2, DIM, plans[0].room,
                                   memory_for(&plans[0], 256), "/not/here/model"));
    mpivf_sample_clear(&sample);
    assert_int_equal(ctx.memory.used, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("sample: the same in memory and in a scratch file", same_in_memory_and_in_a_file),
        TEST("sample: no rows at all", no_rows_at_all),
        TEST("sample: about the mean, and the largest value", centre_and_largest_value),
        TEST("sample: more rows than there is room for", more_rows_than_room),
        TEST("sample: too little memory is an error", too_little_memory),
        TEST("sample: wide rows stream", wide_rows_stream),
        TEST("sample: no file is left", no_file_is_left),
        TEST("sample: no folder for the scratch file", no_such_folder),
    };
    make_folder(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mpivf_context_init(&ctx);
    return mpivf_folder_remove(&ctx, folder) != MPIVF_OK || failed;
}
