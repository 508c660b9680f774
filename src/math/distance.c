#include "math/distance.h"

#include "math/kernel.h"

#include <math.h>
#include <string.h>

double
mpivf_square(const float *row, size_t dim)
{
    return mpivf_kernel()->dot(row, row, dim);
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
    double squares = query_square * kernel->dot(row, row, dim);
    /* sqrt(s * s) is s again, so a vector is at distance 0 from itself */
    return squares > 0 ? 1.0 - product / sqrt(squares) : 1.0;
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
