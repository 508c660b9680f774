#include "math/bounds.h"

#include "math/centre.h"

#include <float.h>
#include <math.h>

static const double U = 0x1p-24;

/* Allowance for products that float32 rounds to nothing. */
static double
tiny(size_t dim)
{
    return ((double)dim + 16) * 0x1p-126;
}

static float
round_up(double x)
{
    float f = (float)x;
    return (double)f < x ? nextafterf(f, INFINITY) : f;
}

/*
 * For ip and cosine: the part of the inner product that the centre has, and how far off it and what
 * float32 cannot hold can be.
 */
static void
bound_inner(struct mpivf_queries *queries, size_t i, const float *work, struct mpivf_raw centre,
            double norm)
{
    size_t dim = queries->dim;
    bool cosine = queries->metric == MPIVF_COSINE;
    struct mpivf_bounds *bound = &queries->bound[i];
    double reach = sqrt(mpivf_raw_square(centre, dim)), inner;
    if (centre.f64) {
        struct mpivf_raw raw = mpivf_raw_at(queries->raw, i * dim);
        double scale = mpivf_centre_scale(queries->metric, raw, dim);
        double small = sqrt((double)dim) * 0x1p-149;
        inner = scale * mpivf_kernel()->dot64(raw.f64, centre.f64, dim);
        bound->slope = round_up((double)bound->slope + small);
        bound->pad += small * norm;
        norm = scale * sqrt(mpivf_raw_square(raw, dim)) * (1 + 0x1p-40);
    } else {
        inner = mpivf_kernel()->dot(work, centre.f32, dim);
        bound->pad += cosine ? 4 * U : 0;
    }
    bound->shift = (cosine ? 1.0 : 0.0) - inner;
    bound->bend = 0;
    bound->pad += ((double)dim + 16) * 0x1p-51 * norm * (reach + 1);
}

void
mpivf_bounds_query(struct mpivf_queries *queries, size_t i, const float *work,
                   struct mpivf_raw centre, double square, struct mpivf_rounded rounded)
{
    size_t dim = queries->dim;
    const struct mpivf_filter *filter = queries->filter;
    struct mpivf_bounds *bound = &queries->bound[i];
    bool l2 = queries->metric == MPIVF_L2;
    double k = filter->kappa(queries->metric, dim), norm = sqrt(square) * (1 + 0x1p-40);
    bound->start = filter->start ? filter->start(queries->word + i * queries->steps * 4, dim) : 0;
    bound->scale = (l2 ? 2 : 1) * rounded.unit;
    bound->slope =
        square > MPIVF_LARGEST ? NAN : round_up((l2 ? 2 : 1) * (rounded.rest + k * norm));
    bound->rest = round_up((l2 ? 2 : 1) * (norm + rounded.rest));
    bound->pad = tiny(dim);
    bound->square = queries->metric == MPIVF_COSINE
                        ? mpivf_raw_square(mpivf_raw_at(queries->raw, i * dim), dim)
                        : 0;
    bound->shift = square * (1 - k);
    bound->bend = k * square;
    if (!l2)
        bound_inner(queries, i, work, centre, norm);
}

void
mpivf_bounds_row(struct mpivf_base *base, size_t i, double square, struct mpivf_rounded rounded)
{
    double k = base->filter->kappa(base->metric, base->dim);
    base->scale[i] = rounded.unit;
    base->rest[i] = round_up(rounded.rest);
    base->norm[i] = round_up(sqrt(square) * (1 + 0x1p-40));
    base->term[i] = !(square <= MPIVF_LARGEST) ? NAN
                    : base->metric != MPIVF_L2 ? 0.0f
                                               : (float)(square * (1 - k));
}

float
mpivf_prepare_limit(const struct mpivf_queries *queries, size_t q, double limit)
{
    double shift = queries->bound[q].shift, value = limit - shift + queries->bound[q].pad;
    /* the subtraction's own rounding, and that to float */
    value += fabs(value) * (0x1p-40 + 0x1p-23) + (fabs(limit) + fabs(shift)) * 0x1p-50 + 0x1p-149;
    return value < 3e38 ? (float)value
                        : FLT_MAX; /* padding stays above it; infinite, unknown: all */
}

double
mpivf_prepare_upper(const struct mpivf_queries *queries, size_t q, const struct mpivf_base *base,
                    size_t row, float value)
{
    double norm = base->norm[row], k = base->filter->kappa(base->metric, base->dim);
    double error = (double)queries->bound[q].slope * norm +
                   (double)queries->bound[q].rest * base->rest[row] + queries->bound[q].bend +
                   queries->bound[q].pad;
    if (base->metric == MPIVF_L2)
        error += k * norm * norm;
    double upper = mpivf_prepare_lower(queries, q, value) + 2.01 * error;
    return isfinite(upper) ? upper : INFINITY;
}
