/* XXH3: the published value, piece by piece as in one go, and no byte goes unseen. */
#include "testing.h"

#include "io/checksum.h"

enum { BYTES = 3000 };

static void
fill(unsigned char *data)
{
    for (size_t i = 0; i < BYTES; i++)
        data[i] = (unsigned char)draw(1, i);
}

static void
known_value(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    struct mpivf_pool pool = mpivf_pool_taking(&ctx, "a checksum");
    struct mpivf_checksum *sum = mpivf_checksum_take(&pool);
    assert_non_null(sum);
    assert_int_equal(mpivf_checksum_of("", 0), 0x2d06800538d394c2u);
    assert_int_equal(mpivf_checksum_of(NULL, 0), 0x2d06800538d394c2u);
    assert_int_equal(mpivf_checksum_value(sum), 0x2d06800538d394c2u);
    mpivf_pool_clear(&pool);
    assert_int_equal(ctx.memory.used, 0);
}

static void
pieces_are_the_whole(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    unsigned char data[BYTES];
    mpivf_context_init(&ctx);
    fill(data);
    struct mpivf_pool pool = mpivf_pool_taking(&ctx, "a checksum");
    struct mpivf_checksum *sum = mpivf_checksum_take(&pool);
    for (uint64_t round = 0; round < 500; round++) {
        size_t bytes = draw(2, round) % (BYTES + 1);
        mpivf_checksum_start(sum);
        for (size_t at = 0, i = 0; at < bytes; i++) {
            size_t piece = draw(round + 3, i) % 400; /* 0 too */
            piece = piece < bytes - at ? piece : bytes - at;
            mpivf_checksum_add(sum, data + at, piece);
            at += piece;
        }
        assert_int_equal(mpivf_checksum_value(sum), mpivf_checksum_of(data, bytes));
        assert_int_equal(mpivf_checksum_value(sum), mpivf_checksum_of(data, bytes)); /* again */
    }
    mpivf_pool_clear(&pool);
}

static void
every_byte_counts(void **state)
{
    (void)state;
    unsigned char data[BYTES];
    fill(data);
    uint64_t whole = mpivf_checksum_of(data, BYTES);
    for (size_t i = 0; i < BYTES; i++) {
        data[i] ^= 1;
        assert_true(mpivf_checksum_of(data, BYTES) != whole);
        data[i] ^= 1;
    }
    assert_true(mpivf_checksum_of(data, BYTES - 1) != whole);
    assert_int_equal(mpivf_checksum_of(data, BYTES), whole);
}

static void
no_memory(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    ctx.memory.limit = 100;
    struct mpivf_pool pool = mpivf_pool_taking(&ctx, "a checksum");
    assert_null(mpivf_checksum_take(&pool));
    assert_true(pool.failed);
    assert_non_null(strstr(ctx.error, "checksum"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("checksum: the published value of nothing", known_value),
        TEST("checksum: pieces are the whole", pieces_are_the_whole),
        TEST("checksum: every byte counts", every_byte_counts),
        TEST("checksum: no memory is an error", no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
