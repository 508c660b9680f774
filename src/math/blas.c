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
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n, (blasint)m, (blasint)dim, 1.0f,
                a, (blasint)dim, b, (blasint)dim, 0.0f, out, (blasint)stride);
}

const char *
mpivf_blas_core(void)
{
    return openblas_get_corename();
}
