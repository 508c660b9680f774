/* The first error stays and is one line; notes go where they should; exit codes. */
#include "testing.h"

static void
keeps_the_first_error(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    assert_string_equal(ctx.error, "");
    assert_int_equal(mpivf_fail(&ctx, MPIVF_IO, "cannot read '%s'", "a"), MPIVF_IO);
    assert_int_equal(mpivf_fail(&ctx, MPIVF_CORRUPT, "cannot close '%s'", "b"), MPIVF_CORRUPT);
    assert_string_equal(ctx.error, "cannot read 'a'");
    mpivf_clear_error(&ctx);
    assert_string_equal(ctx.error, "");
    mpivf_fail(&ctx, MPIVF_IO, "third");
    assert_string_equal(ctx.error, "third");
}

static void
error_is_one_line(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    mpivf_fail(&ctx, MPIVF_INPUT, "'%s' is bad", "a\nb\r\nc");
    assert_string_equal(ctx.error, "'a b  c' is bad");
}

static void
long_error_is_cut(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    char text[2 * MPIVF_TEXT];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    mpivf_context_init(&ctx);
    mpivf_fail(&ctx, MPIVF_INPUT, "%s", text);
    assert_int_equal(strlen(ctx.error), MPIVF_TEXT - 1);
}

static void
remember(void *arg, const char *line)
{
    snprintf(arg, MPIVF_TEXT, "%s", line);
}

static void
notes_reach_their_function(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    char line[MPIVF_TEXT] = "";
    mpivf_context_init(&ctx);
    mpivf_note(&ctx, "nobody listens");
    ctx.note = remember;
    ctx.note_arg = line;
    mpivf_note(&ctx, "%d rows", 3);
    assert_string_equal(line, "3 rows");
    assert_string_equal(ctx.error, "");
}

static void
exit_codes(void **state)
{
    (void)state;
    static const int code[MPIVF_STATUSES] = {
        [MPIVF_OK] = 0,     [MPIVF_USAGE] = 2,        [MPIVF_INPUT] = 1,    [MPIVF_IO] = 1,
        [MPIVF_MEMORY] = 1, [MPIVF_CORRUPT] = 1,      [MPIVF_MISMATCH] = 1, [MPIVF_EXISTS] = 1,
        [MPIVF_BELOW] = 3,  [MPIVF_INTERRUPTED] = 75, [MPIVF_INTERNAL] = 1,
    };
    for (int status = 0; status < MPIVF_STATUSES; status++)
        assert_int_equal(mpivf_exit_code((mpivf_status)status), code[status]);
}

enum { THREADS = 8, TIMES = 5000 };

/* Fail, take memory and give it back, as often as there are times. */
static void *
work(void *arg)
{
    struct mpivf_context *ctx = arg;
    for (int i = 0; i < TIMES; i++) {
        mpivf_free(ctx, mpivf_alloc(ctx, "memory", (size_t)i % 7 + 1, 100));
        mpivf_fail(ctx, MPIVF_IO, "cannot do it");
    }
    return NULL;
}

static void
threads_share_a_context(void **state)
{
    (void)state;
    struct mpivf_context ctx;
    pthread_t thread[THREADS];
    mpivf_context_init(&ctx);
    for (int t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&thread[t], NULL, work, &ctx), 0);
    for (int t = 0; t < THREADS; t++)
        assert_int_equal(pthread_join(thread[t], NULL), 0);
    assert_string_equal(ctx.error, "cannot do it");
    assert_int_equal(ctx.memory.used, 0);
    assert_true(ctx.memory.peak > 0 && ctx.memory.peak <= THREADS * 1000);
}

static void
contexts_are_apart(void **state)
{
    (void)state;
    struct mpivf_context a, b;
    mpivf_context_init(&a);
    mpivf_context_init(&b);
    mpivf_fail(&a, MPIVF_IO, "only here");
    assert_string_equal(b.error, "");
    assert_int_equal(a.threads, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("context: the first error stays", keeps_the_first_error),
        TEST("context: an error is one line", error_is_one_line),
        TEST("context: a long error is cut", long_error_is_cut),
        TEST("context: notes reach their function", notes_reach_their_function),
        TEST("context: exit codes", exit_codes),
        TEST("context: threads share it", threads_share_a_context),
        TEST("context: two contexts are apart", contexts_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
