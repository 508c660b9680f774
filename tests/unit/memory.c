/* Memory comes out of a budget: it ends, it has a peak, and nothing is lost. */
#include "testing.h"

static void
counts_and_gives_back(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    assert_int_equal(mpivf_memory_left(&ctx), SIZE_MAX);
    char *a = mpivf_alloc(&ctx, "a", 1000, 3), *b = mpivf_alloc(&ctx, "b", 1, 1);
    assert_non_null(a);
    assert_non_null(b);
    memset(a, 1, 3000);
    assert_true(ctx.memory.used >= 3001);
    size_t both = ctx.memory.used;
    mpivf_free(&ctx, a);
    assert_true(ctx.memory.used < both - 2999);
    assert_int_equal(ctx.memory.peak, both);
    mpivf_free(&ctx, b);
    mpivf_free(&ctx, NULL);
    assert_int_equal(ctx.memory.used, 0);
    assert_int_equal(ctx.memory.peak, both);
}

static void
budget_ends(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    ctx.memory.limit = 10000;
    void *a = mpivf_alloc(&ctx, "the first", 4000, 2);
    assert_non_null(a);
    size_t used = ctx.memory.used;
    assert_true(used <= 10000);
    assert_int_equal(mpivf_memory_left(&ctx), 10000 - used);
    assert_null(mpivf_alloc(&ctx, "the second", 4000, 1));
    assert_non_null(strstr(ctx.error, "the second"));
    assert_non_null(strstr(ctx.error, "--memory"));
    assert_int_equal(ctx.memory.used, used);
    assert_int_equal(ctx.memory.peak, used);
    mpivf_free(&ctx, a);
    mpivf_clear_error(&ctx);
    a = mpivf_alloc(&ctx, "the second", 4000, 1);
    assert_non_null(a);
    mpivf_free(&ctx, a);
}

static void
limit_below_use(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    void *a = mpivf_alloc(&ctx, "a", 5000, 1);
    ctx.memory.limit = 1000;
    assert_int_equal(mpivf_memory_left(&ctx), 0);
    assert_null(mpivf_alloc(&ctx, "b", 1, 1));
    mpivf_free(&ctx, a);
}

static void
exactly_the_limit(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    void *a = mpivf_alloc(&ctx, "a", 640, 1);
    size_t need = ctx.memory.used;
    mpivf_free(&ctx, a);
    ctx.memory.limit = need;
    a = mpivf_alloc(&ctx, "a", 640, 1);
    assert_non_null(a);
    assert_int_equal(mpivf_memory_left(&ctx), 0);
    mpivf_free(&ctx, a);
    ctx.memory.limit = need - 1;
    assert_null(mpivf_alloc(&ctx, "a", 640, 1));
}

static void
sizes_that_overflow(void **state)
{
    (void)state;
    static const size_t size[][2] = {{SIZE_MAX, 2},
                                     {SIZE_MAX / 2 + 1, 2},
                                     {SIZE_MAX, 1},
                                     {SIZE_MAX - 63, 1},
                                     {(size_t)1 << 32, (size_t)1 << 32},
                                     {SIZE_MAX / 2 + 1, 1},
                                     {SIZE_MAX, SIZE_MAX}};
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    for (size_t i = 0; i < sizeof size / sizeof size[0]; i++) {
        assert_null(mpivf_alloc(&ctx, "all of it", size[i][0], size[i][1]));
        assert_non_null(strstr(ctx.error, "all of it"));
        assert_null(mpivf_alloc_zero(&ctx, "all of it", size[i][0], size[i][1]));
        mpivf_clear_error(&ctx);
    }
    assert_int_equal(ctx.memory.used, 0);
}

static void
aligned_cleared_and_empty(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    for (size_t n = 0; n < 300; n += 7) {
        unsigned char *a = mpivf_alloc_zero(&ctx, "a", n, 1);
        assert_non_null(a);
        assert_int_equal((uintptr_t)a % 64, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(a[i], 0);
        if (n > 0)
            memset(a, 0xff, n); /* so that a second use of the memory is not zero by chance */
        mpivf_free(&ctx, a);
    }
    assert_int_equal(ctx.memory.used, 0);
}

/* For the whole process, and no less than a plan of that size gets then. */
static void
enough_is_told(void **state)
{
    (void)state;
    enum { MIB = 1 << 20 };
    struct mpivf_context ctx;
    size_t bytes = 0;
    mpivf_context_init(&ctx);
    ctx.memory.limit = 10 * MIB;
    ctx.memory.beside = 30 * MIB;
    assert_ok(&ctx, mpivf_memory_reserve(&ctx, "some", 4 * MIB));
    assert_fails(&ctx, MPIVF_MEMORY,
                 "more needs 9.0 MiB of buffers at least, 6.0 MiB are left; raise --memory to 45M "
                 "or do less",
                 mpivf_memory_plan(&ctx, "more", 9 * MIB, 20 * MIB, "do less", &bytes));
    assert_fails(&ctx, MPIVF_MEMORY, "raise --memory to 43M",
                 mpivf_memory_reserve(&ctx, "x", 7 * MIB));
    assert_int_equal(bytes, 0);
    ctx.memory.limit = (45 - 30) * MIB;
    assert_ok(&ctx, mpivf_memory_plan(&ctx, "more", 9 * MIB, 20 * MIB, NULL, &bytes));
    assert_int_equal(bytes, 11 * MIB);
    assert_ok(&ctx, mpivf_memory_plan(&ctx, "more", 9 * MIB, 10 * MIB, NULL, &bytes));
    assert_int_equal(bytes, 10 * MIB);
    assert_ok(&ctx, mpivf_memory_plan(&ctx, "more", 9 * MIB, MIB, NULL, &bytes)); /* it must fit */
    assert_int_equal(bytes, 9 * MIB);
}

static void
lists_grow(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    uint64_t *list = NULL;
    size_t room = 0, n = 0;
    mpivf_context_init(&ctx);
    for (size_t more = 1; n < 1000; n += more, more = more % 37 + 1) {
        assert_ok(&ctx, mpivf_grow(&ctx, "numbers", &list, n, more, sizeof *list, &room));
        assert_true(room >= n + more);
        for (size_t i = n; i < n + more; i++)
            list[i] = i * i;
    }
    for (uint64_t i = 0; i < n; i++)
        assert_int_equal(list[i], i * i);
    ctx.memory.limit = ctx.memory.used;
    const uint64_t *before = list;
    assert_ok(&ctx, mpivf_grow(&ctx, "numbers", &list, n, room - n, sizeof *list, &room));
    assert_ptr_equal(list, before);
    size_t full = room;
    assert_int_equal(mpivf_grow(&ctx, "numbers", &list, room, 1, sizeof *list, &room),
                     MPIVF_MEMORY);
    assert_ptr_equal(list, before);
    assert_int_equal(room, full);
    assert_int_equal(list[n - 1], (n - 1) * (n - 1)); /* the old one stays */
    mpivf_free(&ctx, list);
    assert_int_equal(ctx.memory.used, 0);
}

/*
 * What is opened first and what is planned then are told in one sum; nothing is left of the credit.
 */
static void
credit_until_the_plan(void **state)
{
    (void)state;
    static const size_t MIB = 1 << 20;
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    ctx.memory.limit = 4 * MIB;
    ctx.memory.beside = 10 * MIB;
    mpivf_memory_credit(&ctx);
    assert_int_equal(mpivf_memory_ask(&ctx, "one", 3 * MIB, NULL), MPIVF_OK); /* which fits */
    assert_int_equal(mpivf_memory_reserve(&ctx, "one", 3 * MIB), MPIVF_OK);
    assert_false(mpivf_memory_lent(&ctx));
    assert_int_equal(mpivf_memory_ask(&ctx, "reading", 2 * MIB, "fold the paper"), MPIVF_OK);
    assert_int_equal(mpivf_memory_reserve(&ctx, "reading", 2 * MIB), MPIVF_OK);
    assert_true(mpivf_memory_lent(&ctx));
    assert_fails(&ctx, MPIVF_MEMORY,
                 "reading and writing need 3.0 MiB of buffers at least, 1.0 MiB are left; raise "
                 "--memory to 18M or fold the paper",
                 mpivf_memory_plan(&ctx, "writing", MIB, 0, "write less", NULL));
    mpivf_memory_settle(&ctx);
    mpivf_memory_release(&ctx, 2 * MIB);
    assert_fails(&ctx, MPIVF_MEMORY, "reading needs 2.0 MiB",
                 mpivf_memory_ask(&ctx, "reading", 2 * MIB, NULL));
    assert_fails(&ctx, MPIVF_MEMORY, "reading needs",
                 mpivf_memory_reserve(&ctx, "reading", 2 * MIB));
    mpivf_memory_credit(&ctx);
    assert_fails(&ctx, MPIVF_MEMORY, "reading needs", /* what no machine has is not lent */
                 mpivf_memory_ask(&ctx, "reading", SIZE_MAX / 4, NULL));
    assert_int_equal(mpivf_memory_plan(&ctx, "writing", MIB, 0, NULL, NULL), MPIVF_OK);
    assert_fails(&ctx, MPIVF_MEMORY, "writing needs",
                 mpivf_memory_reserve(&ctx, "writing", 2 * MIB));
    mpivf_memory_release(&ctx, 3 * MIB);
    ctx.memory.limit = 0; /* without a limit there is nothing to be lent */
    mpivf_memory_credit(&ctx);
    assert_int_equal(mpivf_memory_ask(&ctx, "reading", 99 * MIB, NULL), MPIVF_OK);
    assert_false(ctx.memory.credit || mpivf_memory_lent(&ctx));
}

static void
defaults_make_sense(void **state)
{
    (void)state;
    size_t one = mpivf_memory_default(1), four = mpivf_memory_default(4);
    assert_true(one > (size_t)1 << 20);
    assert_true(four <= one / 4 && four + 1 >= one / 4);
    assert_int_equal(mpivf_memory_default(0), one);
    assert_true(mpivf_memory_resident() > (size_t)1 << 16);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("memory: counted, given back, peak kept", counts_and_gives_back),
        TEST("memory: the budget ends", budget_ends),
        TEST("memory: a limit below what is in use", limit_below_use),
        TEST("memory: exactly the limit is granted", exactly_the_limit),
        TEST("memory: sizes that overflow are refused", sizes_that_overflow),
        TEST("memory: aligned, cleared, zero bytes", aligned_cleared_and_empty),
        TEST("memory: a want of it tells what is enough", enough_is_told),
        TEST("memory: on credit until the plan", credit_until_the_plan),
        TEST("memory: lists grow, and stay when they cannot", lists_grow),
        TEST("memory: defaults make sense", defaults_make_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
