/* coarse_parts: what a choice of how rows are looked at lays out anew; for coarse.c and look.c. */
#ifndef MPIVF_INDEX_COARSE_PARTS_H
#define MPIVF_INDEX_COARSE_PARTS_H

#include "index/coarse.h"

/* Take or count the centroids in the words that rows are compared with. Local. */
void
mpivf_coarse_lay_out_packed(struct mpivf_coarse *coarse, struct mpivf_pool *pool);

/* Bytes of scratch while probing, as coarse->choice is; 0 probes: while assigning. Local. */
size_t
mpivf_coarse_scratch_of(const struct mpivf_coarse *coarse, size_t probes);

#endif
