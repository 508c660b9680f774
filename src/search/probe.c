#include "base/then.h"
#include "search/scan.h"

#include <string.h>

/* Turn the lists of each query into the queries of each list. */
static void
sort_by_list(struct mpivf_probes *chosen)
{
    uint64_t pairs = chosen->queries * chosen->probes, *first = chosen->first;
    memset(first, 0, (chosen->lists + 1) * sizeof *first);
    for (uint64_t i = 0; i < pairs; i++)
        first[chosen->list[i] + 1]++;
    for (uint64_t l = 0; l < chosen->lists; l++)
        first[l + 1] += first[l];
    for (uint64_t i = 0; i < pairs; i++)
        chosen->query[first[chosen->list[i]]++] = (uint32_t)(i / chosen->probes);
    for (uint64_t l = chosen->lists; l > 0; l--) /* each start has moved to its end */
        first[l] = first[l - 1];
    first[0] = 0;
}

mpivf_status
mpivf_probes_choose_all(const struct mpivf_par *par, struct mpivf_coarse *coarse, const float *row,
                        uint64_t queries, uint64_t probes, struct mpivf_probes *chosen)
{
    struct mpivf_context *ctx = par->ctx;
    *chosen = (struct mpivf_probes){
        .ctx = ctx, .lists = coarse->lists, .queries = queries, .probes = probes};
    uint64_t mine = mpivf_share_first(queries, par->rank, par->size);
    uint64_t end = mpivf_share_first(queries, par->rank + 1, par->size);
    chosen->list = mpivf_alloc(ctx, "the probes", queries * probes, sizeof *chosen->list);
    chosen->query = mpivf_alloc(ctx, "the probes", queries * probes, sizeof *chosen->query);
    chosen->first = mpivf_alloc(ctx, "the probes", coarse->lists + 1, sizeof *chosen->first);
    mpivf_status status = chosen->list && chosen->query && chosen->first ? MPIVF_OK : MPIVF_MEMORY;
    /* this rank's share is made where the queries by list will be, then gathered */
    THEN(status, mpivf_coarse_probe(coarse, row + mine * coarse->dim, end - mine, probes,
                                    chosen->query, NULL));
    status = mpivf_agree_all(par, status);
    if (status)
        return status;
    mpivf_allgather_all(par, chosen->query, (end - mine) * probes * sizeof *chosen->query,
                        chosen->list);
    sort_by_list(chosen);
    return MPIVF_OK;
}

void
mpivf_probes_clear(struct mpivf_probes *chosen)
{
    if (chosen->ctx == NULL)
        return;
    mpivf_free(chosen->ctx, chosen->list);
    mpivf_free(chosen->ctx, chosen->query);
    mpivf_free(chosen->ctx, chosen->first);
    memset(chosen, 0, sizeof *chosen);
}
