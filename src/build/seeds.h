/* seeds: rows of the sample to begin with as centroids. */
#ifndef MPIVF_BUILD_SEEDS_H
#define MPIVF_BUILD_SEEDS_H

#include "build/sample.h"

#include <mpivf/par.h>

/* Which rows. */
struct mpivf_seeds {
    struct mpivf_sample *sample;   /* not owned */
    enum mpivf_sample_level level; /* its rows up to here */
    uint64_t seed;
    size_t groups;
    const uint32_t *group; /* [places]: of each row; NULL = all in group 0 */
    const uint64_t *first; /* [groups + 1]: group g has seeds first[g] .. first[g + 1] - 1 */
};

/* Bytes for so many seeds, where groups are not very uneven. Local. */
size_t
mpivf_seeds_bytes(size_t seeds, size_t dim, bool root);

/*
 * The rows with the smallest hashes of each group, in that order, into `row` [first[groups], dim]
 * on rank 0. One that equals another is moved off, by up to 3/8 of the way between two others in
 * each column, so that seeds differ, as far as float32 and one column can tell. Every group has
 * that many rows over all ranks. The same for any number of ranks. Memory: 16 bytes a row for about
 * the smallest 4 first[groups] hashes and more where groups are uneven, 16 bytes a seed, and the
 * rows of this rank's seeds; on rank 0 of all ranks. Collective, agreed.
 */
mpivf_status
mpivf_seeds_all(const struct mpivf_par *par, const struct mpivf_seeds *seeds, float *row);

#endif
