/*
 * kernel: the inner loops, once per instruction set.
 *
 * The set is chosen at run time by what the processor has; MPIVF_KERNEL=portable|avx2|avx512
 * forces one. Every set gives the same bits: float64 sums run in 16 lanes (element i in lane
 * i mod 16) that are folded by halves, without fused multiply-add, whatever the vector width.
 */
#ifndef MPIVF_MATH_KERNEL_H
#define MPIVF_MATH_KERNEL_H

#include <stddef.h>
#include <stdint.h>

struct mpivf_kernel {
    const char *name;

    /* sum (a_i - b_i)^2 in float64. */
    double (*square)(const float *a, const float *b, size_t dim);

    /* sum a_i b_i in float64. */
    double (*dot)(const float *a, const float *b, size_t dim);

    /*
     * The columns j < n for which term[j] - scale * product[j] - slope * norm[j] > limit is not
     * true (so not-a-number stays), ascending into keep. How many.
     */
    size_t (*filter)(const float *product, const float *term, const float *norm, size_t n,
                     float scale, float slope, float limit, uint32_t *keep);
};

/* The set in use. The first call chooses; make it before threads start. */
const struct mpivf_kernel *
mpivf_kernel(void);

/* Set number i, fastest last, NULL past the end or where this processor cannot run it. */
const struct mpivf_kernel *
mpivf_kernel_at(int i);

#endif
