/*
 * recheck: is the unfinished work of an earlier run of the rows that the source has now?
 *
 * Where the files have the sizes and times that they had, it is. Else the rows that each shard
 * covers, and those that the model was trained on, are read again and their checksums compared:
 * files that were touched or copied are no reason to start over, rows that were corrected are.
 */
#ifndef MPIVF_BUILD_RECHECK_H
#define MPIVF_BUILD_RECHECK_H

#include "build/work.h"

#include <mpivf/train.h>

struct mpivf_recheck {
    struct mpivf_source *source;             /* not owned */
    struct mpivf_source *ids;                /* not owned; NULL = row numbers */
    struct mpivf_work *work;                 /* not owned */
    const struct mpivf_train_options *train; /* of its model; not owned */
    bool damaged;                            /* out: it was a file of the work that was damaged */
};

/*
 * MPIVF_MISMATCH when rows of a shard have changed. A model of other rows, with no shards yet, is
 * one that is still to be trained: work->has_model is cleared. Collective, agreed.
 */
mpivf_status
mpivf_recheck_all(struct mpivf_recheck *recheck, struct mpivf_report *report);

#endif
