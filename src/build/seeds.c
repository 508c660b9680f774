#include "build/seeds.h"

#include "base/compare.h"
#include "base/rng.h"
#include "base/then.h"
#include "io/checksum.h"
#include "math/distance.h"
#include "math/kernel.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { MORE = 4 }; /* times as many hashes as seeds, about, at first */

/* A row that may become a seed, or the number of the seed that it is. */
struct candidate {
    uint64_t hash, group;
};

/* While seeds are chosen: this rank's candidates, and on rank 0 everybody's. */
struct choosing {
    struct candidate *own;    /* [mine] */
    struct candidate *joined; /* [all] */
    uint64_t *next;           /* [groups] */
};

static void
lay_out_choosing(struct choosing *c, struct mpivf_pool *pool, size_t mine, size_t all,
                 size_t groups)
{
    c->own = mpivf_pool_take(pool, mine, sizeof *c->own);
    c->joined = mpivf_pool_take(pool, all, sizeof *c->joined);
    c->next = mpivf_pool_take(pool, groups, sizeof *c->next);
}

/* While their rows are fetched: on rank 0 everybody's, and behind them this rank's. */
struct fetching {
    uint64_t *number; /* [rows] */
    float *row;       /* [rows, dim] */
};

static void
lay_out_fetching(struct fetching *f, struct mpivf_pool *pool, size_t rows, size_t dim)
{
    f->number = mpivf_pool_take(pool, rows, sizeof *f->number);
    f->row = mpivf_pool_take(pool, rows * dim, sizeof *f->row);
}

size_t
mpivf_seeds_bytes(size_t seeds, size_t dim, bool root)
{
    struct choosing choosing;
    struct fetching fetching;
    struct mpivf_pool first = mpivf_pool_counting(), second = mpivf_pool_counting();
    size_t hashes = 2 * MORE * seeds; /* when there were too few at first */
    lay_out_choosing(&choosing, &first, hashes, root ? hashes : 0, seeds);
    lay_out_fetching(&fetching, &second, root ? 2 * seeds : seeds, dim);
    return mpivf_alloc_bytes(seeds * sizeof(struct candidate)) +
           mpivf_larger(first.bytes, second.bytes);
}

static uint64_t
hash_of(const struct mpivf_seeds *s, size_t i)
{
    uint64_t key = s->sample->key[mpivf_sample_place(s->sample, i)];
    return mpivf_random(s->seed, MPIVF_FOR_SEEDS, key);
}

static int
by_hash(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash > y->hash ? 1 : -1;
    return (x->group > y->group) - (x->group < y->group);
}

/*
 * On rank 0: give the smallest hashes of each group the numbers of its seeds; chosen candidates
 * come first, with their numbers for groups, by hash. Are there enough of every group?
 */
static bool
choose(const struct mpivf_seeds *s, struct candidate *candidate, size_t n, uint64_t *next)
{
    size_t chosen = 0;
    for (size_t g = 0; g < s->groups; g++)
        next[g] = s->first[g];
    qsort(candidate, n, sizeof *candidate, by_hash);
    for (size_t i = 0; i < n; i++) {
        uint64_t g = candidate[i].group;
        if (next[g] < s->first[g + 1])
            candidate[chosen++] = (struct candidate){candidate[i].hash, next[g]++};
    }
    return chosen == s->first[s->groups];
}

/* Bring this rank's rows with hashes up to `last` to rank 0, and choose there. Collective. */
static mpivf_status
choose_all(const struct mpivf_par *par, const struct mpivf_seeds *s, uint64_t last,
           struct candidate *chosen, bool *enough)
{
    size_t rows = mpivf_sample_rows(s->sample, s->level), mine = 0;
    for (size_t i = 0; i < rows; i++)
        mine += hash_of(s, i) <= last;
    size_t total = mpivf_sum_u64_all(par, mine), all = par->rank == 0 ? total : 0;
    struct choosing c;
    struct mpivf_pool pool = mpivf_pool_taking(par->ctx, "the seeds");
    lay_out_choosing(&c, &pool, mine, all, s->groups);
    mpivf_status status = mpivf_agree_all(par, mpivf_pool_status(&pool));
    if (status == MPIVF_OK) {
        size_t n = 0;
        for (size_t i = 0; i < rows; i++) {
            uint64_t hash = hash_of(s, i);
            if (hash <= last)
                c.own[n++] = (struct candidate){
                    hash, s->group ? s->group[mpivf_sample_place(s->sample, i)] : 0};
        }
        mpivf_gather_all(par, c.own, mine * sizeof *c.own, c.joined);
        *enough = par->rank == 0 && choose(s, c.joined, all, c.next);
        for (size_t i = 0; *enough && i < s->first[s->groups]; i++)
            chosen[i] = c.joined[i];
        mpivf_bcast_all(par, enough, sizeof *enough);
        mpivf_bcast_all(par, chosen, s->first[s->groups] * sizeof *chosen);
    }
    mpivf_pool_clear(&pool);
    return status;
}

static const struct candidate *
find(const struct candidate *chosen, size_t n, uint64_t hash)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (chosen[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && chosen[low].hash == hash ? &chosen[low] : NULL;
}

/* Bring the first of each kind of seeds to the front of `order`. How many kinds there are. */
static size_t
find_kinds(const float *row, size_t dim, struct candidate *order, size_t n)
{
    size_t kinds = 0;
    uint64_t last = 0;
    for (size_t i = 0; i < n; i++)
        order[i] = (struct candidate){mpivf_checksum_of(row + i * dim, dim * sizeof *row), i};
    qsort(order, n, sizeof *order, by_hash);
    for (size_t i = 0; i < n; i++) {
        struct candidate one = order[i];
        if (i == 0 || one.hash != last) {
            order[i] = order[kinds];
            order[kinds++] = one;
        }
        last = one.hash;
    }
    return kinds;
}

/* Move a seed by up to 3/8 of a way in each column; `to` NULL: of its largest value. */
static void
move_seed(const struct mpivf_seeds *s, uint64_t number, const float *from, const float *to,
          float *seed)
{
    size_t dim = s->sample->dim;
    float largest = mpivf_kernel()->largest(seed, dim);
    for (size_t j = 0; j < dim; j++) {
        float part = 0.375f * mpivf_random_way(number, MPIVF_FOR_PARTING, j);
        float off = to ? part * to[j] - part * from[j] : part * (largest > 0 ? largest : 1);
        bool fits = fabsf(seed[j] + off) <= FLT_MAX; /* else the other way does */
        seed[j] += fits ? off : -off;
    }
    if (s->sample->metric != MPIVF_L2)
        mpivf_normalise(seed, dim, seed);
}

/*
 * On rank 0: a seed that is equal to one before it would never be any row's nearest, and cost each
 * as much as if it might be. `order`: room for all.
 */
static void
part_equal(const struct mpivf_seeds *s, struct candidate *order, float *row)
{
    size_t dim = s->sample->dim, n = s->first[s->groups], kinds = find_kinds(row, dim, order, n);
    for (size_t i = kinds; i < n; i++) {
        uint64_t number = order[i].group;
        uint64_t a = mpivf_random(s->seed, MPIVF_FOR_PARTING, 2 * number) % kinds;
        uint64_t b = mpivf_random(s->seed, MPIVF_FOR_PARTING, 2 * number + 1) % kinds;
        b = b == a ? (b + 1) % kinds : b;
        const float *from = row + order[a].group * dim, *to = row + order[b].group * dim;
        move_seed(s, number, from, kinds > 1 ? to : NULL, row + number * dim);
    }
}

/* Bring the chosen rows to rank 0 and put them into their places. Collective. */
static mpivf_status
fetch_all(const struct mpivf_par *par, const struct mpivf_seeds *s, const struct candidate *chosen,
          uint64_t last, float *row)
{
    size_t rows = mpivf_sample_rows(s->sample, s->level), dim = s->sample->dim, mine = 0;
    size_t seeds = s->first[s->groups], all = par->rank == 0 ? seeds : 0;
    /* which of the chosen rows are this rank's */
    for (size_t i = 0; i < rows; i++)
        mine += hash_of(s, i) <= last && find(chosen, seeds, hash_of(s, i));
    struct fetching f;
    struct mpivf_pool pool = mpivf_pool_taking(par->ctx, "the seeds");
    lay_out_fetching(&f, &pool, all + mine, dim);
    mpivf_status status = mpivf_pool_status(&pool);
    size_t n = 0;
    for (size_t i = 0; i < rows && status == MPIVF_OK; i++) {
        uint64_t hash = hash_of(s, i);
        const struct candidate *one = hash <= last ? find(chosen, seeds, hash) : NULL;
        if (one == NULL)
            continue;
        f.number[all + n] = one->group;
        status =
            mpivf_sample_row(s->sample, mpivf_sample_place(s->sample, i), f.row + (all + n) * dim);
        n++;
    }
    status = mpivf_agree_all(par, status);
    /* rank 0 puts all of them into their places */
    if (status == MPIVF_OK) {
        mpivf_gather_all(par, f.number + all, mine * sizeof *f.number, f.number);
        mpivf_gather_all(par, f.row + all * dim, mine * dim * sizeof *f.row, f.row);
        for (size_t i = 0; i < all; i++)
            for (size_t j = 0; j < dim; j++)
                row[f.number[i] * dim + j] = f.row[i * dim + j];
    }
    mpivf_pool_clear(&pool);
    return status;
}

mpivf_status
mpivf_seeds_all(const struct mpivf_par *par, const struct mpivf_seeds *seeds, float *row)
{
    struct mpivf_context *ctx = par->ctx;
    size_t count = seeds->first[seeds->groups],
           rows = mpivf_sample_rows(seeds->sample, seeds->level);
    struct candidate *chosen = mpivf_alloc(ctx, "the seeds", count, sizeof *chosen);
    mpivf_status status = mpivf_agree_all(par, chosen ? MPIVF_OK : MPIVF_MEMORY);
    bool enough = false;
    uint64_t last = 0, total = mpivf_sum_u64_all(par, rows);
    for (uint64_t wanted = MORE * count; status == MPIVF_OK && !enough; wanted *= 2) {
        /* a part of the hashes is a part of the rows, nearly */
        last = wanted < total ? (uint64_t)(((__uint128_t)wanted << 64) / total) : UINT64_MAX;
        status = choose_all(par, seeds, last, chosen, &enough);
        if (status == MPIVF_OK && !enough && wanted >= total)
            status = mpivf_fail(ctx, MPIVF_INTERNAL, "a group has fewer rows than seeds");
    }
    THEN(status, fetch_all(par, seeds, chosen, last, row));
    if (status == MPIVF_OK && par->rank == 0 && count > 0)
        part_equal(seeds, chosen, row);
    mpivf_free(ctx, chosen);
    return status;
}
