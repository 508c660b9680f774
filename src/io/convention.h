/*
 * convention: neighbours of queries, in files that other programs take for ground truth.
 *
 *   xbin   .bin     u32 queries, u32 k, i32 id [queries, k], f32 distance [queries, k]
 *   ivecs  .ivecs   a row for each query: i32 k, i32 id [k]
 *   fvecs  .fvecs   a row for each query: i32 k, f32 distance [k]
 *
 * xbin is what big-ann-benchmarks and DiskANN call knn ground truth; the vecs are
 * TEXMEX's. All little endian. Distances are those of Faiss: squared for l2; the product
 * for ip and the cosine for cosine, where larger is nearer. A missing neighbour has id -1
 * and the farthest distance: inf for l2, else -inf.
 */
#ifndef MPIVF_IO_CONVENTION_H
#define MPIVF_IO_CONVENTION_H

#include "io/file.h"
#include "io/result.h"

enum mpivf_convention { MPIVF_XBIN, MPIVF_IVECS, MPIVF_FVECS, MPIVF_CONVENTIONS };

enum { MPIVF_CONVENTION_WORDS = 1 << 14 }; /* 4-byte words that are converted at a time */

/* ".bin", ".ivecs", ".fvecs". Local. */
const char *
mpivf_convention_ending(enum mpivf_convention convention);

/* Is it among `also`, bits of MPIVF_ALSO_? Local. */
bool
mpivf_convention_asked(enum mpivf_convention convention, int also);

/* MPIVF_USAGE when ids or counts do not fit into what `also` asks for. Local. */
mpivf_status
mpivf_convention_check(struct mpivf_context *ctx, const struct mpivf_result_about *about, int also);

/* Write what comes before the rows into an empty file. Local. */
mpivf_status
mpivf_convention_begin(struct mpivf_context *ctx, const struct mpivf_file *file,
                       enum mpivf_convention convention, const struct mpivf_result_about *about);

/* Write rows [first, first + n). `word` is scratch, [MPIVF_CONVENTION_WORDS]. Local. */
mpivf_status
mpivf_convention_put(struct mpivf_context *ctx, const struct mpivf_file *file,
                     enum mpivf_convention convention, const struct mpivf_result_about *about,
                     uint64_t first, uint64_t n, const struct mpivf_result_rows *rows,
                     uint32_t *word);

#endif
