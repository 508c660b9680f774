#include "build/near.h"

#include "base/then.h"

enum { STEP = 4096 }; /* lists looked up at a time */

/* `share`: lists that this rank looks for. */
static void
lay_out(struct mpivf_near *near, struct mpivf_pool *pool, size_t lists, size_t share)
{
    near->each = MPIVF_NEAR < lists ? MPIVF_NEAR : lists;
    near->start = mpivf_pool_take(pool, lists + 1, sizeof *near->start);
    near->list = mpivf_pool_take(pool, lists * near->each, sizeof *near->list);
    near->mine = mpivf_pool_take(pool, share * near->each, sizeof *near->mine);
}

size_t
mpivf_near_bytes(enum mpivf_metric metric, size_t lists, size_t dim, int threads)
{
    struct mpivf_near near;
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(&near, &pool, lists, lists); /* a rank alone has them all */
    return pool.bytes + mpivf_coarse_subsets_bytes(dim, threads) +
           mpivf_coarse_scratch(metric, dim, threads, near.each);
}

/* The lists that this rank looks for: the first of them. */
static size_t
share_of(const struct mpivf_par *par, size_t lists, size_t *first)
{
    *first = mpivf_share_first(lists, par->rank, par->size);
    return mpivf_share_first(lists, par->rank + 1, par->size) - *first;
}

mpivf_status
mpivf_near_init_all(struct mpivf_near *near, const struct mpivf_par *par,
                    struct mpivf_coarse *coarse)
{
    size_t lists = coarse->lists, first, share = share_of(par, lists, &first);
    *near = (struct mpivf_near){.par = par, .coarse = coarse};
    near->pool = mpivf_pool_taking(par->ctx, "the neighbours of lists");
    lay_out(near, &near->pool, lists, share);
    mpivf_status status = mpivf_pool_status(&near->pool);
    THEN(status, mpivf_coarse_subsets_init(coarse));
    for (size_t l = 0; l <= lists && status == MPIVF_OK; l++)
        near->start[l] = l * near->each;
    near->candidates = (struct mpivf_candidates){lists, near->start, near->list};
    return mpivf_agree_all(par, status);
}

void
mpivf_near_clear(struct mpivf_near *near)
{
    if (near->par == NULL)
        return;
    mpivf_coarse_subsets_clear(near->coarse);
    mpivf_pool_clear(&near->pool);
    *near = (struct mpivf_near){0};
}

mpivf_status
mpivf_near_find_all(struct mpivf_near *near)
{
    const struct mpivf_par *par = near->par;
    struct mpivf_coarse *coarse = near->coarse;
    size_t first, n = share_of(par, coarse->lists, &first);
    mpivf_status status = MPIVF_OK;
    for (size_t at = 0; at < n && status == MPIVF_OK; at += STEP)
        status = mpivf_coarse_probe(coarse, coarse->centroid + (first + at) * coarse->dim,
                                    n - at < STEP ? n - at : STEP, near->each,
                                    near->mine + at * near->each, NULL);
    status = mpivf_agree_all(par, status);
    if (status == MPIVF_OK)
        mpivf_allgather_all(par, near->mine, n * near->each * sizeof *near->mine, near->list);
    return status;
}
