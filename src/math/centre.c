#include "math/centre.h"

#include <math.h>
#include <string.h>

/* One over the length of a row whose squares are too small for float64 to add up exactly. */
static const double INEXACT = 0x1p480;

double
mpivf_centre_scale(enum mpivf_metric metric, struct mpivf_raw row, size_t dim)
{
    double length = metric == MPIVF_COSINE ? sqrt(mpivf_raw_square(row, dim)) : 1;
    return length > 0 ? 1 / length : 0;
}

/* Column by column: any centre is right, so a mean that the type cannot hold is 0. */
#define CENTRE(name, value, is64)                                                                  \
    void name(enum mpivf_metric metric, const value *raw, size_t rows, size_t dim, value *centre)  \
    {                                                                                              \
        enum { WIDE = 256 }; /* sums of so many columns at a time stay near */                     \
        for (size_t first = 0; first < dim; first += WIDE) {                                       \
            double sum[WIDE] = {0};                                                                \
            size_t n = dim - first < WIDE ? dim - first : WIDE;                                    \
            for (size_t r = 0; r < rows; r++) {                                                    \
                const value *row = raw + r * dim;                                                  \
                double scale = mpivf_centre_scale(metric, mpivf_raw_of(is64, row), dim);           \
                for (size_t i = 0; i < n; i++)                                                     \
                    sum[i] += scale * (double)row[first + i];                                      \
            }                                                                                      \
            for (size_t i = 0; i < n; i++) {                                                       \
                value mean = rows > 0 ? (value)(sum[i] / (double)rows) : 0;                        \
                centre[first + i] = isfinite(mean) ? mean : 0;                                     \
            }                                                                                      \
        }                                                                                          \
    }

CENTRE(mpivf_centre_mean, float, false)
CENTRE(mpivf_centre_mean64, double, true)

/* The work row of one raw row; centre NULL = leave where it is. */
static void
centred(enum mpivf_metric metric, const float *raw, size_t dim, const float *centre, float *work)
{
    if (metric == MPIVF_COSINE)
        mpivf_scale(raw, dim, mpivf_centre_scale(metric, mpivf_raw_of(false, raw), dim), work);
    else
        memcpy(work, raw, dim * sizeof *work);
    for (size_t i = 0; centre && i < dim; i++)
        work[i] -= centre[i];
}

/* The same from float64, rounded once. One whose length is not exact becomes infinite. */
static void
centred64(enum mpivf_metric metric, const double *raw, size_t dim, const double *centre,
          float *work)
{
    double scale = mpivf_centre_scale(metric, mpivf_raw_of(true, raw), dim);
    for (size_t i = 0; i < dim; i++)
        work[i] = (float)(raw[i] * scale - (centre ? centre[i] : 0));
    if (scale > INEXACT)
        work[0] = INFINITY;
}

void
mpivf_centre_row(enum mpivf_metric metric, struct mpivf_raw raw, size_t dim,
                 struct mpivf_raw centre, float *work)
{
    if (raw.f64)
        centred64(metric, raw.f64, dim, centre.f64, work);
    else
        centred(metric, raw.f32, dim, centre.f32, work);
}
