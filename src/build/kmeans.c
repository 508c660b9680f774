#include "build/kmeans.h"

#include "base/rng.h"
#include "build/smallest.h"
#include "math/distance.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* Sums are int64 multiples of 1 / scale, so that they are exact and the same in any order. */
struct kmeans {
    const struct mpivf_par *par;
    const struct mpivf_sample *sample;
    struct mpivf_coarse *coarse;
    bool spherical;
    uint64_t total; /* sampled rows of all ranks */
    double scale, objective_scale;
    uint32_t *list;    /* owned, [sample->rows] */
    double *distance;  /* owned, [sample->rows] */
    int64_t *sum;      /* owned: [lists, dim] sums, [lists] counts, [1] objective */
};

static int64_t *
counts(const struct kmeans *km)
{
    return km->sum + km->coarse->lists * km->coarse->dim;
}

static int64_t *
objective(const struct kmeans *km)
{
    return counts(km) + km->coarse->lists;
}

/* The largest power of two by which `total` values up to `most` can be summed in int64. */
static double
fixed_point_scale(uint64_t total, double most)
{
    int bits_total, bits_most;
    frexp((double)total, &bits_total);
    frexp(most, &bits_most);
    int shift = 62 - bits_total - bits_most;
    return ldexp(1.0, shift > 1000 ? 1000 : shift);
}

static mpivf_status
kmeans_init_all(struct kmeans *km)
{
    const struct mpivf_par *par = km->par;
    const struct mpivf_sample *sample = km->sample;
    struct mpivf_context *ctx = par->ctx;
    size_t dim = km->coarse->dim;
    double most = 0;
    for (size_t i = 0; i < sample->rows * dim; i++)
        most = fmax(most, fabs((double)sample->row[i]));
    most = mpivf_max_all(par, most);
    km->total = mpivf_total_all(par, sample->rows);
    km->scale = fixed_point_scale(km->total, most);
    km->objective_scale =
        fixed_point_scale(km->total, km->spherical ? 2.0 : 4.0 * (double)dim * most * most);
    km->list = mpivf_alloc(ctx, "the training", sample->rows, sizeof *km->list);
    km->distance = mpivf_alloc(ctx, "the training", sample->rows, sizeof *km->distance);
    return mpivf_agree_all(par, km->list && km->distance ? MPIVF_OK : MPIVF_MEMORY);
}

/* ---- the first centroids ---- */

struct seeding {
    uint64_t seed;
    const uint64_t *key;
};

static uint64_t
seed_hash(void *arg, size_t i)
{
    const struct seeding *s = arg;
    return mpivf_random(s->seed, MPIVF_FOR_SEEDS, s->key[i]);
}

struct seeded {
    uint64_t hash;
    size_t from;
};

static int
by_hash(const void *a, const void *b)
{
    const struct seeded *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* On rank 0: centroids in the order of their hashes, whatever ranks they came from. */
static void
order_seeds(struct mpivf_coarse *coarse, struct seeded *order, const uint64_t *hash, const float *row)
{
    size_t bytes = coarse->dim * sizeof(float);
    for (size_t i = 0; i < coarse->lists; i++)
        order[i] = (struct seeded){hash[i], i};
    qsort(order, coarse->lists, sizeof *order, by_hash);
    for (size_t i = 0; i < coarse->lists; i++)
        memcpy(coarse->centroid + i * coarse->dim, row + order[i].from * coarse->dim, bytes);
}

/* The sampled rows with the `lists` smallest hashes. Collective. */
static mpivf_status
seed_all(struct kmeans *km, uint64_t seed)
{
    const struct mpivf_par *par = km->par;
    const struct mpivf_sample *sample = km->sample;
    struct mpivf_context *ctx = par->ctx;
    size_t lists = km->coarse->lists, dim = km->coarse->dim, mine = 0;
    struct seeding seeding = {seed, sample->key};
    uint64_t last = mpivf_smallest_all(par, seed_hash, &seeding, sample->rows, lists);
    for (size_t i = 0; i < sample->rows; i++)
        mine += seed_hash(&seeding, i) <= last;

    size_t all = par->rank == 0 ? lists : 0;
    uint64_t *hash = mpivf_alloc(ctx, "the seeds", mine + all, sizeof *hash);
    float *row = mpivf_alloc(ctx, "the seeds", (mine + all) * dim, sizeof *row);
    struct seeded *order = mpivf_alloc(ctx, "the seeds", all, sizeof *order);
    mpivf_status status = mpivf_agree_all(par, hash && row && order ? MPIVF_OK : MPIVF_MEMORY);
    if (status == MPIVF_OK) {
        size_t n = 0;
        for (size_t i = 0; i < sample->rows; i++) {
            uint64_t h = seed_hash(&seeding, i);
            if (h > last)
                continue;
            hash[all + n] = h;
            memcpy(row + (all + n) * dim, sample->row + i * dim, dim * sizeof *row);
            n++;
        }
        mpivf_gather_to_root_all(par, hash + all, mine * sizeof *hash, hash);
        mpivf_gather_to_root_all(par, row + all * dim, mine * dim * sizeof *row, row);
        if (par->rank == 0)
            order_seeds(km->coarse, order, hash, row);
        mpivf_bcast_all(par, km->coarse->centroid, lists * dim * sizeof(float));
        mpivf_coarse_ready(km->coarse);
    }
    mpivf_free(ctx, hash);
    mpivf_free(ctx, row);
    mpivf_free(ctx, order);
    return status;
}

/* ---- an iteration ---- */

/* Sum this rank's rows by list; each thread has its own columns. */
static void
add_up(struct kmeans *km)
{
    const struct mpivf_sample *sample = km->sample;
    size_t dim = km->coarse->dim;
    memset(km->sum, 0, (km->coarse->lists * (dim + 1) + 1) * sizeof *km->sum);
    for (size_t i = 0; i < sample->rows; i++) {
        counts(km)[km->list[i]]++;
        *objective(km) += llrint(km->distance[i] * km->objective_scale);
    }
#pragma omp parallel num_threads(km->coarse->threads)
    {
        size_t first = mpivf_share_first(dim, omp_get_thread_num(), omp_get_num_threads());
        size_t end = mpivf_share_first(dim, omp_get_thread_num() + 1, omp_get_num_threads());
        for (size_t i = 0; i < sample->rows; i++) {
            int64_t *sum = km->sum + km->list[i] * dim;
            const float *row = sample->row + i * dim;
            for (size_t j = first; j < end; j++)
                sum[j] += llrint((double)row[j] * km->scale);
        }
    }
}

/* On rank 0: the mean of each list that has rows, of unit length when spherical. */
static void
move_centroids(struct kmeans *km)
{
    size_t dim = km->coarse->dim;
    for (size_t l = 0; l < km->coarse->lists; l++) {
        float *centroid = km->coarse->centroid + l * dim;
        const int64_t *sum = km->sum + l * dim;
        int64_t rows = counts(km)[l];
        for (size_t j = 0; j < dim && rows > 0; j++)
            centroid[j] = (float)((double)sum[j] / km->scale / (double)rows);
        if (km->spherical && rows > 0)
            mpivf_normalise(centroid, dim, centroid);
    }
}

/* On rank 0: give each empty list half of the largest. How many lists were empty. */
static uint64_t
repair_empty(struct kmeans *km)
{
    static const float NUDGE = 1.0f / 1024;
    size_t dim = km->coarse->dim, lists = km->coarse->lists;
    int64_t *count = counts(km);
    uint64_t repaired = 0;
    for (size_t empty = 0; empty < lists; empty++) {
        size_t largest = 0;
        if (count[empty] > 0)
            continue;
        for (size_t l = 1; l < lists; l++)
            if (count[l] > count[largest])
                largest = l;
        if (count[largest] < 2)
            break;
        float *to = km->coarse->centroid + empty * dim, *from = km->coarse->centroid + largest * dim;
        for (size_t j = 0; j < dim; j++) {
            float nudge = from[j] * (j % 2 ? NUDGE : -NUDGE);
            to[j] = from[j] + nudge;
            from[j] -= nudge;
        }
        if (km->spherical) {
            mpivf_normalise(to, dim, to);
            mpivf_normalise(from, dim, from);
        }
        count[empty] = count[largest] / 2;
        count[largest] -= count[empty];
        repaired++;
    }
    return repaired;
}

/* What rank 0 tells after an update. */
struct update {
    double objective;
    uint64_t repaired;
};

static struct update
update_all(struct kmeans *km)
{
    const struct mpivf_par *par = km->par;
    size_t lists = km->coarse->lists, dim = km->coarse->dim;
    struct update update = {0};
    mpivf_sum_to_root_all(par, km->sum, lists * (dim + 1) + 1);
    if (par->rank == 0) {
        double mean = (double)*objective(km) / km->objective_scale / (double)km->total;
        update.objective = km->spherical ? 1.0 + mean : mean;
        move_centroids(km);
        update.repaired = repair_empty(km);
    }
    mpivf_bcast_all(par, &update, sizeof update);
    mpivf_bcast_all(par, km->coarse->centroid, lists * dim * sizeof(float));
    mpivf_coarse_ready(km->coarse);
    return update;
}

mpivf_status
mpivf_kmeans_all(const struct mpivf_par *par, const struct mpivf_sample *sample,
                 const struct mpivf_train_options *options, struct mpivf_progress *progress,
                 struct mpivf_coarse *coarse, struct mpivf_trained *trained)
{
    struct kmeans km = {.par = par,
                        .sample = sample,
                        .coarse = coarse,
                        .spherical = options->metric != MPIVF_L2};
    double last = INFINITY;
    *trained = (struct mpivf_trained){.lists = coarse->lists};
    mpivf_status status = kmeans_init_all(&km);
    if (status == MPIVF_OK && km.total < coarse->lists)
        status = mpivf_fail(par->ctx, MPIVF_INPUT, "%llu usable rows were sampled for %zu lists; "
                            "ask for fewer --lists or a larger --sample",
                            (unsigned long long)km.total, coarse->lists);
    if (status == MPIVF_OK)
        status = seed_all(&km, options->seed);
    if (status == MPIVF_OK) { /* only now: on rank 0 the seeds took as much */
        size_t sums = coarse->lists * (coarse->dim + 1) + 1;
        km.sum = mpivf_alloc(par->ctx, "the sums of the training", sums, sizeof *km.sum);
        status = mpivf_agree_all(par, km.sum ? MPIVF_OK : MPIVF_MEMORY);
    }
    trained->sample = km.total;
    for (uint64_t i = 0; i < options->iterations && status == MPIVF_OK; i++) {
        status = mpivf_coarse_assign(coarse, sample->row, sample->rows, km.list, km.distance);
        bool more = true;
        status = mpivf_round_all(progress, status, sample->rows, &more);
        if (status)
            break;
        add_up(&km);
        struct update update = update_all(&km);
        trained->iterations = i + 1;
        trained->repaired += update.repaired;
        trained->objective = update.objective;
        if (i == 0)
            trained->first_objective = update.objective;
        if (i > 0 && update.repaired == 0 &&
            last - update.objective <= options->tolerance * last)
            break; /* all ranks hold the same numbers */
        last = update.objective;
    }
    mpivf_free(par->ctx, km.list);
    mpivf_free(par->ctx, km.distance);
    mpivf_free(par->ctx, km.sum);
    return status;
}
