#include "build/balance.h"

#include "base/compare.h"
#include "base/then.h"
#include "build/near.h"
#include "build/repair.h"
#include "build/seeds.h"
#include "math/distance.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 24, LOCAL = 4, TRIES = 4, DENSE = 64 };

/* A round of cutting. */
struct cut {
    uint64_t *first;  /* owned, [lists + 1]: seeds of each list */
    uint64_t *size;   /* owned, [lists]: rows of the sample */
    uint64_t *weight; /* owned, [lists]: as how many they count, mpivf_repair_weights */
    uint8_t *tries;   /* owned, [lists]: rounds in which it was cut and hardly shrank */
    size_t lists, seeds, added;
    struct mpivf_pool pool; /* of what is owned */
};

static void
lay_out(struct cut *cut, struct mpivf_pool *pool, size_t lists)
{
    *cut = (struct cut){.lists = lists};
    cut->first = mpivf_pool_take(pool, lists + 1, sizeof *cut->first);
    cut->size = mpivf_pool_take(pool, lists, sizeof *cut->size);
    cut->weight = mpivf_pool_take(pool, lists, sizeof *cut->weight);
    cut->tries = mpivf_pool_take(pool, lists, sizeof *cut->tries);
}

static mpivf_status
cut_init_all(const struct mpivf_lloyd *lloyd, struct cut *cut)
{
    struct mpivf_pool pool = mpivf_pool_taking(lloyd->par->ctx, "list sizes");
    lay_out(cut, &pool, lloyd->coarse->lists);
    cut->pool = pool;
    if (!pool.failed)
        cut->first[0] = 0;
    return mpivf_agree_all(lloyd->par, mpivf_pool_status(&pool));
}

/* A round of cutting, beside the quantizer and the sizes of lists. */
static size_t
rest_bytes(enum mpivf_metric metric, size_t lists, size_t added, size_t dim, int threads, bool root)
{
    size_t grown = lists + added, seeds = 2 * added; /* a list that is cut has two at least */
    size_t now = mpivf_coarse_bytes(lists, dim, threads);
    size_t more = mpivf_coarse_bytes(grown, dim, threads);
    size_t grow = more + mpivf_alloc_bytes(root ? seeds * dim * sizeof(float) : 0) +
                  mpivf_seeds_bytes(seeds, dim, root);
    size_t settle = more - now + mpivf_lloyd_bytes(grown) +
                    mpivf_lloyd_sums_bytes(grown, dim, root) +
                    mpivf_near_bytes(metric, grown, dim, threads);
    return mpivf_larger(grow, settle);
}

size_t
mpivf_balance_bytes(enum mpivf_metric metric, size_t lists, size_t added, size_t dim, int threads,
                    bool root)
{
    struct cut cut;
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(&cut, &pool, lists + added);
    lay_out(&cut, &pool, lists + added); /* and those of the round before */
    return pool.bytes + rest_bytes(metric, lists, added, dim, threads, root);
}

/* Count the rows of each list, on every rank; the centroids stay. */
static mpivf_status
count_all(struct mpivf_lloyd *lloyd, struct cut *cut)
{
    const struct mpivf_par *par = lloyd->par;
    struct mpivf_lloyd_step step;
    lloyd->still = true;
    mpivf_status status = mpivf_lloyd_all(lloyd, 0, &step);
    lloyd->still = false;
    if (status)
        return status;
    if (par->rank == 0) {
        mpivf_repair_weights(lloyd, cut->weight);
        for (size_t l = 0; l < cut->lists; l++)
            cut->size[l] = (uint64_t)mpivf_lloyd_counts(lloyd)[l];
    }
    mpivf_bcast_all(par, cut->size, cut->lists * sizeof *cut->size);
    mpivf_bcast_all(par, cut->weight, cut->lists * sizeof *cut->weight);
    return MPIVF_OK;
}

/*
 * Into how many to cut a list. Where rows hardly differ, nearly all may be equal: it is tried with
 * few, then with more.
 */
static uint64_t
parts_of(const struct cut *cut, size_t l, uint64_t max)
{
    uint64_t size = cut->size[l], weight = cut->weight[l], parts = (size + max - 1) / max;
    uint64_t few = (weight > 2 * max ? weight / max : 2) << cut->tries[l];
    if (weight == 0 || cut->tries[l] == TRIES)
        return 1;
    return weight < size / DENSE && few < parts ? few : parts;
}

/*
 * How many centroids each list becomes: enough for its rows when they spread evenly. `before` are
 * the round before: a list that was cut again and again and hardly shrank is left alone. Once is
 * little: rows come over from the lists around it.
 */
static void
plan_cuts(struct cut *cut, const struct cut *before, uint64_t max)
{
    cut->seeds = cut->added = 0;
    for (size_t l = 0; l < cut->lists; l++) {
        bool known = l < before->lists, was_cut = known && before->first[l + 1] > before->first[l];
        bool shrank = was_cut && cut->size[l] <= before->size[l] - before->size[l] / 8;
        cut->tries[l] = known && !shrank ? before->tries[l] + was_cut : 0;
        uint64_t parts = parts_of(cut, l, max);
        if (parts > 1 && cut->lists + cut->added + parts - 1 <= MPIVF_MAX_LISTS) {
            cut->seeds += parts;
            cut->added += parts - 1;
        }
        cut->first[l + 1] = cut->seeds;
    }
}

/*
 * Give the quantizer more lists: the first seed of a list takes its place, the others come last.
 * Where there are many columns, a mean is nearer to most rows than any other row is: a centroid on
 * a row would lose all others to the means of the lists around it. So a seed goes towards the mean
 * of its list. Where columns are independent, one row in six is nearer to a seed at 2 / sqrt(dim)
 * of the way from the mean than to the mean.
 */
static void
place_seeds(const struct cut *cut, float *seed, struct mpivf_coarse *coarse)
{
    size_t dim = coarse->dim, next = cut->lists;
    float way = fminf(1, 2 / sqrtf((float)dim)); /* from the mean */
    for (size_t l = 0; l < cut->lists; l++) {
        float *mean = coarse->centroid + l * dim;
        uint64_t first = cut->first[l], end = cut->first[l + 1];
        for (uint64_t s = first; s < end; s++) {
            float *one = seed + s * dim;
            for (size_t j = 0; j < dim; j++)
                one[j] = mean[j] + way * (one[j] - mean[j]);
            if (coarse->metric != MPIVF_L2)
                mpivf_normalise(one, dim, one);
            if (s > first)
                memcpy(coarse->centroid + next++ * dim, one, dim * sizeof *one);
        }
        if (first < end) /* last: the others are drawn in to the mean */
            memcpy(mean, seed + first * dim, dim * sizeof *mean);
    }
}

static mpivf_status
grow_all(struct mpivf_lloyd *lloyd, const struct cut *cut, uint64_t seed)
{
    const struct mpivf_par *par = lloyd->par;
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_coarse *coarse = lloyd->coarse, grown;
    size_t dim = coarse->dim;
    struct mpivf_seeds seeds = {lloyd->sample, MPIVF_SAMPLE_ALL,    seed,
                                cut->lists,    lloyd->sample->list, cut->first};
    /* the sums go: rows come to new lists */
    mpivf_lloyd_clear(lloyd);
    mpivf_status status = mpivf_memory_plan(
        ctx, "cutting lists",
        rest_bytes(coarse->metric, cut->lists, cut->added, dim, ctx->threads, par->rank == 0), 0,
        "ask for a larger --max-list", NULL);
    status = mpivf_agree_all(par, status);
    if (status)
        return status;
    float *row = mpivf_alloc(ctx, "the seeds", par->rank == 0 ? cut->seeds * dim : 0, sizeof *row);
    status = mpivf_coarse_init(ctx, &grown, coarse->metric, cut->lists + cut->added, dim);
    status = mpivf_agree_all(par, row ? status : MPIVF_MEMORY);
    THEN(status, mpivf_seeds_all(par, &seeds, row));
    /* the quantizer moves into a larger one */
    if (status == MPIVF_OK) {
        memcpy(grown.centroid, coarse->centroid, cut->lists * dim * sizeof *row);
        memcpy(grown.centre, coarse->centre, dim * sizeof *row);
        if (par->rank == 0)
            place_seeds(cut, row, &grown);
        mpivf_bcast_all(par, grown.centroid, grown.lists * dim * sizeof *row);
        mpivf_coarse_refill(&grown);
        mpivf_coarse_clear(coarse);
        *coarse = grown;
        grown = (struct mpivf_coarse){.ctx = NULL}; /* moved */
        status = mpivf_agree_all(par, mpivf_lloyd_room(lloyd));
    }
    mpivf_coarse_clear(&grown);
    mpivf_free(ctx, row);
    return status;
}

/* Let the new lists find their places. */
static mpivf_status
settle_all(struct mpivf_lloyd *lloyd)
{
    struct mpivf_near near;
    struct mpivf_lloyd_step step;
    mpivf_status status = mpivf_near_init_all(&near, lloyd->par, lloyd->coarse);
    THEN(status, mpivf_near_find_all(&near));
    for (int i = 0; i < LOCAL && status == MPIVF_OK; i++)
        status = mpivf_lloyd_among_all(lloyd, &near.candidates, NULL, 0, &step);
    mpivf_near_clear(&near);
    THEN(status, mpivf_lloyd_all(lloyd, 0, &step));
    return status;
}

mpivf_status
mpivf_balance_all(struct mpivf_lloyd *lloyd, uint64_t seed, uint64_t max,
                  struct mpivf_balanced *balanced)
{
    struct cut before = {0};
    mpivf_status status = MPIVF_OK;
    *balanced = (struct mpivf_balanced){0};
    for (bool more = true; more && status == MPIVF_OK;) {
        struct cut cut;
        /* count, decide, cut, let rows find the new lists; the same on all ranks */
        status = cut_init_all(lloyd, &cut);
        THEN(status, count_all(lloyd, &cut));
        if (status == MPIVF_OK) {
            balanced->largest = 0;
            for (size_t l = 0; l < cut.lists; l++)
                balanced->largest =
                    cut.size[l] > balanced->largest ? cut.size[l] : balanced->largest;
            /* rows go over into lists around theirs: cut what is about to be too large as well */
            plan_cuts(&cut, &before,
                      balanced->rounds > 0 && balanced->largest > max ? max - max / 8 : max);
            more = cut.added > 0 && balanced->rounds < ROUNDS;
        }
        if (status == MPIVF_OK && more) {
            status = grow_all(lloyd, &cut, seed + ++balanced->rounds);
            balanced->added += cut.added;
            THEN(status, settle_all(lloyd));
        }
        mpivf_pool_clear(&before.pool);
        before = cut;
    }
    mpivf_pool_clear(&before.pool);
    return status;
}
