/* gather: the k best of all ranks, by tree reduction, into a result. */
#ifndef MPIVF_MATH_GATHER_H
#define MPIVF_MATH_GATHER_H

#include "io/result.h"
#include "math/topk.h"

/* Bytes a query takes while gathering. Local. */
size_t
mpivf_gather_query_bytes(size_t k);

/*
 * Join the ranks' entries of each query. On rank 0 (on every rank when `everywhere`) *block,
 * owned by the caller, holds [queries, k] entries, sorted, missing ones with id -1; elsewhere
 * NULL. Collective, agreed.
 */
mpivf_status
mpivf_gather_block_all(const struct mpivf_par *par, struct mpivf_topk *topk, bool everywhere,
                       struct mpivf_candidate **block);

/*
 * Join and put the values, as users see them, into rows first.. of rank 0's result (NULL
 * elsewhere); k is the result's, not above topk's. Collective, agreed.
 */
mpivf_status
mpivf_gather_result_all(const struct mpivf_par *par, struct mpivf_topk *topk,
                        struct mpivf_result *result, uint64_t first, enum mpivf_metric metric);

#endif
