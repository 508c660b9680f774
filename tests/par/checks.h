/*
 * checks: what the parallel tests share.
 *
 * A failed check is printed and counted but ends nothing: the rank goes on joining, so that a
 * failure does not become a hang. At the end all ranks leave with the same exit code.
 */
#ifndef MPIVF_TESTS_CHECKS_H
#define MPIVF_TESTS_CHECKS_H

#include "../folder.h"

#include "base/rng.h"
#include "io/file.h"

#include <mpivf/generate.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct checks {
    struct mpivf_context ctx;
    struct mpivf_par par;
    char folder[64]; /* the same on every rank, for files of the test */
    const char *test;
    int failed;
};

#define CHECK(t, condition)                                                                        \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (t)->failed++;                                                                         \
            fprintf(stderr, "%s:%d: rank %d of %d: '%s': not %s; error '%s'\n", __FILE__,          \
                    __LINE__, (t)->par.rank, (t)->par.size, (t)->test, #condition,                 \
                    (t)->ctx.error);                                                               \
        }                                                                                          \
    } while (0)

struct par_test {
    const char *name; /* "module: behaviour" */
    void (*run_all)(struct checks *t);
};

static inline uint64_t
draw(uint64_t stream, uint64_t i)
{
    return mpivf_random(stream, MPIVF_FOR_NOISE, i);
}

/* The generated file of these options at `path`. Collective. */
static inline mpivf_status
generate_all(const struct mpivf_par *par, const char *path, bool force,
             const struct mpivf_generate_options *options)
{
    struct mpivf_report report = {0};
    struct mpivf_outputs outputs;
    mpivf_outputs_init(&outputs, par);
    struct mpivf_output *output = mpivf_outputs_write(&outputs, path);
    mpivf_status status = mpivf_outputs_declare_all(&outputs, force);
    if (status == MPIVF_OK)
        status = mpivf_generate_all(par, output, options, &report);
    mpivf_outputs_end(&outputs);
    return status;
}

/* Collective: what main does. The exit code. */
static inline int
run_tests_all(int argc, char **argv, const struct par_test *test, size_t tests)
{
    struct checks t = {.failed = 0};
    mpivf_context_init(&t.ctx);
    mpivf_par_start_all(&t.par, &argc, &argv, &t.ctx);
    strcpy(t.folder, "/tmp/mpivf-test-XXXXXX");
    if (t.par.rank == 0 && mkdtemp(t.folder) == NULL)
        t.failed++;
    mpivf_bcast_all(&t.par, t.folder, sizeof t.folder);
    for (size_t i = 0; i < tests; i++) {
        int before = t.failed;
        mpivf_clear_error(&t.ctx);
        t.test = test[i].name;
        test[i].run_all(&t);
        CHECK(&t, t.ctx.memory.used == 0);
        uint64_t bad = mpivf_sum_u64_all(&t.par, (uint64_t)(t.failed - before));
        if (t.par.rank == 0)
            printf("%s %s\n", bad ? "FAILED" : "ok    ", test[i].name);
    }
    if (t.par.rank == 0)
        t.failed += remove_tree(&t.ctx, t.folder) != MPIVF_OK;
    uint64_t failed = mpivf_sum_u64_all(&t.par, (uint64_t)t.failed);
    mpivf_par_stop_all(&t.par);
    return failed > 0;
}

#endif
