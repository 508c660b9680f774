/*
 * nearest_one: the nearest row of a query alone, from what a filter leaves; for nearest.c.
 *
 * Rows that may be the nearest are held with what the filter tells of them while rows go by. The
 * least upper bound is the limit, and at the end hardly a row but the nearest is below it.
 */
#ifndef MPIVF_MATH_NEAREST_ONE_H
#define MPIVF_MATH_NEAREST_ONE_H

#include "math/nearest.h"

/* What is compared, and the best so far. */
struct mpivf_one {
    const struct mpivf_packed_queries *queries;
    const struct mpivf_packed_rows *packed;
    const struct mpivf_best *best;
    struct mpivf_rivals *rivals;
};

/* Take or count what they need. Local. */
void
mpivf_rivals_lay_out(struct mpivf_rivals *rivals, struct mpivf_pool *pool);

/* Begin with a query at `place` among those that are scanned together. Local. */
void
mpivf_one_begin(const struct mpivf_one *one, size_t place);

/* Query q, there, may have some of these packed rows, with the values of the comparison. Local. */
void
mpivf_one_take(const struct mpivf_one *one, size_t q, size_t place, const uint32_t *survivor,
               const float *value, size_t survivors);

/* The best of what it has; nothing is held then. Local. */
void
mpivf_one_settle(const struct mpivf_one *one, size_t q, size_t place);

#endif
