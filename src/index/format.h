/* format: the bytes of an index file, written and read. The datasets are told in mpivf/index.h. */
#ifndef MPIVF_INDEX_FORMAT_H
#define MPIVF_INDEX_FORMAT_H

#include "index/coarse.h"
#include "index/planes.h"
#include "io/checksum.h"
#include "io/file.h"

/* Bytes a file of these rows takes, all datasets and their alignment included. Local. */
uint64_t
mpivf_index_bytes(const struct mpivf_index_meta *meta);

/* Bytes of memory that it takes when it is open. Local. */
size_t
mpivf_index_open_bytes(const struct mpivf_index_meta *meta);

/*
 * Fill the new, empty file with everything but the planes and /list_checksum, which the caller
 * then writes at the offsets of *layout. `centroid` is [meta->centroids, dim]. Local.
 */
mpivf_status
mpivf_index_create(struct mpivf_context *ctx, const struct mpivf_file *file,
                   const struct mpivf_index_meta *meta, const float *centroid,
                   const uint64_t *list_offset, const int64_t *rejected,
                   const struct mpivf_range *range, struct mpivf_index_layout *layout);

/* The checksum of a list from those of its planes. Local. */
uint64_t
mpivf_index_list_checksum(const uint64_t *plane, int planes);

/* Read and check the centroids, ready for use. Release with mpivf_coarse_clear. Local. */
mpivf_status
mpivf_index_coarse(struct mpivf_index *index, struct mpivf_coarse *coarse);

/* The same on every rank, read by one. Collective, agreed. */
mpivf_status
mpivf_index_coarse_all(const struct mpivf_par *par, struct mpivf_index *index,
                       struct mpivf_coarse *coarse);

/*
 * Where part `part` of `parts` starts when the lists are cut into runs of about the same rows;
 * the number of lists for part = parts. Local.
 */
uint64_t
mpivf_index_cut(const struct mpivf_index *index, uint64_t part, uint64_t parts);

/* The file of an open index, for reading. Local. */
struct mpivf_file
mpivf_index_file(const struct mpivf_index *index);

/*
 * Do rows of `b` belong into the same index as rows of `a`? MPIVF_MISMATCH says what differs.
 * Local.
 */
mpivf_status
mpivf_index_match(struct mpivf_context *ctx, const struct mpivf_index *a,
                  const struct mpivf_index *b);

#endif
