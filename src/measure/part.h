/*
 * part: the neighbours found so far, in a file that another run can go on from.
 *
 * A part answers a range of queries from a set of base rows. Parts whose sets are apart can be
 * joined; when one covers every row its queries are answered. A run adds to the parts it took over
 * and writes a new, larger one before the old ones go, so a kill at any moment leaves parts that
 * overlap at worst: of overlapping ones the larger counts (mpivf_parts_plan).
 *
 * FOLDER/part-FIRST-END-HASH, in the machine's byte order (checked): a head of words (see part.c)
 * and ranges with a checksum, then for each segment and query a row of k + 2 candidates
 * (16 bytes each): the k best, the tail of mpivf_topk_export, and (0, duplicates).
 */
#ifndef MPIVF_MEASURE_PART_H
#define MPIVF_MEASURE_PART_H

#include "io/file.h"
#include "math/topk.h"
#include "measure/duplicates.h"

#include <mpivf/par.h>
#include <mpivf/range.h>
#include <mpivf/truth.h>

enum { MPIVF_PART_NAME = 80 };

struct mpivf_part {
    char name[MPIVF_PART_NAME];
    uint64_t first, queries, k, segments;
    uint64_t rejected[MPIVF_PREFIXES]; /* of each segment's rows, bad ones that were left out */
    struct mpivf_stamp base, query; /* of the rows (with their ids) and queries compared */
    uint64_t ranges, rows;
    struct mpivf_range *range; /* owned set */
};

/* The answers of one range of queries, as a run holds them. */
struct mpivf_answers {
    struct mpivf_topk *topk; /* not owned, [segments] */
    struct mpivf_duplicates *duplicates; /* not owned */
    size_t segments;
};

/*
 * Write one; its name, chosen from its content, comes back in `part`, whose range is not copied.
 * Sorts the entries. Local.
 */
mpivf_status
mpivf_part_write(struct mpivf_context *ctx, const char *folder, struct mpivf_part *part,
                 const struct mpivf_answers *answers);

/*
 * Offer the rows of queries [first, first + n) of a part to `answers`, whose query 0 is `first`.
 * *damaged when its bytes are not those written; then nothing that was added may be used. Local.
 */
mpivf_status
mpivf_part_read(struct mpivf_context *ctx, const char *folder, const struct mpivf_part *part,
                uint64_t first, uint64_t n, const struct mpivf_answers *answers, bool *damaged);

/* Are the bytes of a part those written? Reads it. Local. */
mpivf_status
mpivf_part_check(struct mpivf_context *ctx, const char *folder, const struct mpivf_part *part,
                 bool *damaged);

/* Remove one; not there is fine. */
mpivf_status
mpivf_part_remove(struct mpivf_context *ctx, const char *folder, const char *name);

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

/* Is this the name of a file that only this folder has? */
bool
mpivf_part_owns(const char *name);

/*
 * Rows [first, first + n) of segment s as written, [n, k + 2] into `row`. `first` counts from the
 * part's first query. Local.
 */
mpivf_status
mpivf_part_rows(struct mpivf_context *ctx, const struct mpivf_file *file,
                const struct mpivf_part *part, uint64_t segment, uint64_t first, uint64_t n,
                struct mpivf_candidate *row);

#endif
