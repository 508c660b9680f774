/* row_set: a set of rows (mpivf/range.h) that grows. */
#ifndef MPIVF_BASE_ROW_SET_H
#define MPIVF_BASE_ROW_SET_H

#include <mpivf/context.h>
#include <mpivf/range.h>

/*
 * Empty when it is zero. Memory: at most 32 bytes for each range that was put in, while it grows.
 */
struct mpivf_row_set {
    struct mpivf_range *range; /* owned, [room] */
    uint64_t ranges;
    size_t room;
};

/*
 * Put ranges behind those that are there; mpivf_row_set_order makes a set of them. MPIVF_MEMORY.
 * Release with mpivf_row_set_clear. Local.
 */
mpivf_status
mpivf_row_set_put(struct mpivf_context *ctx, struct mpivf_row_set *set,
                  const struct mpivf_range *range, size_t ranges);

/* Sort the ranges and join those that touch; *overlap as from mpivf_range_normalise. Local. */
void
mpivf_row_set_order(struct mpivf_row_set *set, uint64_t *overlap);

/* Both: add ranges to a set. Local. */
mpivf_status
mpivf_row_set_add(struct mpivf_context *ctx, struct mpivf_row_set *set,
                  const struct mpivf_range *range, size_t ranges);

/* Give all back; the set is empty. Local. */
void
mpivf_row_set_clear(struct mpivf_context *ctx, struct mpivf_row_set *set);

#endif
