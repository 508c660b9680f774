#include "index/coarse_parts.h"

#include "base/then.h"
#include "math/distance.h"

#include <string.h>

/* Good rows of n as they are compared; how many. */
static size_t
take_sample(const struct mpivf_coarse *coarse, const float *row, size_t n, float *sample)
{
    size_t dim = coarse->dim, good = 0;
    for (size_t i = 0; i < n && good < MPIVF_CHOOSE_QUERIES; i++, row += dim)
        if (mpivf_finite(row, dim)) {
            memcpy(sample + good * dim, row, dim * sizeof *row);
            if (coarse->metric != MPIVF_L2)
                mpivf_normalise(row, dim, sample + good * dim);
            good++;
        }
    return good;
}

/* Integers, and rows wide enough for axes? */
static bool
has_axes(const struct mpivf_coarse *coarse)
{
    return mpivf_filter_best(coarse->dim)->round && mpivf_projection_most(coarse->dim) > 0;
}

/* Centroids of the sample; others tell the axes. */
static size_t
sample_lists(const struct mpivf_coarse *coarse)
{
    size_t some = mpivf_choose_rows(coarse->dim);
    return coarse->lists / 2 < some ? coarse->lists / 2 : some;
}

size_t
mpivf_coarse_choose_bytes(const struct mpivf_coarse *coarse)
{
    const struct mpivf_filter *filter = mpivf_filter_best(coarse->dim);
    struct mpivf_coarse with = {.metric = coarse->metric,
                                .lists = coarse->lists,
                                .dim = coarse->dim,
                                .threads = coarse->threads};
    struct mpivf_pool pool = mpivf_pool_counting(), packed = pool, packed_with = pool;
    if (!has_axes(coarse))
        return 0;
    size_t scratch = mpivf_coarse_scratch_of(&with, 0);
    mpivf_coarse_lay_out_packed(&with, &packed);
    with.choice.first = (struct mpivf_first){
        filter, {.dim = coarse->dim, .axes = mpivf_projection_most(coarse->dim)}};
    mpivf_coarse_lay_out_packed(&with, &packed_with);
    scratch = mpivf_coarse_scratch_of(&with, 0) - scratch;
    mpivf_projection_lay_out(&with.choice.first.projection, &pool, coarse->dim);
    size_t sample = MPIVF_CHOOSE_QUERIES * coarse->dim * sizeof(float);
    size_t choose = mpivf_filter_choose_bytes(coarse->dim, sample_lists(coarse), coarse->threads);
    return pool.bytes + sample + choose + (packed_with.bytes - packed.bytes) + scratch;
}

bool
mpivf_coarse_is_large(const struct mpivf_coarse *coarse, uint64_t total)
{
    static const double LARGE = 1e11; /* multiply-adds: a second of one thread, about */
    double work = (double)total * (double)coarse->lists * (double)coarse->dim;
    size_t axes = mpivf_choose_axes();
    return has_axes(coarse) && axes > 0 && (axes < SIZE_MAX || work > LARGE);
}

mpivf_status
mpivf_coarse_choose(struct mpivf_coarse *coarse, const float *row, size_t n, uint64_t total)
{
    size_t dim = coarse->dim;
    struct mpivf_pool pool = mpivf_pool_taking(coarse->ctx, "a sample of rows");
    struct mpivf_pool packed_pool = mpivf_pool_taking(coarse->ctx, "the centroids");
    if (coarse->choice.filter || !has_axes(coarse)) /* it is chosen */
        return MPIVF_OK;
    float *sample = mpivf_pool_take(&pool, MPIVF_CHOOSE_QUERIES * dim, sizeof *sample);
    coarse->choice_pool = mpivf_pool_taking(coarse->ctx, "the axes of centroids");
    mpivf_projection_lay_out(&coarse->choice.first.projection, &coarse->choice_pool, dim);
    mpivf_status status = mpivf_pool_status(&pool);
    THEN(status, mpivf_pool_status(&coarse->choice_pool));
    if (status == MPIVF_OK) {
        struct mpivf_choose choose = {.metric = MPIVF_L2,
                                      .dim = dim,
                                      .k = 1,
                                      .total_rows = coarse->lists,
                                      .total_queries = total,
                                      .slab = coarse->lists,
                                      .query = mpivf_raw_of(false, sample),
                                      .row = mpivf_raw_of(false, coarse->centroid),
                                      .centre = mpivf_raw_of(false, coarse->centre),
                                      .queries = take_sample(coarse, row, n, sample),
                                      .rows = sample_lists(coarse),
                                      .present = coarse->lists,
                                      .only = coarse->packed.filter};
        status = mpivf_filter_choose(coarse->ctx, &choose, &coarse->choice);
    }
    mpivf_pool_clear(&pool);
    if (status) /* half a choice is none */
        coarse->choice.first.projection.axes = 0;
    if (status || mpivf_choice_first(&coarse->choice) == NULL)
        return status;
    /* the centroids once more, in both kinds of words */
    mpivf_pool_clear(&coarse->packed_pool);
    mpivf_coarse_lay_out_packed(coarse, &packed_pool);
    coarse->packed_pool = packed_pool;
    status = mpivf_pool_status(&packed_pool);
    if (status == MPIVF_OK)
        mpivf_coarse_refill(coarse);
    return status; /* without centroids, else */
}
