/* Buckets: both passes stay in the budget, or what they need is told and is enough. */
#include "testing.h"

#include "source/bucket.h"

#include <math.h>

static const uint64_t TOTAL[] = {1, 2, 1000, 123457, 50000000, 3000000000, 1000000000000};
static const size_t ROW[] = {1, 2, 100, 512, 3136, 4096, 100001, 8 << 20};
static const int RANKS[] = {1, 3, 64, 5000};

#define EACH(i, array) for (size_t i = 0; i < sizeof(array) / sizeof(array)[0]; i++)

/* What scattering and ordering allocate. */
static double
scatter_bytes(const struct mpivf_buckets *b)
{
    double row = (double)b->row_bytes, buckets = (double)b->count;
    return (double)b->batch_rows * (row + 4) + buckets * 24 +
           buckets * ((double)b->row_slots * row + (double)b->id_slots * 8);
}

static double
order_bytes(const struct mpivf_buckets *b)
{
    double row = (double)b->row_bytes;
    return (double)b->rows * (row + 12) + (double)b->piece_rows * (row + 8);
}

static void
check(const struct mpivf_buckets *b, uint64_t total, size_t row, size_t left)
{
    assert_true(b->total == total && b->row_bytes == row);
    assert_true(b->rows >= 1 && b->rows < UINT32_MAX && b->batch_rows >= 1 && b->piece_rows >= 1);
    assert_int_equal(b->count, (total + b->rows - 1) / b->rows);
    assert_true(b->row_slots >= 1 && b->id_slots >= 512);
    assert_true(b->row_slots * row + b->id_slots * 8 >= 64 << 10);
    assert_true(scatter_bytes(b) <= (double)left);
    assert_true(order_bytes(b) <= (double)left);
}

static void
both_passes_fit(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    size_t planned = 0, refused = 0;
    for (size_t left = 1000; left < (size_t)1 << 42; left = left * 5 / 2)
        EACH (t, TOTAL)
            EACH (r, ROW)
                EACH (k, RANKS) {
                    struct mpivf_buckets b;
                    mpivf_status status =
                        mpivf_bucket_plan(&ctx, TOTAL[t], ROW[r], left, RANKS[k], &b);
                    assert_true(status == MPIVF_OK || status == MPIVF_MEMORY);
                    if (status == MPIVF_OK)
                        check(&b, TOTAL[t], ROW[r], left);
                    mpivf_clear_error(&ctx);
                    planned += status == MPIVF_OK;
                    refused += status != MPIVF_OK;
                }
    assert_true(planned > 1000 && refused > 1000);
}

static void
the_need_that_is_told_is_enough(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    struct mpivf_buckets b;
    size_t enough;
    mpivf_context_init(&ctx);
    ctx.memory.limit = 100000;
    EACH (t, TOTAL)
        EACH (r, ROW) {
            mpivf_status status = mpivf_bucket_plan(&ctx, TOTAL[t], ROW[r], 100000, 3, &b);
            assert_int_equal(status, MPIVF_MEMORY);
            int found = sscanf(ctx.error,
                               "shuffling in two passes needs %*f MiB of buffers at least, "
                               "%*f MiB are left; raise --memory to %zuM",
                               &enough);
            assert_int_equal(found, 1);
            mpivf_clear_error(&ctx);
            enough <<= 20;
            assert_ok(&ctx, mpivf_bucket_plan(&ctx, TOTAL[t], ROW[r], enough, 3, &b));
            check(&b, TOTAL[t], ROW[r], enough);
        }
}

/* M bytes do for M * M / 96 KiB, as the header says. */
static void
little_memory_goes_far(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    struct mpivf_buckets b;
    mpivf_context_init(&ctx);
    for (uint64_t m = 4 << 20; m < (uint64_t)1 << 36; m *= 2)
        assert_ok(&ctx, mpivf_bucket_plan(&ctx, m / 512 * (m / (96 << 10)), 512, m, 1, &b));
}

static void
every_rank_has_as_many(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    struct mpivf_buckets b;
    mpivf_context_init(&ctx);
    for (int ranks = 1; ranks < 100; ranks++) {
        assert_ok(&ctx, mpivf_bucket_plan(&ctx, 10000000, 512, SIZE_MAX, ranks, &b));
        assert_true(b.count >= (uint64_t)ranks && b.count <= 77 + (uint64_t)ranks);
        assert_true(b.count % (uint64_t)ranks == 0 || b.rows % 512 == 0);
        assert_true(b.rows * 512 <= 64 << 20);
    }
}

static void
long_buckets_start_on_pages(void **state)
{
    (void)state;
    static const size_t row[] = {1, 2, 12, 100, 128, 3136};
    struct mpivf_context ctx;
    struct mpivf_buckets b;
    mpivf_context_init(&ctx);
    EACH (r, row) {
        assert_ok(&ctx, mpivf_bucket_plan(&ctx, 100000000, row[r], 256 << 20, 7, &b));
        assert_true(b.count > 1);
        assert_int_equal(b.rows * row[r] % 4096, 0);
        assert_int_equal(b.rows * sizeof(int64_t) % 4096, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("bucket: both passes fit the budget", both_passes_fit),
        TEST("bucket: the need that is told is enough", the_need_that_is_told_is_enough),
        TEST("bucket: little memory goes far", little_memory_goes_far),
        TEST("bucket: every rank has as many", every_rank_has_as_many),
        TEST("bucket: long buckets start on pages", long_buckets_start_on_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
