/*
 * range: sets of rows as runs.
 *
 * A set is an array of ranges, ascending and apart (no two touch): what a shard covers, what
 * is still to be read. Sizes are small: a run for each block at most.
 */
#ifndef MPIVF_RANGE_H
#define MPIVF_RANGE_H

#include <mpivf/api.h>

#include <stddef.h>
#include <stdint.h>

MPIVF_API_BEGIN

/* Rows [row, row + rows), rows >= 1. */
struct mpivf_range {
    uint64_t row, rows;
};

/*
 * Turn any ranges into a set, in place: sort and join those that touch. The new count; *overlap,
 * when not NULL, tells the first row that was in two ranges, or UINT64_MAX. Local.
 */
size_t
mpivf_range_normalise(struct mpivf_range *range, size_t count, uint64_t *overlap);

/* How many rows a set has. Local. */
uint64_t
mpivf_range_rows(const struct mpivf_range *range, size_t count);

/* How many rows two sets have in common. Local. */
uint64_t
mpivf_range_common(const struct mpivf_range *a, size_t a_count, const struct mpivf_range *b,
                   size_t b_count);

/*
 * The rows of [0, rows) that the set has not, into `gap` (count + 1 ranges). How many ranges.
 * Local.
 */
size_t
mpivf_range_gaps(const struct mpivf_range *range, size_t count, uint64_t rows,
                 struct mpivf_range *gap);

/*
 * What the set has of `within`, into `part` (at most `max`). How many ranges. Local.
 */
size_t
mpivf_range_cut(const struct mpivf_range *range, size_t count, struct mpivf_range within,
                struct mpivf_range *part, size_t max);

MPIVF_API_END

#endif
