/*
 * checkpoint: the neighbours found so far, in a file that another run can go on from.
 *
 * A checkpoint answers a range of queries from a set of base rows. Checkpoints whose sets are apart
 * can be joined; when one covers every row its queries are answered. A run adds to the checkpoints
 * it took over and writes a new, larger one before the old ones go, so a kill at any moment leaves
 * checkpoints that overlap at worst: of overlapping ones the larger counts (measure/checkpoints.h).
 * Where rows are queries too and pairs of them are compared once, what is known of a row depends on
 * the range of queries: then it counts for that range alone.
 *
 * FOLDER/checkpoint-FIRST-END-HASH, in the machine's byte order (checked): a head of words (see
 * checkpoint.c) and ranges with a checksum, then for each segment and query a row of k + 2
 * candidates (16 bytes each): the k best, the tail of mpivf_topk_export, and (0, duplicates).
 */
#ifndef MPIVF_MEASURE_CHECKPOINT_H
#define MPIVF_MEASURE_CHECKPOINT_H

#include "io/file.h"
#include "math/topk.h"
#include "measure/duplicates.h"

#include <mpivf/par.h>
#include <mpivf/range.h>
#include <mpivf/truth.h>

enum { MPIVF_CHECKPOINT_NAME = 80 };

struct mpivf_checkpoint {
    char name[MPIVF_CHECKPOINT_NAME];
    uint64_t first, queries, k, segments;
    bool once;                         /* pairs of its queries are compared once (math/mirror.h) */
    uint64_t rejected[MPIVF_PREFIXES]; /* of each segment's rows, bad ones that were left out */
    struct mpivf_stamp base, query;    /* of the rows (with their ids) and queries compared */
    uint64_t ranges, rows;
    struct mpivf_range *range; /* owned set */
};

/* The answers of one range of queries, as a run holds them. */
struct mpivf_answers {
    struct mpivf_topk *topk;             /* not owned, [segments] */
    struct mpivf_duplicates *duplicates; /* not owned */
    size_t segments;
};

/*
 * Write one; its name, chosen from its content, comes back in `checkpoint`, whose range is not
 * copied. Sorts the entries. Local.
 */
mpivf_status
mpivf_checkpoint_write(struct mpivf_context *ctx, const char *folder,
                       struct mpivf_checkpoint *checkpoint, const struct mpivf_answers *answers);

/*
 * Offer the rows of queries [first, first + n) of a checkpoint to `answers`, whose query 0 is
 * `first`. *damaged when its bytes are not those written; then nothing that was added may be used.
 * Local.
 */
mpivf_status
mpivf_checkpoint_read(struct mpivf_context *ctx, const char *folder,
                      const struct mpivf_checkpoint *checkpoint, uint64_t first, uint64_t n,
                      const struct mpivf_answers *answers, bool *damaged);

/* Are the bytes of a checkpoint those written? Reads it. Local. */
mpivf_status
mpivf_checkpoint_check(struct mpivf_context *ctx, const char *folder,
                       const struct mpivf_checkpoint *checkpoint, bool *damaged);

/*
 * Read the head of the file `path` into `checkpoint`, but for its name. *good when it is one, and
 * its range owned; else there is none. Local.
 */
mpivf_status
mpivf_checkpoint_head(struct mpivf_context *ctx, const char *path,
                      struct mpivf_checkpoint *checkpoint, bool *good);

/* Remove one; not there is fine. Local. */
mpivf_status
mpivf_checkpoint_remove(struct mpivf_context *ctx, const char *folder, const char *name);

/* Is this the name of a file that only this folder has? Local. */
bool
mpivf_checkpoint_owns(const char *name);

/*
 * Rows [first, first + n) of segment s as written, [n, k + 2] into `row`. `first` counts from the
 * checkpoint's first query. Local.
 */
mpivf_status
mpivf_checkpoint_rows(struct mpivf_context *ctx, const struct mpivf_file *file,
                      const struct mpivf_checkpoint *checkpoint, uint64_t segment, uint64_t first,
                      uint64_t n, struct mpivf_candidate *row);

#endif
