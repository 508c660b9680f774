/* blas: the only door to BLAS. Single-threaded per call; our own threads call it side by side. */
#ifndef MPIVF_MATH_BLAS_H
#define MPIVF_MATH_BLAS_H

#include <stddef.h>

/* To be called before the first product, from one thread; again does no harm. Local. */
void
mpivf_blas_init(void);

/* out[i * stride + j] = <a_i, b_j>, a [n, dim], b [m, dim], all row-major. Local. */
void
mpivf_blas_products(const float *a, size_t n, const float *b, size_t m, size_t dim, float *out,
                    size_t stride);

/* The processor core the library chose ("SkylakeX"). Local. */
const char *
mpivf_blas_core(void);

#endif
