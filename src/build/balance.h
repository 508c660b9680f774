/*
 * balance: no list with too many rows.
 *
 * Lists that hold more of the sample than they may are cut: some of their rows become centroids
 * beside them, local and global iterations follow, and the sizes are counted again. So there are
 * more lists than were asked for. Rows that are all the same cannot be parted.
 */
#ifndef MPIVF_BUILD_BALANCE_H
#define MPIVF_BUILD_BALANCE_H

#include "build/lloyd.h"

/* What came of it. */
struct mpivf_balanced {
    uint64_t rounds, added; /* lists */
    uint64_t largest;       /* rows of the sample in the largest list */
};

/*
 * Bytes of it beside the quantizer, where a round cuts so that there are up to `added` lists more.
 * Local.
 */
size_t
mpivf_balance_bytes(enum mpivf_metric metric, size_t lists, size_t added, size_t dim, int threads,
                    bool root);

/*
 * Cut the lists of lloyd->coarse, which grows, until none holds more than `max` rows of the
 * sample, or cutting no longer helps, or there are MPIVF_MAX_LISTS. Memory: while the quantizer
 * grows, the larger one beside it. Collective, agreed.
 */
mpivf_status
mpivf_balance_all(struct mpivf_lloyd *lloyd, uint64_t seed, uint64_t max,
                  struct mpivf_balanced *balanced);

#endif
