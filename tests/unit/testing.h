/* testing: what the unit tests share: cmocka, data out of a seed, a folder of their own. */
#ifndef MPIVF_TESTS_TESTING_H
#define MPIVF_TESTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../folder.h"

#include "base/rng.h"
#include "io/file.h"
#include "math/topk.h"

#include <mpivf/context.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line of the table that main gives to cmocka: "module: behaviour" and its function. */
#define TEST(name, function)                                                                       \
    {                                                                                              \
        name, function, NULL, NULL, NULL                                                           \
    }

/* A call that has to succeed; its error text is shown when it does not. */
#define assert_ok(ctx, call)                                                                       \
    do {                                                                                           \
        if ((call) != MPIVF_OK)                                                                    \
            fail_msg("%s: %s", #call, (ctx)->error);                                               \
    } while (0)

/* A call that has to fail with `status` and a text that holds `words`; the failure is forgotten. */
#define assert_fails(ctx, status, words, call)                                                     \
    do {                                                                                           \
        assert_int_equal(call, status);                                                            \
        if (strstr((ctx)->error, words) == NULL)                                                   \
            fail_msg("'%s' is not in the error '%s'", words, (ctx)->error);                        \
        mpivf_clear_error(ctx);                                                                    \
    } while (0)

/* The i-th number of a stream. */
static inline uint64_t
draw(uint64_t stream, uint64_t i)
{
    return mpivf_random(stream, MPIVF_FOR_NOISE, i);
}

static inline void
fill_normal(float *x, size_t n, uint64_t stream, double scale, double offset)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(offset + scale * mpivf_random_normal(stream, MPIVF_FOR_NOISE, i));
}

static inline void
fill_whole(float *x, size_t n, uint64_t stream, uint64_t below)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(draw(stream, i) % below);
}

/* malloc that is never NULL, for test data outside of any budget. */
static inline void *
room(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    assert_non_null(memory);
    return memory;
}

/* Nearest first, ties by id: for qsort, told apart from what the library sorts with. */
static inline int
nearer(const void *a, const void *b)
{
    const struct mpivf_candidate *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

enum { FOLDER = 64 };

/* A new, empty folder; remove it with remove_folder. */
static inline void
make_folder(char path[FOLDER])
{
    strcpy(path, "/tmp/mpivf-test-XXXXXX");
    assert_non_null(mkdtemp(path));
}

/* Remove a folder and all that is in it. */
static inline void
remove_folder(struct mpivf_context *ctx, char *path)
{
    assert_ok(ctx, remove_tree(ctx, path));
}

/* Change one byte of a file. */
static inline void
flip_byte(struct mpivf_context *ctx, const char *path, uint64_t at)
{
    struct mpivf_file file;
    unsigned char byte;
    assert_ok(ctx, mpivf_file_update(ctx, path, &file));
    assert_ok(ctx, mpivf_file_read(ctx, &file, &byte, 1, at));
    byte ^= 0x10;
    assert_ok(ctx, mpivf_file_write(ctx, &file, &byte, 1, at));
    assert_ok(ctx, mpivf_file_close(ctx, &file));
}

/* A test with the file's own set_up and tear_down. */
/* clang-format off */
#define FILE_TEST(name, function) {name, function, set_up, tear_down, NULL}
/* clang-format on */

#endif
