/*
 * add: read this rank's slab, assign each row to its list, and write sorted shards.
 *
 * While a batch is assigned the next one is read. Memory follows the budget: read buffers and a
 * shard buffer of whatever is left; when that is full it becomes a shard. How often that happens
 * changes no byte of the index.
 */
#ifndef MPIVF_BUILD_ADD_H
#define MPIVF_BUILD_ADD_H

#include "build/skew.h"
#include "build/shard.h"
#include "codec/loss.h"
#include "index/coarse.h"

#include <mpivf/build.h>
#include <mpivf/progress.h>
#include <mpivf/source.h>
#include <mpivf/train.h>

struct mpivf_add {
    const struct mpivf_par *par;   /* not owned */
    struct mpivf_source *source;   /* not owned */
    struct mpivf_source *ids;      /* not owned; NULL = row numbers */
    struct mpivf_coarse *coarse;   /* not owned */
    struct mpivf_index_meta meta;  /* of the shards */
    const struct mpivf_range *set; /* rows still to be added; not owned */
    size_t ranges;
    enum mpivf_bad_rows bad_rows;
    const char *folder;                    /* for the shards; not owned */
    const struct mpivf_observer *observer; /* not owned; NULL = nobody */
};

/*
 * What was added by this run on all ranks: how rows spread, and what they lost on the way.
 */
struct mpivf_added {
    struct mpivf_difference difference;
    struct mpivf_loss loss;
};

/*
 * The least that adding rows to shards of this shape needs, the quantizer in it: what mpivf_add_all
 * does with; f64: rows come as float64, for an observer. Local.
 */
size_t
mpivf_add_bytes(const struct mpivf_source *source, const struct mpivf_source *ids, bool f64,
                const struct mpivf_index_meta *meta, int threads);

/*
 * Run it; shards are whole when it returns. Rank 0 notes when the ranks' rows differ more than
 * chance makes them. Collective, agreed.
 */
mpivf_status
mpivf_add_all(const struct mpivf_add *add, struct mpivf_report *report, struct mpivf_added *added);

#endif
