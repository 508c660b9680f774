/* A pool tells what it would take, to the byte, and gives all back. */
#include "testing.h"

#include "base/pool.h"

enum { BUFFERS = 12 };

struct thing {
    char *buffer[BUFFERS];
};

static void
lay_out(struct thing *thing, struct mpivf_pool *pool, uint64_t stream)
{
    for (size_t i = 0; i < BUFFERS; i++)
        thing->buffer[i] =
            mpivf_pool_take(pool, draw(stream, i) % 5000, 1 + draw(stream + 1, i) % 9);
}

static void
counts_what_it_takes(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    for (uint64_t t = 0; t < 50; t++) {
        struct thing counted, taken;
        struct mpivf_pool count = mpivf_pool_counting(), pool = mpivf_pool_taking(&ctx, "things");
        lay_out(&counted, &count, t);
        lay_out(&taken, &pool, t);
        assert_ok(&ctx, mpivf_pool_status(&pool));
        assert_int_equal(count.bytes, pool.bytes);
        assert_int_equal(ctx.memory.used, pool.bytes);
        for (size_t i = 0; i < BUFFERS; i++) {
            size_t bytes = draw(t, i) % 5000 * (1 + draw(t + 1, i) % 9);
            assert_null(counted.buffer[i]);
            assert_non_null(taken.buffer[i]);
            assert_int_equal((uintptr_t)taken.buffer[i] % 64, 0);
            memset(taken.buffer[i], (int)i, bytes); /* the sanitizer looks on */
        }
        mpivf_pool_clear(&pool);
        assert_int_equal(ctx.memory.used, 0);
        mpivf_pool_clear(&pool); /* again does no harm */
        mpivf_pool_clear(&count);
    }
}

/* Where the budget ends amid them, wherever that is, it is told once and all goes back. */
static void
what_does_not_fit(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    struct thing thing;
    struct mpivf_pool count = mpivf_pool_counting();
    lay_out(&thing, &count, 3);
    for (size_t limit = 1; limit <= count.bytes + 64; limit += 997) {
        mpivf_context_init(&ctx);
        ctx.memory.limit = limit;
        struct mpivf_pool pool = mpivf_pool_taking(&ctx, "things");
        lay_out(&thing, &pool, 3);
        assert_int_equal(mpivf_pool_status(&pool), limit < count.bytes ? MPIVF_MEMORY : MPIVF_OK);
        assert_int_equal(strstr(ctx.error, "things") != NULL, limit < count.bytes);
        mpivf_pool_clear(&pool);
        assert_int_equal(ctx.memory.used, 0);
    }
}

/* Sizes that overflow are more than anybody has, not less. */
static void
what_cannot_be_counted(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    struct mpivf_pool count = mpivf_pool_counting(), pool = mpivf_pool_taking(&ctx, "things");
    for (int i = 0; i < 9; i++)
        (void)mpivf_pool_take(&count, SIZE_MAX / 3, 1 + (size_t)i);
    assert_true(count.bytes >= SIZE_MAX / 4);
    assert_null(mpivf_pool_take(&pool, SIZE_MAX / 2, 4));
    assert_int_equal(mpivf_pool_status(&pool), MPIVF_MEMORY);
    assert_non_null(strstr(ctx.error, "things would need more memory than can be addressed"));
    mpivf_pool_clear(&pool);
    assert_int_equal(ctx.memory.used, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("pool: it counts what it takes", counts_what_it_takes),
        TEST("pool: what does not fit goes back", what_does_not_fit),
        TEST("pool: what cannot be counted", what_cannot_be_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
