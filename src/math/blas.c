#include "math/blas.h"

#include <cblas.h>

void
mpivf_blas_init(void)
{
    openblas_set_num_threads(1);
}

void
mpivf_blas_products(const float *a, size_t n, const float *b, size_t m, size_t dim, float *out,
                    size_t stride)
{
    mpivf_blas_products_part(a, n, b, m, dim, dim, false, out, stride);
}

void
mpivf_blas_products_part(const float *a, size_t n, const float *b, size_t m, size_t dim,
                         size_t width, bool add, float *out, size_t stride)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n, (blasint)m, (blasint)width,
                1.0f, a, (blasint)dim, b, (blasint)dim, add ? 1.0f : 0.0f, out, (blasint)stride);
}

void
mpivf_blas_sums(const float *weight, size_t n, const float *row, size_t m, size_t dim, float *out)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)n, (blasint)dim, (blasint)m,
                1.0f, weight, (blasint)m, row, (blasint)dim, 0.0f, out, (blasint)dim);
}

const char *
mpivf_blas_core(void)
{
    return openblas_get_corename();
}
