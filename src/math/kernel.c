#include "math/kernel.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct mpivf_kernel mpivf_kernel_portable;

#ifdef __x86_64__
extern const struct mpivf_kernel mpivf_kernel_avx2, mpivf_kernel_avx512, mpivf_kernel_vnni;

static bool
has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool
has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static bool
has_vnni(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512vnni");
}
#endif

#ifdef __aarch64__
#include <asm/hwcap.h>
#include <sys/auxv.h>

extern const struct mpivf_kernel mpivf_kernel_neon;

static bool
has_neon(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}
#endif

/* The instruction sets, each after those that it is faster than; the first runs everywhere. */
static const struct {
    const struct mpivf_kernel *kernel;
    bool (*runs)(void); /* NULL = everywhere */
} sets[] = {
    {&mpivf_kernel_portable, NULL},
#ifdef __x86_64__
    {&mpivf_kernel_avx2, has_avx2}, {&mpivf_kernel_avx512, has_avx512},
    {&mpivf_kernel_vnni, has_vnni},
#endif
#ifdef __aarch64__
    {&mpivf_kernel_neon, has_neon},
#endif
};

enum { SETS = sizeof sets / sizeof sets[0] };
static_assert((int)SETS <= (int)MPIVF_KERNELS, "more sets than kernel.h says");

const struct mpivf_kernel *
mpivf_kernel_at(int i)
{
    return i < SETS && (sets[i].runs == NULL || sets[i].runs()) ? sets[i].kernel : NULL;
}

static const struct mpivf_kernel *
choose(void)
{
    const char *forced = getenv("MPIVF_KERNEL");
    const struct mpivf_kernel *best = NULL;
    for (int i = 0; i < SETS; i++) {
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

size_t
mpivf_kernel_cache(void)
{
    static size_t bytes; /* the same */
    enum { LEAST = 256 << 10, USUAL = 1 << 20, MOST = 2 << 20 };
    if (bytes == 0) {
        long told = sysconf(_SC_LEVEL2_CACHE_SIZE);
        bytes = told <= 0 ? USUAL : told < LEAST ? LEAST : told > MOST ? MOST : (size_t)told;
    }
    return bytes;
}
