#include "build/balance.h"

#include "base/then.h"
#include "build/near.h"
#include "build/repair.h"
#include "build/seeds.h"

#include <string.h>

enum { ROUNDS = 24, LOCAL = 4, TRIES = 4, DENSE = 64 };

/* A round of cutting. */
struct cut {
    uint64_t *first;  /* owned, [lists + 1]: seeds of each list */
    uint64_t *size;   /* owned, [lists]: rows of the sample */
    uint64_t *weight; /* owned, [lists]: as how many they count, mpivf_repair_weights */
    uint8_t *tries;   /* owned, [lists]: rounds in which it was cut and hardly shrank */
    size_t lists, seeds, added;
};

static mpivf_status
cut_init_all(const struct mpivf_lloyd *lloyd, struct cut *cut)
{
    struct mpivf_context *ctx = lloyd->par->ctx;
    *cut = (struct cut){.lists = lloyd->coarse->lists};
    cut->first = mpivf_alloc_zero(ctx, "list sizes", cut->lists + 1, sizeof *cut->first);
    cut->size = mpivf_alloc_zero(ctx, "list sizes", cut->lists, sizeof *cut->size);
    cut->weight = mpivf_alloc_zero(ctx, "list sizes", cut->lists, sizeof *cut->weight);
    cut->tries = mpivf_alloc_zero(ctx, "list sizes", cut->lists, sizeof *cut->tries);
    bool room = cut->first && cut->size && cut->weight && cut->tries;
    return mpivf_agree_all(lloyd->par, room ? MPIVF_OK : MPIVF_MEMORY);
}

static void
cut_clear(struct mpivf_context *ctx, struct cut *cut)
{
    mpivf_free(ctx, cut->first);
    mpivf_free(ctx, cut->size);
    mpivf_free(ctx, cut->weight);
    mpivf_free(ctx, cut->tries);
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

/* Give the quantizer more lists: the first seed of a list takes its place, the others come last. */
static void
place_seeds(const struct cut *cut, const float *seed, struct mpivf_coarse *coarse)
{
    size_t bytes = coarse->dim * sizeof *seed, next = cut->lists;
    for (size_t l = 0; l < cut->lists; l++)
        for (uint64_t s = cut->first[l]; s < cut->first[l + 1]; s++)
            memcpy(coarse->centroid + (s == cut->first[l] ? l : next++) * coarse->dim,
                   seed + s * coarse->dim, bytes);
}

static mpivf_status
grow_all(struct mpivf_lloyd *lloyd, const struct cut *cut, uint64_t seed)
{
    const struct mpivf_par *par = lloyd->par;
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_coarse *coarse = lloyd->coarse, grown;
    size_t dim = coarse->dim;
    struct mpivf_seeds seeds = {lloyd->sample, MPIVF_SAMPLE_ALL, seed,
                                cut->lists,    lloyd->list,      cut->first};
    mpivf_lloyd_shed(lloyd);
    float *row = mpivf_alloc(ctx, "the seeds", par->rank == 0 ? cut->seeds * dim : 0, sizeof *row);
    mpivf_status status =
        mpivf_coarse_init(ctx, &grown, coarse->metric, cut->lists + cut->added, dim);
    status = mpivf_agree_all(par, row ? status : MPIVF_MEMORY);
    THEN(status, mpivf_seeds_all(par, &seeds, row));
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
    struct mpivf_context *ctx = lloyd->par->ctx;
    struct cut before = {0};
    mpivf_status status = MPIVF_OK;
    *balanced = (struct mpivf_balanced){0};
    for (bool more = true; more && status == MPIVF_OK;) {
        struct cut cut;
        status = cut_init_all(lloyd, &cut);
        THEN(status, count_all(lloyd, &cut));
        if (status == MPIVF_OK) {
            balanced->largest = 0;
            for (size_t l = 0; l < cut.lists; l++)
                balanced->largest =
                    cut.size[l] > balanced->largest ? cut.size[l] : balanced->largest;
            plan_cuts(&cut, &before, max);
            more = cut.added > 0 && balanced->rounds < ROUNDS;
        }
        if (status == MPIVF_OK && more) {
            status = grow_all(lloyd, &cut, seed + ++balanced->rounds);
            balanced->added += cut.added;
            THEN(status, settle_all(lloyd));
        }
        cut_clear(ctx, &before);
        before = cut;
    }
    cut_clear(ctx, &before);
    return status;
}
