/* parts: all parts of a work folder, and which of them to go on from. */
#ifndef MPIVF_MEASURE_PARTS_H
#define MPIVF_MEASURE_PARTS_H

#include "measure/part.h"

/* The parts of a folder. */
struct mpivf_parts {
    struct mpivf_part *part; /* owned, grows */
    size_t parts, room;
};

/*
 * Read the heads of all parts for this k and so many segments. Files left half-written and heads
 * that are damaged are removed, the latter with a note. Local.
 */
mpivf_status
mpivf_parts_list(struct mpivf_context *ctx, const char *folder, uint64_t k, uint64_t segments,
                 struct mpivf_parts *parts);
void
mpivf_parts_clear(struct mpivf_context *ctx, struct mpivf_parts *parts);

/* A range of queries and the parts to go on from, all apart. */
struct mpivf_parts_chosen {
    uint64_t first, end;
    size_t *chosen; /* owned, [count], places in the list */
    size_t count;
    struct mpivf_range *covered; /* owned set: their rows */
    size_t ranges;
    bool complete; /* one part covers all `rows` rows for the whole range */
};

/*
 * The next range from query `first` on, `most` queries long at most unless it is complete, that
 * every part has either wholly or not at all. Release with mpivf_parts_chosen_clear. Local.
 */
mpivf_status
mpivf_parts_plan(struct mpivf_context *ctx, const struct mpivf_parts *parts, uint64_t first,
                 uint64_t queries, uint64_t most, uint64_t rows, struct mpivf_parts_chosen *chosen);
void
mpivf_parts_chosen_clear(struct mpivf_context *ctx, struct mpivf_parts_chosen *chosen);

#endif
