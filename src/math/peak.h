/* peak: what a processor can do, to tell how near a phase is to it. */
#ifndef MPIVF_MATH_PEAK_H
#define MPIVF_MATH_PEAK_H

#include "math/filter.h"

#include <mpivf/context.h>

/* A clock. Local. */
double
mpivf_peak_seconds(void);

/* Bytes that finding a rate takes for a while. Local. */
size_t
mpivf_filter_peak_bytes(size_t dim, int threads);

/*
 * Operations (a multiply-add is two) a second of one thread of this filter on data in its cache.
 * Local.
 */
mpivf_status
mpivf_filter_peak(struct mpivf_context *ctx, const struct mpivf_filter *filter, size_t dim,
                  double *rate);

#endif
