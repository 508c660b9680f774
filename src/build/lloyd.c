#include "build/lloyd.h"

#include "build/repair.h"
#include "math/distance.h"
#include "math/kernel.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <string.h>

static int64_t *
counts(const struct mpivf_lloyd *lloyd)
{
    return lloyd->sum + lloyd->coarse->lists * lloyd->coarse->dim;
}

/*
 * [2, lists]: how far the rows are from the origin, squared, in coarse steps and the rest in fine.
 */
static int64_t *
squares(const struct mpivf_lloyd *lloyd, int64_t *sum)
{
    return sum + lloyd->coarse->lists * (lloyd->coarse->dim + 1);
}

/* How much sums, counts and squares take. */
static size_t
numbers(const struct mpivf_lloyd *lloyd)
{
    return lloyd->coarse->lists * (lloyd->coarse->dim + 3);
}

/*
 * The largest power of two by which `total` values up to `max` can be summed in int64, and one
 * value stays below 2^51.
 */
static double
fixed_point_scale(uint64_t total, double max)
{
    int bits_total, max_bits;
    frexp((double)total, &bits_total);
    frexp(max, &max_bits);
    int shift = 62 - (bits_total > 11 ? bits_total : 11) - max_bits;
    return ldexp(1.0, shift > 1000 ? 1000 : shift);
}

static void
lay_out_sums(struct mpivf_lloyd *lloyd, struct mpivf_pool *pool, bool root)
{
    size_t n = numbers(lloyd);
    lloyd->sum = mpivf_pool_take(pool, n, sizeof *lloyd->sum);
    lloyd->whole = mpivf_pool_take(pool, root ? n : 0, sizeof *lloyd->whole);
    lloyd->origin = mpivf_pool_take(pool, lloyd->coarse->dim, sizeof *lloyd->origin);
}

static void
lay_out_groups(struct mpivf_lloyd *lloyd, struct mpivf_pool *pool)
{
    lloyd->start = mpivf_pool_take(pool, lloyd->coarse->lists + 1, sizeof *lloyd->start);
}

size_t
mpivf_lloyd_bytes(size_t lists)
{
    struct mpivf_coarse coarse = {.lists = lists};
    struct mpivf_lloyd lloyd = {.coarse = &coarse};
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out_groups(&lloyd, &pool);
    return pool.bytes;
}

size_t
mpivf_lloyd_sums_bytes(size_t lists, size_t dim, bool root)
{
    struct mpivf_coarse coarse = {.lists = lists, .dim = dim};
    struct mpivf_lloyd lloyd = {.coarse = &coarse};
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out_sums(&lloyd, &pool, root);
    return pool.bytes;
}

mpivf_status
mpivf_lloyd_room(struct mpivf_lloyd *lloyd)
{
    lloyd->pool = mpivf_pool_taking(lloyd->par->ctx, "the training");
    lay_out_groups(lloyd, &lloyd->pool);
    return mpivf_pool_status(&lloyd->pool);
}

void
mpivf_lloyd_forget(struct mpivf_lloyd *lloyd)
{
    mpivf_pool_clear(&lloyd->sums);
    lloyd->sum = lloyd->whole = NULL;
    lloyd->origin = NULL;
    lloyd->summed = 0;
}

void
mpivf_lloyd_clear(struct mpivf_lloyd *lloyd)
{
    mpivf_lloyd_forget(lloyd);
    mpivf_pool_clear(&lloyd->pool);
    lloyd->start = NULL;
}

/* The sums come with the first iteration, when what the seeds took is free again. */
static mpivf_status
have_sums_all(struct mpivf_lloyd *lloyd)
{
    const struct mpivf_par *par = lloyd->par;
    size_t dim = lloyd->coarse->dim;
    if (lloyd->sum)
        return MPIVF_OK;
    lloyd->sums = mpivf_pool_taking(par->ctx, "the sums of the training");
    lay_out_sums(lloyd, &lloyd->sums, par->rank == 0);
    mpivf_status status = mpivf_agree_all(par, mpivf_pool_status(&lloyd->sums));
    if (status == MPIVF_OK && par->rank == 0)
        memset(lloyd->whole, 0, numbers(lloyd) * sizeof *lloyd->whole);
    /* any point about the rows, the same on all ranks */
    for (size_t j = 0; j < dim && status == MPIVF_OK; j++)
        lloyd->origin[j] = lloyd->spherical ? 0 : lloyd->coarse->centroid[j];
    return status;
}

mpivf_status
mpivf_lloyd_init_all(struct mpivf_lloyd *lloyd)
{
    const struct mpivf_par *par = lloyd->par;
    size_t dim = lloyd->coarse->dim;
    double max = mpivf_max_all(par, lloyd->sample->max);
    uint64_t total = mpivf_sum_u64_all(par, mpivf_sample_rows(lloyd->sample, MPIVF_SAMPLE_ALL));
    lloyd->scale = fixed_point_scale(total, max);
    /* centroids that go 1.5 times the way are within 3 times the largest value, or little more */
    lloyd->coarse_scale =
        fixed_point_scale(total, lloyd->spherical ? 2.0 : (double)dim * 16.0 * max * max);
    lloyd->fine_scale = lloyd->coarse_scale * fixed_point_scale(total, 1);
    for (size_t i = 0; i < lloyd->sample->first[MPIVF_SAMPLE_LEVELS]; i++)
        lloyd->sample->list[i] = MPIVF_COARSE_NONE;
    return mpivf_agree_all(par, mpivf_lloyd_room(lloyd));
}

const int64_t *
mpivf_lloyd_counts(const struct mpivf_lloyd *lloyd)
{
    return lloyd->whole + lloyd->coarse->lists * lloyd->coarse->dim;
}

/* ---- sums ---- */

/* Fill order and start: the block's rows by group, group_of[list] or the list itself. */
static void
sort_by_group(struct mpivf_lloyd *lloyd, const uint32_t *list, size_t n, const uint32_t *group_of,
              size_t groups)
{
    uint64_t *start = lloyd->start;
    memset(start, 0, (groups + 1) * sizeof *start);
    for (size_t i = 0; i < n; i++)
        start[group_of ? group_of[list[i]] : list[i]]++;
    uint64_t end = 0;
    for (size_t g = 0; g <= groups; g++)
        start[g] = end += start[g];
    for (size_t i = n; i-- > 0;) /* from the back: a group's rows keep their order */
        lloyd->sample->order[--start[group_of ? group_of[list[i]] : list[i]]] = (uint32_t)i;
}

/* Count row i in its new list and no longer in its old one; several threads may, of other rows. */
static void
count_row(const struct mpivf_lloyd *lloyd, const float *row, const uint32_t *list, size_t i)
{
    size_t dim = lloyd->coarse->dim;
    int64_t *count = counts(lloyd), *coarse = squares(lloyd, lloyd->sum);
    int64_t *fine = coarse + lloyd->coarse->lists;
    uint32_t old = lloyd->sample->old[i];
    if (list[i] == old)
        return;
    double distance = mpivf_distance(MPIVF_L2, row + i * dim, 0, lloyd->origin, dim);
    int64_t far = llrint(lloyd->coarse_scale * distance);
    int64_t left = llrint(lloyd->fine_scale * (distance - (double)far / lloyd->coarse_scale));
#pragma omp atomic
    count[list[i]]++;
#pragma omp atomic
    coarse[list[i]] += far;
#pragma omp atomic
    fine[list[i]] += left;
    if (old == MPIVF_COARSE_NONE)
        return;
#pragma omp atomic
    count[old]--;
#pragma omp atomic
    coarse[old] -= far;
#pragma omp atomic
    fine[old] -= left;
}

/* Move row i, columns first to first + n, from the sums of its old list to those of its new one. */
static void
move_row(struct mpivf_lloyd *lloyd, const float *row, const uint32_t *list, size_t i, size_t first,
         size_t n)
{
    const struct mpivf_kernel *kernel = mpivf_kernel();
    size_t dim = lloyd->coarse->dim;
    const float *at = row + i * dim + first;
    uint32_t old = lloyd->sample->old[i];
    if (list[i] == old)
        return;
    kernel->add(at, n, lloyd->scale, lloyd->sum + list[i] * dim + first);
    if (old != MPIVF_COARSE_NONE)
        kernel->add(at, n, -lloyd->scale, lloyd->sum + old * dim + first);
}

/* Move the block's rows from the sums of their old lists to those of their new ones. */
static void
add_up(struct mpivf_lloyd *lloyd, const float *row, const uint32_t *list, size_t n)
{
    enum { ROWS = 256 }; /* that stay in a cache */
    size_t dim = lloyd->coarse->dim;
#pragma omp parallel num_threads(lloyd->coarse->threads)
    { /* of sums each thread has its own columns */
        size_t first = mpivf_share_first(dim, omp_get_thread_num(), omp_get_num_threads());
        size_t wide =
            mpivf_share_first(dim, omp_get_thread_num() + 1, omp_get_num_threads()) - first;
        for (size_t from = 0; from < n; from += ROWS) {
            size_t to = n - from < ROWS ? n : from + ROWS;
#pragma omp for schedule(static) nowait
            for (size_t i = from; i < to; i++)
                count_row(lloyd, row, list, i);
            for (size_t i = from; i < to; i++)
                move_row(lloyd, row, list, i, first, wide);
        }
    }
}

/* On rank 0: add what has changed to what was. */
static void
join_changes(struct mpivf_lloyd *lloyd)
{
    size_t n = numbers(lloyd);
#pragma omp parallel for num_threads(lloyd->coarse->threads)
    for (size_t i = 0; i < n; i++)
        lloyd->whole[i] += lloyd->sum[i];
}

double
mpivf_lloyd_square(const struct mpivf_lloyd *lloyd, size_t l)
{
    const int64_t *square = squares(lloyd, lloyd->whole);
    return (double)square[l] / lloyd->coarse_scale +
           (double)square[lloyd->coarse->lists + l] / lloyd->fine_scale;
}

double
mpivf_lloyd_zeros(const struct mpivf_lloyd *lloyd, size_t l)
{
    double n = (double)mpivf_lloyd_counts(lloyd)[l];
    return lloyd->spherical ? fmax(0, floor(n - mpivf_lloyd_square(lloyd, l) + 0.5)) : 0;
}

/*
 * On rank 0: the sum of the distances of the rows of list l to its centroid, from the sum S of its
 * n rows and the squares alone; what may be the rounding of rows that all lie on it is 0. With x
 * and c taken from the origin, the sum of |x - c|^2 is that of |x|^2 plus n |c|^2 - 2 <S, c>. Of
 * unit vectors it is half of that, which is 1 - <x, c> without the rounding of lengths to float32;
 * zeros are at 1.
 */
static double
distance_sum(const struct mpivf_lloyd *lloyd, size_t l)
{
    size_t dim = lloyd->coarse->dim;
    const float *centroid = lloyd->coarse->centroid + l * dim;
    const int64_t *sum = lloyd->whole + l * dim;
    double zeros = mpivf_lloyd_zeros(lloyd, l), n = (double)mpivf_lloyd_counts(lloyd)[l] - zeros;
    double all = mpivf_lloyd_square(lloyd, l), value = all;
    for (size_t j = 0; j < dim && n > 0; j++) {
        double s = (double)sum[j] / lloyd->scale, m = (double)lloyd->origin[j];
        double c = (double)centroid[j] - m;
        value += c * (n * c - 2 * (s - n * m));
    }
    value = value > MPIVF_LLOYD_ROUNDING * all ? value : 0;
    return lloyd->spherical ? value / 2 + zeros : value;
}

/* On rank 0: the mean distance of the rows to their centroids. */
static double
objective_of(const struct mpivf_lloyd *lloyd, uint64_t rows)
{
    size_t lists = lloyd->coarse->lists;
    double *value = (double *)(void *)lloyd->sum, total = 0; /* added up in their order */
#pragma omp parallel for num_threads(lloyd->coarse->threads)
    for (size_t l = 0; l < lists; l++)
        value[l] = distance_sum(lloyd, l);
    for (size_t l = 0; l < lists; l++)
        total += value[l];
    return total / (double)rows;
}

/* On rank 0: take each list that has rows `relaxation` times the way to its mean. */
static void
move_centroids(struct mpivf_lloyd *lloyd, double relaxation)
{
    size_t dim = lloyd->coarse->dim;
#pragma omp parallel for num_threads(lloyd->coarse->threads)
    for (size_t l = 0; l < lloyd->coarse->lists; l++) {
        float *centroid = lloyd->coarse->centroid + l * dim;
        const int64_t *sum = lloyd->whole + l * dim;
        double size = (double)mpivf_lloyd_counts(lloyd)[l] * lloyd->scale, square = 0;
        for (size_t j = 0; j < dim && lloyd->spherical; j++)
            square += (double)sum[j] * (double)sum[j];
        size = lloyd->spherical ? sqrt(square) : size;
        for (size_t j = 0; j < dim && size > 0; j++) {
            double mean = (double)sum[j] / size;
            double far = mean + (relaxation - 1) * (mean - (double)centroid[j]);
            centroid[j] = (float)(fabs(far) <= FLT_MAX ? far : mean);
        }
        if (lloyd->spherical && size > 0)
            mpivf_normalise(centroid, dim, centroid);
    }
}

/* Rank 0's centroids to all ranks, prepared. */
static void
share_centroids_all(struct mpivf_lloyd *lloyd)
{
    struct mpivf_coarse *coarse = lloyd->coarse;
    mpivf_bcast_all(lloyd->par, coarse->centroid, coarse->lists * coarse->dim * sizeof(float));
    mpivf_coarse_refill(coarse);
}

/* Join the ranks' sums, move the centroids, and tell all. */
static void
update_all(struct mpivf_lloyd *lloyd, bool repair, struct mpivf_lloyd_step *step)
{
    const struct mpivf_par *par = lloyd->par;
    size_t lists = lloyd->coarse->lists;
    uint64_t rows = mpivf_sum_u64_all(par, mpivf_sample_rows(lloyd->sample, lloyd->level));
    *step = (struct mpivf_lloyd_step){0};
    mpivf_sum_to_root_all(par, lloyd->sum, numbers(lloyd));
    if (par->rank == 0) {
        join_changes(lloyd);
        step->objective = objective_of(lloyd, rows);
        step->rows = rows;
        for (size_t l = 0; l < lists; l++)
            step->empty += mpivf_lloyd_counts(lloyd)[l] == 0;
        if (!lloyd->still)
            move_centroids(lloyd, lloyd->relaxation);
        if (repair && !lloyd->still && step->empty > 0 && step->objective > 0)
            step->repaired = mpivf_repair_empty(lloyd);
    }
    mpivf_bcast_all(par, step, sizeof *step);
    share_centroids_all(lloyd);
}

/* Assign the rows of a block and sum what has changed; `candidates` NULL: all lists. */
static void
assign_block(struct mpivf_lloyd *lloyd, const struct mpivf_candidates *candidates,
             const uint32_t *group_of, const struct mpivf_sample_block *block)
{
    const struct mpivf_packed_queries *rows = block->rows;
    uint32_t *list = lloyd->sample->list + block->first;
    memcpy(lloyd->sample->old, list, rows->rows * sizeof *list);
    for (size_t i = 0; i < rows->rows && (int)block->level >= lloyd->summed; i++)
        lloyd->sample->old[i] = MPIVF_COARSE_NONE;
    if (candidates) {
        sort_by_group(lloyd, list, rows->rows, group_of, candidates->groups);
        mpivf_coarse_reassign_among(lloyd->coarse, candidates, rows, lloyd->sample->order,
                                    lloyd->start, list);
    } else {
        mpivf_coarse_reassign(lloyd->coarse, rows, list);
    }
    add_up(lloyd, rows->raw.f32, list, rows->rows);
}

static mpivf_status
iterate_all(struct mpivf_lloyd *lloyd, const struct mpivf_candidates *candidates,
            const uint32_t *group_of, double work, struct mpivf_lloyd_step *step)
{
    struct mpivf_sample *sample = lloyd->sample;
    size_t blocks = mpivf_sample_blocks(sample, lloyd->level);
    mpivf_status status = have_sums_all(lloyd);
    if (status)
        return status;
    memset(lloyd->sum, 0, numbers(lloyd) * sizeof *lloyd->sum);
    for (size_t b = 0; b < blocks && status == MPIVF_OK; b++) {
        struct mpivf_sample_block block;
        status = mpivf_sample_block(sample, b, &block);
        if (status == MPIVF_OK)
            assign_block(lloyd, candidates, group_of, &block);
    }
    lloyd->summed = (int)lloyd->level + 1;
    bool more;
    status = mpivf_round_all(lloyd->progress, status,
                             (uint64_t)(work * (double)mpivf_sample_rows(sample, lloyd->level)),
                             false, &more);
    if (status == MPIVF_OK)
        update_all(lloyd, candidates == NULL, step);
    return status;
}

mpivf_status
mpivf_lloyd_all(struct mpivf_lloyd *lloyd, double work, struct mpivf_lloyd_step *step)
{
    return iterate_all(lloyd, NULL, NULL, work, step);
}

double
mpivf_lloyd_settle_all(struct mpivf_lloyd *lloyd)
{
    const struct mpivf_par *par = lloyd->par;
    uint64_t rows = mpivf_sum_u64_all(par, mpivf_sample_rows(lloyd->sample, lloyd->level));
    double objective = 0;
    if (par->rank == 0) {
        move_centroids(lloyd, 1);
        objective = objective_of(lloyd, rows);
    }
    mpivf_bcast_all(par, &objective, sizeof objective);
    share_centroids_all(lloyd);
    return objective;
}

mpivf_status
mpivf_lloyd_among_all(struct mpivf_lloyd *lloyd, const struct mpivf_candidates *candidates,
                      const uint32_t *group_of, double work, struct mpivf_lloyd_step *step)
{
    return iterate_all(lloyd, candidates, group_of, work, step);
}
