/* join: one group of shards into one file, in parts that ranks do side by side. */
#ifndef MPIVF_BUILD_JOIN_H
#define MPIVF_BUILD_JOIN_H

#include "index/format.h"

/* The least that a rank needs for so many inputs of this shape at once. Local. */
size_t
mpivf_join_bytes(const struct mpivf_index_meta *meta, uint64_t inputs, int threads);

/*
 * Fill the new, empty output file for these shards: sizes summed, rejected rows and ranges
 * joined, the centroids of `model` unless it is NULL. Everything but the rows and their checksums
 * is in it. *rows is set. Local.
 */
mpivf_status
mpivf_join_create(struct mpivf_context *ctx, const char *const *input, uint64_t inputs,
                  const char *model, const struct mpivf_file *file, uint64_t *rows);

/*
 * Fill in part `part` of `parts` of the output: lists cut so that parts have about the same
 * rows. Different parts may be filled at the same time by different processes. *rows and *bytes
 * are added to. MPIVF_CORRUPT names a damaged input and list. Local.
 */
mpivf_status
mpivf_join_fill(struct mpivf_context *ctx, const char *const *input, uint64_t inputs,
                const char *partial, uint64_t part, uint64_t parts, uint64_t *rows,
                uint64_t *bytes);

#endif
