/* centre: rows as they are compared, at unit length for cosine and seen from their centre. */
#ifndef MPIVF_MATH_CENTRE_H
#define MPIVF_MATH_CENTRE_H

#include "math/distance.h"

#include <mpivf/type.h>

/* Mean of the rows, a good centre; [dim]. For cosine, of the unit vectors. Always finite. Local. */
void
mpivf_centre_mean(enum mpivf_metric metric, const float *raw, size_t rows, size_t dim,
                  float *centre);
void
mpivf_centre_mean64(enum mpivf_metric metric, const double *raw, size_t rows, size_t dim,
                    double *centre);

/*
 * What a row is multiplied with before it is compared: for cosine that makes its length 1. Local.
 */
double
mpivf_centre_scale(enum mpivf_metric metric, struct mpivf_raw row, size_t dim);

/*
 * The work row of one raw row, [dim]; a centre of NULLs leaves it where it is. Float64 is rounded
 * once, and a row whose length is not exact becomes infinite. Local.
 */
void
mpivf_centre_row(enum mpivf_metric metric, struct mpivf_raw raw, size_t dim,
                 struct mpivf_raw centre, float *work);

#endif
