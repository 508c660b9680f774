/*
 * slab: the rows that one rank reads, and in which order.
 *
 * The blocks of a source are put in a seeded order; rank r takes the r-th even share of that
 * order. So a rank's slab is a sample of the whole file even when the file is sorted, and each
 * block is still one large read. Which rank reads a row never shows in a result.
 *
 * A slab may be cut down to a set of rows (what a restart still has to do, one part of a job
 * array, the rows drawn for training).
 */
#ifndef MPIVF_SOURCE_SLAB_H
#define MPIVF_SOURCE_SLAB_H

#include <mpivf/range.h>
#include <mpivf/source.h>

struct mpivf_slab {
    struct mpivf_context *ctx; /* not owned */
    struct mpivf_range *piece; /* owned; what is to be read, in reading order */
    size_t pieces, next;
    uint64_t rows; /* in all pieces */
};

/*
 * Deal the blocks of `source` that have rows of `set` (NULL = all rows), restricted to that set,
 * evenly to all ranks by number of blocks. Memory: 16 bytes a piece. Local, but every rank must
 * give the same arguments. MPIVF_MEMORY.
 */
mpivf_status
mpivf_slab_init(struct mpivf_slab *slab, const struct mpivf_source *source, uint64_t seed,
                const struct mpivf_range *set, size_t ranges);

void
mpivf_slab_clear(struct mpivf_slab *slab);

/*
 * The next pieces, `max_rows` rows at most (a longer piece is split), as at most `max_ranges`
 * ascending ranges in `range`. *rows is 0 at the end. How many ranges. Local.
 */
size_t
mpivf_slab_next(struct mpivf_slab *slab, uint64_t max_rows, struct mpivf_range *range,
                size_t max_ranges, uint64_t *rows);

/* What mpivf_slab_next would give, which stays to be given. Local. */
size_t
mpivf_slab_peek(const struct mpivf_slab *slab, uint64_t max_rows, struct mpivf_range *range,
                size_t max_ranges);

/*
 * Row numbers of one batch: `range` as read, so that the i-th row of the buffer is row_of[i].
 * Local.
 */
void
mpivf_slab_rows(const struct mpivf_range *range, size_t ranges, uint64_t *row_of);

#endif
