/*
 * rowsum: a checksum of rows that does not depend on the order in which they are read.
 *
 * Each row gives a 64-bit hash of its bytes and its id (its number where there are no ids); the sum
 * of a set of rows is the sum of theirs, modulo 2^64. So ranks and threads add up what each has
 * seen, and whoever made something of a set of rows can later be asked whether they are still the
 * same. The bytes are those of the rows as they were decoded: what nobody computes with does not
 * count.
 *
 * Cost: a row at 8 GB/s a thread, when it is in the cache.
 */
#ifndef MPIVF_SOURCE_ROWSUM_H
#define MPIVF_SOURCE_ROWSUM_H

#include <mpivf/progress.h>
#include <mpivf/source.h>

/* Of one row. Local. */
uint64_t
mpivf_rowsum_row(const void *row, size_t row_bytes, uint64_t id);

/* Of n rows, by so many threads. Local. */
uint64_t
mpivf_rowsum(const void *row, size_t row_bytes, const int64_t *id, size_t n, int threads);

/*
 * Read a set of rows again, as float64 or float32, all ranks together, with their ids (NULL: row
 * numbers), and add them up.
 * Memory: a quarter of what is left, 16 MiB at most. Collective, agreed.
 */
mpivf_status
mpivf_rowsum_again_all(struct mpivf_source *source, struct mpivf_source *ids, bool f64,
                       const struct mpivf_range *range, size_t ranges,
                       struct mpivf_progress *progress, uint64_t *sum);

#endif
