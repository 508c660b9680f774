/* checkpoints: all checkpoints of a work folder, and which of them to go on from. */
#ifndef MPIVF_MEASURE_CHECKPOINTS_H
#define MPIVF_MEASURE_CHECKPOINTS_H

#include "base/row_set.h"
#include "measure/checkpoint.h"

/* The checkpoints of a folder. */
struct mpivf_checkpoints {
    struct mpivf_checkpoint *checkpoint; /* owned, grows */
    size_t checkpoints, room;
};

/*
 * Read the heads of all checkpoints for this k and so many segments, of pairs compared once or not.
 * Files left half-written and heads that are damaged are removed, the latter with a note. Local.
 */
mpivf_status
mpivf_checkpoints_list(struct mpivf_context *ctx, const char *folder, uint64_t k, uint64_t segments,
                       bool once, struct mpivf_checkpoints *checkpoints);
void
mpivf_checkpoints_clear(struct mpivf_context *ctx, struct mpivf_checkpoints *checkpoints);

/* A range of queries and the checkpoints to go on from, all apart. */
struct mpivf_checkpoints_chosen {
    uint64_t first, end;
    size_t *chosen; /* owned, [count], places in the list */
    uint64_t count;
    struct mpivf_row_set covered; /* their rows */
    bool complete;                /* one checkpoint covers all `rows` rows for the whole range */
};

/*
 * The next range from query `first` on, `max` queries long at most unless it is complete, that
 * every checkpoint has either wholly or not at all; of pairs compared once, those that are chosen
 * have that very range. Release with mpivf_checkpoints_chosen_clear. Local.
 */
mpivf_status
mpivf_checkpoints_plan(struct mpivf_context *ctx, const struct mpivf_checkpoints *checkpoints,
                       uint64_t first, uint64_t queries, uint64_t max, uint64_t rows,
                       struct mpivf_checkpoints_chosen *chosen);
void
mpivf_checkpoints_chosen_clear(struct mpivf_context *ctx, struct mpivf_checkpoints_chosen *chosen);

#endif
