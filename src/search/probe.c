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

static void
lay_out(struct mpivf_probes *chosen, struct mpivf_pool *pool, uint64_t lists, uint64_t queries,
        uint64_t probes)
{
    *chosen = (struct mpivf_probes){.lists = lists, .queries = queries, .probes = probes};
    chosen->list = mpivf_pool_take(pool, queries * probes, sizeof *chosen->list);
    chosen->query = mpivf_pool_take(pool, queries * probes, sizeof *chosen->query);
    chosen->first = mpivf_pool_take(pool, lists + 1, sizeof *chosen->first);
}

size_t
mpivf_probes_bytes(uint64_t lists, uint64_t queries, uint64_t probes)
{
    struct mpivf_probes chosen;
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(&chosen, &pool, lists, queries, probes);
    return pool.bytes;
}

mpivf_status
mpivf_probes_choose_all(const struct mpivf_par *par, struct mpivf_coarse *coarse, const float *row,
                        uint64_t queries, uint64_t probes, struct mpivf_probes *chosen)
{
    struct mpivf_pool pool = mpivf_pool_taking(par->ctx, "the probes");
    uint64_t mine = mpivf_share_first(queries, par->rank, par->size);
    uint64_t end = mpivf_share_first(queries, par->rank + 1, par->size);
    lay_out(chosen, &pool, coarse->lists, queries, probes);
    chosen->pool = pool;
    mpivf_status status = mpivf_pool_status(&pool);
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
    mpivf_pool_clear(&chosen->pool);
    memset(chosen, 0, sizeof *chosen);
}
