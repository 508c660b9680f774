/*
 * merge: the tree reduction from sorted shards to one file.
 *
 * A round joins groups of at most `fan_in` neighbouring shards; ceil(log_F S) rounds. In a round
 * the work items are (group, run of lists), cut by equal rows, and every rank takes its share:
 * it streams its run of each input through a bounded buffer, merges by (list, id) and writes at
 * the place that the summed list sizes give. The last round writes the final file. Input
 * checksums are compared on the way.
 *
 * Memory of a rank: (fan_in + 1) x (buffer + 8 (lists + 1)) bytes; buffer is what the budget
 * allows, 4 MiB at most.
 */
#ifndef MPIVF_BUILD_MERGE_H
#define MPIVF_BUILD_MERGE_H

#include "build/work.h"
#include "io/inputs.h"

#include <mpivf/progress.h>

struct mpivf_merge {
    const struct mpivf_par *par; /* not owned */
    const char *const *input;    /* paths, in order of their first rows; not owned */
    uint64_t inputs, fan_in;
    const char *model;               /* a file with the centroids; not owned */
    const char *folder;              /* for intermediate shards; not owned */
    struct mpivf_output *output;     /* not owned */
    bool consume;                    /* remove inputs once merged */
    const struct mpivf_inputs *seen; /* the inputs, if others might change them; not owned */
    uint64_t rounds, bytes_written, index_bytes; /* out; bytes on all ranks together */
};

/*
 * Run it. The inputs must belong together and cover different rows (the caller has checked).
 * Collective, agreed.
 */
mpivf_status
mpivf_merge_all(struct mpivf_merge *merge, struct mpivf_report *report);

#endif
