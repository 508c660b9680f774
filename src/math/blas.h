/* blas: the only door to BLAS. Single-threaded per call; our own threads call it side by side. */
#ifndef MPIVF_MATH_BLAS_H
#define MPIVF_MATH_BLAS_H

#include <stdbool.h>
#include <stddef.h>

/* To be called before the first product, from one thread; again does no harm. Local. */
void
mpivf_blas_init(void);

/* out[i * stride + j] = <a_i, b_j>, a [n, dim], b [m, dim], all row-major. Local. */
void
mpivf_blas_products(const float *a, size_t n, const float *b, size_t m, size_t dim, float *out,
                    size_t stride);

/*
 * The same of `width` of the dim values of each, from where a and b point to; added to what `out`
 * has, or not. Local.
 */
void
mpivf_blas_products_part(const float *a, size_t n, const float *b, size_t m, size_t dim,
                         size_t width, bool add, float *out, size_t stride);

/* out_i = sum over j of weight_ij row_j, weight [n, m], row [m, dim], out [n, dim]. Local. */
void
mpivf_blas_sums(const float *weight, size_t n, const float *row, size_t m, size_t dim, float *out);

/* The processor core the library chose ("SkylakeX"). Local. */
const char *
mpivf_blas_core(void);

#endif
