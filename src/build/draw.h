/*
 * draw: choose the rows of the sample, those with the smallest hashes of (seed, row), and read
 * them.
 */
#ifndef MPIVF_BUILD_DRAW_H
#define MPIVF_BUILD_DRAW_H

#include "build/sample.h"

#include <mpivf/train.h>

/* How many rows all ranks draw. */
struct mpivf_draw {
    uint64_t wanted[MPIVF_SAMPLE_LEVELS]; /* up to each level; the last exactly, others about */
    size_t memory;                        /* for the sample of this rank */
    const char *path;                     /* in whose folder what does not fit may lie */
};

/* Bytes of buffers while it reads, at least. Local. */
size_t
mpivf_draw_bytes(const struct mpivf_source *source);

/*
 * Read this rank's share, from its slab, into `sample` (initialised here); unit length for ip and
 * cosine. Bad rows are an error or left out; *rowsum is the checksum of all that were drawn, by all
 * ranks. Release with mpivf_sample_clear, also after failure. Collective, agreed.
 */
mpivf_status
mpivf_draw_all(const struct mpivf_par *par, struct mpivf_source *source,
               const struct mpivf_train_options *options, const struct mpivf_draw *draw,
               struct mpivf_progress *progress, struct mpivf_sample *sample, uint64_t *rowsum);

/* The checksum alone, of the rows that would be drawn. Collective, agreed. */
mpivf_status
mpivf_draw_rowsum_all(struct mpivf_source *source, const struct mpivf_train_options *options,
                      const struct mpivf_draw *draw, struct mpivf_progress *progress,
                      uint64_t *rowsum);

#endif
