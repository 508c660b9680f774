/*
 * nearest_one: the nearest row of a query alone, from what a filter leaves; for nearest.c.
 */
#ifndef MPIVF_MATH_NEAREST_ONE_H
#define MPIVF_MATH_NEAREST_ONE_H

#include "math/nearest.h"

/* What is compared, and the best so far. */
struct mpivf_one {
    const struct mpivf_packed_queries *queries;
    const struct mpivf_packed_rows *packed;
    const struct mpivf_best *best;
    uint64_t *computed; /* distances, added to */
};

/*
 * The best so far of query q, at `place` among those that are scanned, against packed rows and the
 * values of the comparison, which are changed. Local.
 */
void
mpivf_one_take(const struct mpivf_one *one, size_t q, size_t place, uint32_t *survivor,
               float *value, size_t survivors);

#endif
