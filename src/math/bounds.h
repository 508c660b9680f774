/*
 * bounds: the numbers that a packed row or query brings to a comparison, and what a value of the
 * comparison says of a distance. The proof is in prepare.h; this is for prepare.c.
 */
#ifndef MPIVF_MATH_BOUNDS_H
#define MPIVF_MATH_BOUNDS_H

#include "math/prepare.h"
#include "math/single.h"

/* What packing made of a row: the unit of its integers, 1 of floats, and what they leave out. */
struct mpivf_rounded {
    float unit;
    double residual; /* its length, at most */
    double norm;     /* of the values that were packed, and of the row, at most */
    double slack;    /* of projecting, for each unit of the lengths of both; 0 for the row itself */
};

/* Those of query i, whose work row has this square. Local. */
void
mpivf_bounds_query(struct mpivf_packed_queries *queries, size_t i, const float *work,
                   struct mpivf_raw centre, double square, struct mpivf_rounded rounded);

/* Those of packed row i. Local. */
void
mpivf_bounds_row(struct mpivf_packed_rows *packed, size_t i, double square,
                 struct mpivf_rounded rounded);

#endif
