/* What the tests of kernels use of cmocka, without its library: for another processor. */
#ifndef MPIVF_TESTS_ARM_CMOCKA_H
#define MPIVF_TESTS_ARM_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*function)(void **state);
    void *setup, *teardown, *initial;
};

#define fail_msg(...)                                                                              \
    do {                                                                                           \
        printf("%s:%d: ", __FILE__, __LINE__);                                                     \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        exit(1);                                                                                   \
    } while (0)
#define assert_true(x)                                                                             \
    do {                                                                                           \
        if (!(x))                                                                                  \
            fail_msg("not true: %s", #x);                                                          \
    } while (0)
#define assert_false(x) assert_true(!(x))
#define assert_null(x) assert_true((x) == NULL)
#define assert_non_null(x) assert_true((x) != NULL)
#define assert_int_equal(x, y) assert_true((x) == (y))
#define assert_string_equal(x, y) assert_true(strcmp(x, y) == 0)
#define assert_memory_equal(x, y, bytes) assert_true(memcmp(x, y, bytes) == 0)

#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    run_tests(tests, sizeof(tests) / sizeof(tests)[0])

static inline int
run_tests(const struct CMUnitTest *tests, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        printf("%s\n", tests[i].name);
        fflush(stdout);
        tests[i].function(NULL);
    }
    return 0;
}

#endif
