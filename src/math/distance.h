/*
 * distance: the one definition of how far apart two vectors are.
 *
 * The canonical distance is float64, in a fixed order of operations, of the two float32 rows
 * alone: the same bits on every machine, rank, thread and batch. Everything that decides a
 * result (nearest list, neighbours, ties) compares canonical distances; faster arithmetic only
 * decides which pairs need not be looked at.
 */
#ifndef MPIVF_MATH_DISTANCE_H
#define MPIVF_MATH_DISTANCE_H

#include <mpivf/type.h>

#include <stdbool.h>
#include <stdint.h>

/* As enum mpivf_metric says. `query_square` is <q, q>, used by cosine only. */
double
mpivf_distance(enum mpivf_metric metric, const float *query, double query_square, const float *row,
               size_t dim);

/* <x, x> in the same arithmetic. */
double
mpivf_square(const float *row, size_t dim);

/* Are all values finite? */
bool
mpivf_finite(const float *row, size_t dim);

/* out = row / |row|, rounded; a zero row stays zero. May be in place. */
void
mpivf_normalise(const float *row, size_t dim, float *out);

/* out = row x factor, rounded once to float32. */
void
mpivf_scale(const float *row, size_t dim, double factor, float *out);

/* What users see: the square root for l2, the canonical value otherwise. */
double
mpivf_distance_shown(enum mpivf_metric metric, double distance);

#endif
