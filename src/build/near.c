#include "build/near.h"

#include "base/then.h"

enum { STEP = 4096 }; /* lists looked up at a time */
static const char what[] = "the neighbours of lists";

size_t
mpivf_near_bytes(enum mpivf_metric metric, size_t lists, size_t dim, int threads)
{
    return lists * (2 * MPIVF_NEAR * sizeof(uint32_t) + sizeof(uint64_t)) +
           mpivf_coarse_subsets_bytes(dim, threads) +
           mpivf_coarse_scratch(metric, dim, threads, MPIVF_NEAR);
}

mpivf_status
mpivf_near_init_all(struct mpivf_near *near, const struct mpivf_par *par,
                    struct mpivf_coarse *coarse)
{
    struct mpivf_context *ctx = par->ctx;
    size_t lists = coarse->lists, each = MPIVF_NEAR < lists ? MPIVF_NEAR : lists;
    *near = (struct mpivf_near){.par = par, .coarse = coarse, .each = each};
    near->start = mpivf_alloc(ctx, what, lists + 1, sizeof *near->start);
    near->list = mpivf_alloc(ctx, what, lists * each, sizeof *near->list);
    mpivf_status status = near->start && near->list ? MPIVF_OK : MPIVF_MEMORY;
    THEN(status, mpivf_coarse_subsets_init(coarse));
    for (size_t l = 0; l <= lists && status == MPIVF_OK; l++)
        near->start[l] = l * each;
    near->candidates = (struct mpivf_candidates){lists, near->start, near->list};
    return mpivf_agree_all(par, status);
}

void
mpivf_near_clear(struct mpivf_near *near)
{
    if (near->par == NULL)
        return;
    mpivf_coarse_subsets_clear(near->coarse);
    mpivf_free(near->par->ctx, near->start);
    mpivf_free(near->par->ctx, near->list);
    *near = (struct mpivf_near){0};
}

mpivf_status
mpivf_near_find_all(struct mpivf_near *near)
{
    const struct mpivf_par *par = near->par;
    struct mpivf_coarse *coarse = near->coarse;
    size_t first = mpivf_share_first(coarse->lists, par->rank, par->size);
    size_t n = mpivf_share_first(coarse->lists, par->rank + 1, par->size) - first;
    uint32_t *mine = mpivf_alloc(par->ctx, what, n * near->each, sizeof *mine);
    mpivf_status status = mine ? MPIVF_OK : MPIVF_MEMORY;
    for (size_t at = 0; at < n && status == MPIVF_OK; at += STEP)
        status = mpivf_coarse_probe(coarse, coarse->centroid + (first + at) * coarse->dim,
                                    n - at < STEP ? n - at : STEP, near->each,
                                    mine + at * near->each, NULL);
    status = mpivf_agree_all(par, status);
    if (status == MPIVF_OK)
        mpivf_allgather_all(par, mine, n * near->each * sizeof *mine, near->list);
    mpivf_free(par->ctx, mine);
    return status;
}
