#include "math/distance.h"

#include "math/kernel.h"

#include <math.h>
#include <string.h>

double
mpivf_square(const float *row, size_t dim)
{
    return mpivf_kernel()->dot(row, row, dim);
}

/*
 * 1 - product / sqrt(x y) of the squared lengths x and y; 1 when one is 0. Where x y leaves the
 * range of float64, as it can for float64 rows, both are first brought near 1 by powers of 4,
 * which changes no bit of the quotient.
 */
static double
cosine(double product, double x, double y)
{
    double squares = x * y;
    int i, j;
    if (squares > 0x1p-960 && squares < 0x1p960) /* sqrt(s * s) is s: a row is at 0 from itself */
        return 1.0 - product / sqrt(squares);
    if (!(x > 0 && y > 0))
        return 1.0;
    (void)frexp(x, &i);
    (void)frexp(y, &j);
    i -= i & 1;
    j -= j & 1;
    return 1.0 - ldexp(product, -(i + j) / 2) / sqrt(ldexp(x, -i) * ldexp(y, -j));
}

double
mpivf_distance(enum mpivf_metric metric, const float *query, double query_square, const float *row,
               size_t dim)
{
    const struct mpivf_kernel *kernel = mpivf_kernel();
    if (metric == MPIVF_L2)
        return kernel->square(query, row, dim);
    double product = kernel->dot(query, row, dim);
    if (metric == MPIVF_IP)
        return 0.0 - product; /* not -product: there is one zero */
    return cosine(product, query_square, kernel->dot(row, row, dim));
}

double
mpivf_raw_distance(enum mpivf_metric metric, struct mpivf_raw query, double query_square,
                   struct mpivf_raw row, size_t dim)
{
    const struct mpivf_kernel *kernel = mpivf_kernel();
    if (row.f32)
        return mpivf_distance(metric, query.f32, query_square, row.f32, dim);
    if (metric == MPIVF_L2)
        return kernel->square64(query.f64, row.f64, dim);
    double product = kernel->dot64(query.f64, row.f64, dim);
    if (metric == MPIVF_IP)
        return 0.0 - product;
    return cosine(product, query_square, kernel->dot64(row.f64, row.f64, dim));
}

double
mpivf_raw_square(struct mpivf_raw row, size_t dim)
{
    return row.f64 ? mpivf_kernel()->dot64(row.f64, row.f64, dim) : mpivf_square(row.f32, dim);
}

bool
mpivf_raw_good(struct mpivf_raw row, size_t dim)
{
    return row.f64 ? mpivf_raw_square(row, dim) <= 0x1p1020 : mpivf_finite(row.f32, dim);
}

bool
mpivf_finite(const float *row, size_t dim)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < dim; i++) {
        uint32_t bits;
        memcpy(&bits, &row[i], sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}

void
mpivf_normalise(const float *row, size_t dim, float *out)
{
    double length = sqrt(mpivf_square(row, dim));
    for (size_t i = 0; i < dim; i++)
        out[i] = length > 0 ? (float)((double)row[i] / length) : 0.0f;
}

void
mpivf_scale(const float *row, size_t dim, double factor, float *out)
{
    for (size_t i = 0; i < dim; i++)
        out[i] = (float)((double)row[i] * factor);
}

double
mpivf_distance_shown(enum mpivf_metric metric, double distance)
{
    return metric == MPIVF_L2 ? sqrt(distance) : distance;
}
