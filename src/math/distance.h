/*
 * distance: the one definition of how far apart two vectors are.
 *
 * The canonical distance is float64, in a fixed order of operations, of the two rows alone: the
 * same bits on every machine, rank, thread and batch. Everything that decides a result (nearest
 * list, neighbours, ties) compares canonical distances; faster arithmetic only decides which pairs
 * need not be looked at.
 *
 * Rows are float32, or float64 where a truth is asked of such data; both sides are then. The same
 * values have the same distance in either type: float32 is exact in float64.
 */
#ifndef MPIVF_MATH_DISTANCE_H
#define MPIVF_MATH_DISTANCE_H

#include <mpivf/type.h>

#include <stdbool.h>
#include <stdint.h>

/* As enum mpivf_metric says. `query_square` is <q, q>, used by cosine only. Local. */
double
mpivf_distance(enum mpivf_metric metric, const float *query, double query_square, const float *row,
               size_t dim);

/* <x, x> in the same arithmetic. Local. */
double
mpivf_square(const float *row, size_t dim);

/* Are all values finite? Local. */
bool
mpivf_finite(const float *row, size_t dim);

/* out = row / |row|, rounded; a zero row stays zero. May be in place. Local. */
void
mpivf_normalise(const float *row, size_t dim, float *out);

/* out = row x factor, rounded once to float32. Local. */
void
mpivf_scale(const float *row, size_t dim, double factor, float *out);

/* What users see: the square root for l2, the canonical value otherwise. Local. */
double
mpivf_distance_shown(enum mpivf_metric metric, double distance);

/* Rows of either type, [rows, dim]; the other pointer is NULL. A view. */
struct mpivf_raw {
    const float *f32;
    const double *f64;
};

/* What lies at `rows`: float64, or float32. */
static inline struct mpivf_raw
mpivf_raw_of(bool f64, const void *rows)
{
    return f64 ? (struct mpivf_raw){NULL, rows} : (struct mpivf_raw){rows, NULL};
}

/* The row at so many values from the start. */
static inline struct mpivf_raw
mpivf_raw_at(struct mpivf_raw raw, size_t values)
{
    return raw.f64 ? (struct mpivf_raw){NULL, raw.f64 + values}
                   : (struct mpivf_raw){raw.f32 + values, NULL};
}

/* The same for rows of either type, both of one. Local. */
double
mpivf_raw_distance(enum mpivf_metric metric, struct mpivf_raw query, double query_square,
                   struct mpivf_raw row, size_t dim);
double
mpivf_raw_square(struct mpivf_raw row, size_t dim);

/*
 * Can its distances be computed? Values are finite, and of float64 the sum of their squares is at
 * most 2^1020, so that no distance overflows: values up to 1e150 or so. Squares of values below
 * 1e-162 are 0 in float64, and so are they here. Local.
 */
bool
mpivf_raw_good(struct mpivf_raw row, size_t dim);

#endif
