/*
 * scatter: the first pass of a shuffle. Every rank reads its own run of the input, once and in
 * order, and puts each row, with its number, into the bucket that it belongs to.
 *
 * Ranks exchange no rows: each has a region of its own in every bucket, behind those of the lower
 * ranks. For that, rows are counted per bucket beforehand, which takes the permutation alone.
 */
#ifndef MPIVF_SOURCE_SCATTER_H
#define MPIVF_SOURCE_SCATTER_H

#include "source/bucket.h"

#include <mpivf/progress.h>
#include <mpivf/source.h>

/* Fill both datasets, bucket by bucket in no order. Collective, agreed. */
mpivf_status
mpivf_scatter_all(const struct mpivf_shuffling *shuffling, struct mpivf_source *source,
                  struct mpivf_progress *progress);

#endif
