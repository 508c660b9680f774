/*
 * core: sgemm at its best. OpenBLAS 0.3.21 takes processors that it does not know for a Prescott;
 * the program then starts again with the core that fits, so that nothing is measured against a slow
 * one.
 */
#ifndef MPIVF_BENCH_CORE_H
#define MPIVF_BENCH_CORE_H

#include "math/blas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void
bench_core(char **argv)
{
    const char *better = NULL;
#ifdef __x86_64__
    better = __builtin_cpu_supports("avx512f") ? "SkylakeX"
             : __builtin_cpu_supports("avx2")  ? "Haswell"
                                               : NULL;
#endif
    if (getenv("OPENBLAS_CORETYPE")) {
        printf("OPENBLAS_CORETYPE is %s\n", getenv("OPENBLAS_CORETYPE"));
    } else if (strcmp(mpivf_blas_core(), "Prescott") == 0 && better) {
        setenv("OPENBLAS_CORETYPE", better, 1);
        execv("/proc/self/exe", argv);
    }
}

#endif
