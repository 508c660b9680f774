/* side: one of two files of neighbours that are compared, in blocks of queries. */
#ifndef MPIVF_MEASURE_SIDE_H
#define MPIVF_MEASURE_SIDE_H

#include "base/pool.h"
#include "io/result_read.h"
#include "measure/hit.h"

struct mpivf_side {
    struct mpivf_result_reader reader;
    bool truth;            /* a neighbour at a distance that is not finite is none */
    int64_t *id;           /* [block, k], of the pool's owner */
    double *distance;      /* [block, k] */
    struct mpivf_hit *hit; /* [k]: room for a row */
    uint64_t first;        /* query of the block's first row */
    uint64_t falls, rises; /* rows looked at with a distance below, above, the one before */
    bool known;            /* there are distances, and one at least is finite */
};

/* Take or count the room for blocks of so many queries. Local. */
void
mpivf_side_lay_out(struct mpivf_side *side, struct mpivf_pool *pool, uint64_t block);

/* Read the rows of n queries from `first` on. Local. */
mpivf_status
mpivf_side_read(struct mpivf_context *ctx, struct mpivf_side *side, uint64_t first, uint64_t n);

/* The row of a query of the block as it stands, into side->hit: k of them. Local. */
void
mpivf_side_row(const struct mpivf_side *side, uint64_t query);

/* Note whether the row in side->hit is in the order of its distances. Local. */
void
mpivf_side_look(struct mpivf_side *side);

#endif
