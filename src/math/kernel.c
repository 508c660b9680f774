#include "math/kernel.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

extern const struct mpivf_kernel mpivf_kernel_portable;
#ifdef __x86_64__
extern const struct mpivf_kernel mpivf_kernel_avx2, mpivf_kernel_avx512, mpivf_kernel_vnni;
#endif

const struct mpivf_kernel *
mpivf_kernel_at(int i)
{
    if (i == 0)
        return &mpivf_kernel_portable;
#ifdef __x86_64__
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (i == 1 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &mpivf_kernel_avx2;
    if (i == 2 && wide)
        return &mpivf_kernel_avx512;
    if (i == 3 && wide && __builtin_cpu_supports("avx512vnni"))
        return &mpivf_kernel_vnni;
#endif
    return NULL;
}

static const struct mpivf_kernel *
choose(void)
{
    const char *forced = getenv("MPIVF_KERNEL");
    const struct mpivf_kernel *best = mpivf_kernel_at(0);
    for (int i = 0; i < 4; i++) {
        const struct mpivf_kernel *kernel = mpivf_kernel_at(i);
        if (kernel == NULL)
            continue;
        if (forced && strcmp(forced, kernel->name) == 0)
            return kernel;
        best = kernel;
    }
    return best;
}

const struct mpivf_kernel *
mpivf_kernel(void)
{
    static const struct mpivf_kernel *chosen; /* a fact about the machine, not state */
    if (chosen == NULL)
        chosen = choose();
    return chosen;
}
