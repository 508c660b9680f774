#include "math/gather.h"

#include "math/distance.h"

#include <assert.h>

size_t
mpivf_gather_query_bytes(size_t k)
{
    return 2 * (k + 1) * sizeof(struct mpivf_candidate);
}

mpivf_status
mpivf_gather_block_all(const struct mpivf_par *par, struct mpivf_topk *topk, bool everywhere,
                       struct mpivf_candidate **block)
{
    struct mpivf_context *ctx = par->ctx;
    size_t entries = topk->queries * (topk->k + 1);
    struct mpivf_topk_block shape = {.queries = topk->queries, .k = topk->k};
    struct mpivf_candidate *mine = mpivf_alloc(ctx, "the neighbours", entries, sizeof *mine);
    struct mpivf_candidate *other = mpivf_alloc(ctx, "the neighbours", entries, sizeof *other);
    shape.scratch = mpivf_alloc(ctx, "the neighbours", topk->k, sizeof *shape.scratch);
    mpivf_status status =
        mpivf_agree_all(par, mine && other && shape.scratch ? MPIVF_OK : MPIVF_MEMORY);
    if (status == MPIVF_OK) {
        mpivf_topk_export(topk, mine);
        mpivf_tree_all(par, mine, other, entries * sizeof *mine, mpivf_topk_join, &shape);
        if (everywhere)
            mpivf_bcast_all(par, mine, entries * sizeof *mine);
    }
    mpivf_free(ctx, other);
    mpivf_free(ctx, shape.scratch);
    if (status || (par->rank != 0 && !everywhere)) {
        mpivf_free(ctx, mine);
        mine = NULL;
    }
    if (status == MPIVF_OK)
        *block = mine;
    return status;
}

mpivf_status
mpivf_gather_result_all(const struct mpivf_par *par, struct mpivf_topk *topk,
                        struct mpivf_result *result, uint64_t first, enum mpivf_metric metric)
{
    assert(result == NULL || result->k <= topk->k);
    struct mpivf_candidate *block;
    mpivf_status status = mpivf_gather_block_all(par, topk, false, &block);
    if (status || block == NULL)
        return status;
    for (size_t q = 0; q < topk->queries; q++)
        for (size_t i = 0; i < result->k; i++) {
            const struct mpivf_candidate *entry = &block[q * (topk->k + 1) + i];
            size_t at = (first + q) * result->k + i;
            result->neighbor[at] = entry->id;
            result->distance[at] =
                entry->id < 0 ? entry->distance : mpivf_distance_shown(metric, entry->distance);
        }
    mpivf_free(par->ctx, block);
    return MPIVF_OK;
}
