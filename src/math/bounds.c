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

/*
 * For ip and cosine: the part of the inner product that the centre has, and how far off it and what
 * float32 cannot hold can be.
 */
static void
bound_inner(struct mpivf_packed_queries *queries, size_t i, const float *work,
            struct mpivf_raw centre, double norm)
{
    size_t dim = queries->dim;
    bool cosine = queries->metric == MPIVF_COSINE;
    struct mpivf_bounds *bound = &queries->bound[i];
    double length = sqrt(mpivf_raw_square(centre, dim)), inner;
    if (centre.f64) {
        struct mpivf_raw raw = mpivf_raw_at(queries->raw, i * dim);
        double scale = mpivf_centre_scale(queries->metric, raw, dim);
        double small = sqrt((double)dim) * 0x1p-149;
        inner = scale * mpivf_kernel()->dot64(raw.f64, centre.f64, dim);
        bound->per_norm = mpivf_single_up((double)bound->per_norm + small);
        bound->error += small * norm;
        norm = scale * sqrt(mpivf_raw_square(raw, dim)) * (1 + 0x1p-40);
    } else {
        inner = mpivf_kernel()->dot(work, centre.f32, dim);
        bound->error += cosine ? 4 * U : 0;
    }
    bound->shift = (cosine ? 1.0 : 0.0) - inner;
    bound->upper_error = 0;
    bound->error += ((double)dim + 16) * 0x1p-51 * norm * (length + 1);
}

void
mpivf_bounds_query(struct mpivf_packed_queries *queries, size_t i, const float *work,
                   struct mpivf_raw centre, double square, struct mpivf_rounded rounded)
{
    size_t dim = queries->dim, values = queries->values;
    const struct mpivf_filter *filter = queries->filter;
    struct mpivf_bounds *bound = &queries->bound[i];
    bool l2 = queries->metric == MPIVF_L2;
    double k = filter->kappa(queries->metric, values), norm = rounded.norm;
    double per_norm = rounded.residual + (k + rounded.slack) * norm;
    bound->start =
        filter->start ? filter->start(queries->word + i * queries->steps * 4, values) : 0;
    bound->scale = (l2 ? 2 : 1) * rounded.unit;
    bound->per_norm =
        !(square <= MPIVF_SINGLE_LARGEST) ? NAN : mpivf_single_up((l2 ? 2 : 1) * per_norm);
    bound->per_residual = mpivf_single_up((l2 ? 2 : 1) * (norm + rounded.residual));
    bound->error = tiny(dim + values);
    bound->square = queries->metric == MPIVF_COSINE
                        ? mpivf_raw_square(mpivf_raw_at(queries->raw, i * dim), dim)
                        : 0;
    bound->shift = square * (1 - k);
    bound->upper_error = k * square;
    if (!l2)
        bound_inner(queries, i, work, centre, norm);
}

void
mpivf_bounds_row(struct mpivf_packed_rows *packed, size_t i, double square,
                 struct mpivf_rounded rounded)
{
    packed->scale[i] = rounded.unit;
    packed->residual[i] = mpivf_single_up(rounded.residual);
    packed->norm[i] = mpivf_single_up(rounded.norm);
    packed->term[i] = !(square <= MPIVF_SINGLE_LARGEST) ? NAN
                      : packed->metric != MPIVF_L2      ? 0.0f
                                                        : (float)(square * (1 - packed->kappa));
}

/* What taking a shift from a distance can round a value by, and making it a float. */
static double
rounding(double value, double distance, double shift)
{
    return fabs(value) * (0x1p-40 + 0x1p-23) + (fabs(distance) + fabs(shift)) * 0x1p-50 + 0x1p-149;
}

float
mpivf_prepare_limit(const struct mpivf_packed_queries *queries, size_t q, double limit)
{
    double shift = queries->bound[q].shift, value = limit - shift + queries->bound[q].error;
    value += rounding(value, limit, shift);
    return value < 3e38 ? (float)value
                        : FLT_MAX; /* padding stays above it; infinite, unknown: all */
}

float
mpivf_prepare_value(const struct mpivf_packed_queries *queries, size_t q, double lower)
{
    double shift = queries->bound[q].shift, value = lower - shift + queries->bound[q].error;
    value -= rounding(value, lower, shift);
    return value < 3e38 ? (float)value : value > 0 ? 2.9e38f : NAN; /* unknown stays so */
}

/* For `reach` and `across` (prepare.h). */
static const double MARGIN = 0x1p-22;

float
mpivf_prepare_reach(double limit)
{
    double reach = limit + fabs(limit) * MARGIN;
    return reach < 3e38 ? (float)reach : FLT_MAX;
}

float
mpivf_prepare_across(const struct mpivf_packed_queries *queries, size_t q)
{
    double shift = queries->bound[q].shift, error = queries->bound[q].error, x = error - shift;
    double across = x + fabs(x) * MARGIN + (fabs(shift) + error) * 0x1p-50 + 0x1p-149;
    return fabs(across) < 3e38 ? (float)across : NAN; /* all */
}
