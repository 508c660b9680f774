/* rerank: compare candidates again with their raw rows. */
#ifndef MPIVF_SEARCH_RERANK_H
#define MPIVF_SEARCH_RERANK_H

#include "index/format.h"
#include "math/topk.h"

#include <mpivf/progress.h>

/*
 * `found` holds places in the file as ids. Join them over the ranks to the topk->k best each,
 * read those raw rows, each rank the ones in its share of the file, in file order, and put
 * canonical distances with real ids into `topk`. Collective, agreed.
 */
mpivf_status
mpivf_rerank_all(const struct mpivf_par *par, struct mpivf_index *index, const float *query,
                 struct mpivf_topk *found, struct mpivf_topk *topk,
                 struct mpivf_progress *progress);

/* Bytes of buffers for so many queries of so many candidates. Local. */
size_t
mpivf_rerank_bytes(const struct mpivf_index_meta *meta, uint64_t queries, uint64_t candidates);

#endif
