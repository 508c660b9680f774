/*
 * project: rows brought down to few values whose comparison bounds that of the whole rows.
 *
 * Seen from their centre, real rows lie near few axes: with what they are along the first p of
 * these, and how long the rest of them is, most pairs are excluded. For axes P (p orthonormal rows)
 * and t_y the length of y - P'P y,
 *
 *     <q, y> <= <P q, P y> + t_q t_y,                                     (Cauchy and Schwarz)
 *
 * and the right side is the inner product of (P q, t_q / sqrt(m) m times) and the same of y. So a
 * projected row is a row like any other, packed by any filter and compared by its loops, with the
 * squares of the whole rows beside its words (prepare.h).
 *
 * What the rounding of all this adds. Let P be the axes as they are stored, |P P' - I| <= o (which
 * is measured), a what is computed for P y and b for P q, off by at most g |y| and g |q|; t is
 * defined by y = P'a + t_y. Sums of float32 in blocks of BLOCK values, in any order, give
 * g = gamma_c sqrt(p) (1 + o), c = BLOCK + the number of blocks. Then
 * P t_y = (P y - a) + (I - P P') a is no longer than g |y| + o |a|, |a| <= (1 + o + g) |y|, and
 *
 *     <q, y> - <b, a> - <t_q, t_y> = <b, (P P' - I) a> + <b, P t_y> + <P t_q, a>
 *                                 <= (3 o + 2 g) (1 + o + g)^2 |q| |y|     (`slack`)
 *     |t_y|^2 <= |y|^2 - |a|^2 + (2 g + o) (1 + o + g)^2 |y|^2              (`excess`)
 *
 * Rows of which float32 products could underflow or overflow are not projected: nothing excludes
 * them here.
 */
#ifndef MPIVF_MATH_PROJECT_H
#define MPIVF_MATH_PROJECT_H

#include "base/pool.h"
#include "math/distance.h"

#include <mpivf/context.h>
#include <mpivf/type.h>

#include <stddef.h>

enum { MPIVF_PROJECT_REST = 8 }; /* values that the length of the rest is spread over */

struct mpivf_projection {
    size_t dim, axes; /* axes 0: there is no projection */
    float *axis;      /* owned by a pool, [axes, dim] */
    double slack;     /* of an inner product, for each unit of |q| |y| */
    double excess;    /* of the square of the rest, for each unit of |y|^2 */
};

/* The most axes that rows of this many values are worth; a multiple of 8, 0 = none. Local. */
size_t
mpivf_projection_most(size_t dim);

/* Room for that many axes. Local. */
void
mpivf_projection_lay_out(struct mpivf_projection *projection, struct mpivf_pool *pool, size_t dim);

/* Of so many rows, how many to find axes by; 0: they are too few, or not worth it. Local. */
size_t
mpivf_projection_rows(size_t dim, size_t rows);

/* Bytes that finding axes takes for a while. Local. */
size_t
mpivf_projection_find_bytes(size_t dim);

/*
 * The axes along which these rows, `rows` of them, each `step` after the last, are long when they
 * are centred; the longest first. As many as there is room for, fewer when the rows are few or have
 * no more. Orthogonal iteration (Golub and Van Loan, 8.2.4) from random sums of the rows (Halko,
 * Martinsson, Tropp 2011). MPIVF_MEMORY. Local.
 */
mpivf_status
mpivf_projection_find(struct mpivf_context *ctx, struct mpivf_projection *projection,
                      enum mpivf_metric metric, struct mpivf_raw row, size_t step, size_t rows,
                      struct mpivf_raw centre);

/*
 * The first `axes` of them, turned at random among themselves, into `turned`, which has room for
 * them: so no value of a projected row is much larger than the others, and integers of few bits
 * round them better. MPIVF_MEMORY. Local.
 */
mpivf_status
mpivf_projection_turn(struct mpivf_context *ctx, const struct mpivf_projection *projection,
                      size_t axes, struct mpivf_projection *turned);

/* The same axes in another place, which has room for them. Local. */
void
mpivf_projection_copy(const struct mpivf_projection *from, struct mpivf_projection *to);

/* Values of a projected row. */
static inline size_t
mpivf_projection_values(const struct mpivf_projection *projection)
{
    return projection->axes + MPIVF_PROJECT_REST;
}

/* What n work rows (centre.h), [n, dim], are along the axes, [n, axes]. Local. */
void
mpivf_project(const struct mpivf_projection *projection, const float *work, size_t n, float *along);

/*
 * The projected row of a work row with this square, [values], from what it is along the axes; its
 * length, at most. Not-a-number where it cannot be told. Local.
 */
double
mpivf_project_row(const struct mpivf_projection *projection, const float *along, double square,
                  float *projected);

#endif
