/* tile: how rows and queries are cut so that what is compared stays in caches; for nearest.c. */
#ifndef MPIVF_MATH_TILE_H
#define MPIVF_MATH_TILE_H

#include "math/nearest.h"

enum {
    MPIVF_WORD = 4,          /* bytes */
    MPIVF_BLOCK_ROWS = 1008, /* of a block, at most: whole panels */
    MPIVF_TILE_QUERIES = 96, /* sgemm: with a block 378 KiB of products */
    MPIVF_TILE_STEPS = 256,  /* of rows that go in parts */
    MPIVF_TILE_GROUPS = 8    /* that are compared with such a part together */
};

/* Have rows so many steps that they go in parts? */
static inline bool
mpivf_goes_in_parts(size_t steps)
{
    return steps > MPIVF_TILE_STEPS + MPIVF_TILE_STEPS / 2;
}

/* What is compared first: of the projected rows, where there are any. */
static inline const struct mpivf_packed_rows *
mpivf_looked_at(const struct mpivf_packed_rows *packed)
{
    return packed->first ? packed->first : packed;
}

/* Rows of a block: whole panels, whose words the second-level cache holds. Local. */
size_t
mpivf_block_rows(const struct mpivf_packed_rows *packed);

#endif
