#include "build/lloyd.h"

#include "math/distance.h"
#include "math/kernel.h"

#include <math.h>
#include <omp.h>
#include <string.h>

static int64_t *
counts(const struct mpivf_lloyd *lloyd)
{
    return lloyd->sum + lloyd->coarse->lists * lloyd->coarse->dim;
}

static int64_t *
objective(const struct mpivf_lloyd *lloyd)
{
    return counts(lloyd) + lloyd->coarse->lists;
}

/*
 * The largest power of two by which `total` values up to `most` can be summed in int64, and one
 * value stays below 2^51.
 */
static double
fixed_point_scale(uint64_t total, double most)
{
    int bits_total, bits_most;
    frexp((double)total, &bits_total);
    frexp(most, &bits_most);
    int shift = 62 - (bits_total > 11 ? bits_total : 11) - bits_most;
    return ldexp(1.0, shift > 1000 ? 1000 : shift);
}

size_t
mpivf_lloyd_bytes(size_t lists, size_t dim, bool root)
{
    return (lists * (dim + 2) * (root ? 2 : 1) + 2) * sizeof(int64_t) + 4096;
}

/* The rows of the largest block. */
static size_t
most_rows(const struct mpivf_sample *sample)
{
    size_t most = 0;
    for (int l = 0; l < MPIVF_SAMPLE_LEVELS; l++)
        most = sample->rows[l] > most ? sample->rows[l] : most;
    return most < sample->block_rows ? most : sample->block_rows;
}

mpivf_status
mpivf_lloyd_room(struct mpivf_lloyd *lloyd)
{
    lloyd->start = mpivf_alloc(lloyd->par->ctx, "the training", lloyd->coarse->lists + 1,
                               sizeof *lloyd->start);
    lloyd->summed = false;
    return lloyd->start ? MPIVF_OK : MPIVF_MEMORY;
}

void
mpivf_lloyd_shed(struct mpivf_lloyd *lloyd)
{
    struct mpivf_context *ctx = lloyd->par->ctx;
    mpivf_free(ctx, lloyd->start);
    mpivf_free(ctx, lloyd->sum);
    mpivf_free(ctx, lloyd->whole);
    lloyd->start = NULL;
    lloyd->sum = lloyd->whole = NULL;
}

static mpivf_status
allocate(struct mpivf_lloyd *lloyd)
{
    static const char what[] = "the training";
    const struct mpivf_sample *sample = lloyd->sample;
    struct mpivf_context *ctx = lloyd->par->ctx;
    size_t block = most_rows(sample), places = sample->first[MPIVF_SAMPLE_LEVELS];
    lloyd->list = mpivf_alloc(ctx, what, places, sizeof *lloyd->list);
    lloyd->order = mpivf_alloc(ctx, what, block, sizeof *lloyd->order);
    lloyd->old = mpivf_alloc(ctx, what, block, sizeof *lloyd->old);
    lloyd->distance = mpivf_alloc(ctx, what, block, sizeof *lloyd->distance);
    if (!lloyd->list || !lloyd->order || !lloyd->old || !lloyd->distance)
        return MPIVF_MEMORY;
    for (size_t i = 0; i < places; i++)
        lloyd->list[i] = MPIVF_COARSE_NONE;
    return mpivf_lloyd_room(lloyd);
}

/* The sums come with the first iteration, when what the seeds took is free again. */
static mpivf_status
have_sums_all(struct mpivf_lloyd *lloyd)
{
    static const char what[] = "the sums of the training";
    struct mpivf_context *ctx = lloyd->par->ctx;
    size_t lists = lloyd->coarse->lists, dim = lloyd->coarse->dim;
    size_t whole = lloyd->par->rank == 0 ? lists * (dim + 1) : 0;
    if (lloyd->sum)
        return MPIVF_OK;
    lloyd->sum = mpivf_alloc(ctx, what, lists * (dim + 1) + 1, sizeof *lloyd->sum);
    lloyd->whole = mpivf_alloc_zero(ctx, what, whole, sizeof *lloyd->whole);
    return mpivf_agree_all(lloyd->par, lloyd->sum && lloyd->whole ? MPIVF_OK : MPIVF_MEMORY);
}

mpivf_status
mpivf_lloyd_init_all(struct mpivf_lloyd *lloyd)
{
    const struct mpivf_par *par = lloyd->par;
    size_t dim = lloyd->coarse->dim;
    double most = mpivf_max_all(par, lloyd->sample->most);
    uint64_t total = mpivf_total_all(par, mpivf_sample_rows(lloyd->sample, MPIVF_SAMPLE_ALL));
    lloyd->scale = fixed_point_scale(total, most);
    lloyd->objective_scale =
        fixed_point_scale(total, lloyd->spherical ? 2.0 : 4.0 * (double)dim * most * most);
    return mpivf_agree_all(par, allocate(lloyd));
}

void
mpivf_lloyd_clear(struct mpivf_lloyd *lloyd)
{
    struct mpivf_context *ctx = lloyd->par->ctx;
    mpivf_free(ctx, lloyd->list);
    mpivf_free(ctx, lloyd->order);
    mpivf_free(ctx, lloyd->old);
    mpivf_free(ctx, lloyd->distance);
    mpivf_lloyd_shed(lloyd);
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
        lloyd->order[--start[group_of ? group_of[list[i]] : list[i]]] = (uint32_t)i;
}

/* The distance of row i to its centroid: in float32 where that can hold its square. */
static double
distance_of(const struct mpivf_lloyd *lloyd, const float *row, const uint32_t *list, size_t i)
{
    double distance = lloyd->distance[i];
    size_t dim = lloyd->coarse->dim;
    if (lloyd->spherical || (distance > 1e-30 && distance < 1e37))
        return distance;
    return mpivf_distance(MPIVF_L2, row + i * dim, 0, lloyd->coarse->centroid + list[i] * dim, dim);
}

/* Move the block's rows from the sums of their old lists to those of their new ones. */
static void
add_up(struct mpivf_lloyd *lloyd, const float *row, const uint32_t *list, size_t n)
{
    const struct mpivf_kernel *kernel = mpivf_kernel();
    const uint32_t *old = lloyd->old;
    size_t dim = lloyd->coarse->dim;
    int64_t *sum = lloyd->sum, *count = counts(lloyd), total = 0;
    for (size_t i = 0; i < n; i++) {
        total += llrint(distance_of(lloyd, row, list, i) * lloyd->objective_scale);
        if (list[i] == old[i])
            continue;
        count[list[i]]++;
        if (old[i] != MPIVF_COARSE_NONE)
            count[old[i]]--;
    }
    *objective(lloyd) += total;
#pragma omp parallel num_threads(lloyd->coarse->threads)
    { /* each thread has its own columns */
        size_t first = mpivf_share_first(dim, omp_get_thread_num(), omp_get_num_threads());
        size_t wide = mpivf_share_first(dim, omp_get_thread_num() + 1, omp_get_num_threads()) - first;
        for (size_t i = 0; i < n; i++) {
            const float *at = row + i * dim + first;
            if (list[i] == old[i])
                continue;
            kernel->add(at, wide, lloyd->scale, sum + list[i] * dim + first);
            if (old[i] != MPIVF_COARSE_NONE)
                kernel->add(at, wide, -lloyd->scale, sum + old[i] * dim + first);
        }
    }
}

/* On rank 0: add what has changed to what was. */
static void
join_changes(struct mpivf_lloyd *lloyd)
{
    size_t n = lloyd->coarse->lists * (lloyd->coarse->dim + 1);
#pragma omp parallel for num_threads(lloyd->coarse->threads)
    for (size_t i = 0; i < n; i++)
        lloyd->whole[i] += lloyd->sum[i];
}

/* On rank 0: the mean of each list that has rows, of unit length when spherical. */
static void
move_centroids(struct mpivf_lloyd *lloyd)
{
    size_t dim = lloyd->coarse->dim;
#pragma omp parallel for num_threads(lloyd->coarse->threads)
    for (size_t l = 0; l < lloyd->coarse->lists; l++) {
        float *centroid = lloyd->coarse->centroid + l * dim;
        const int64_t *sum = lloyd->whole + l * dim;
        int64_t rows = mpivf_lloyd_counts(lloyd)[l];
        for (size_t j = 0; j < dim && rows > 0; j++)
            centroid[j] = (float)((double)sum[j] / lloyd->scale / (double)rows);
        if (lloyd->spherical && rows > 0)
            mpivf_normalise(centroid, dim, centroid);
    }
}

/* A heap of lists, the one with the most rows on top, ties to the smaller number. */
static bool
above(const int64_t *count, uint32_t a, uint32_t b)
{
    return count[a] > count[b] || (count[a] == count[b] && a < b);
}

static void
swap(uint32_t *a, uint32_t *b)
{
    uint32_t t = *a;
    *a = *b;
    *b = t;
}

static void
sink(const int64_t *count, uint32_t *heap, size_t n, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n)
            return;
        child += child + 1 < n && above(count, heap[child + 1], heap[child]);
        if (!above(count, heap[child], heap[at]))
            return;
        swap(&heap[at], &heap[child]);
        at = child;
    }
}

/* Split the centroid `from` into two that lie close together. */
static void
split(struct mpivf_lloyd *lloyd, size_t from, size_t to)
{
    static const float NUDGE = 1.0f / 1024;
    size_t dim = lloyd->coarse->dim;
    float *a = lloyd->coarse->centroid + from * dim, *b = lloyd->coarse->centroid + to * dim;
    for (size_t j = 0; j < dim; j++) {
        float nudge = a[j] * (j % 2 ? NUDGE : -NUDGE);
        b[j] = a[j] + nudge;
        a[j] -= nudge;
    }
    if (lloyd->spherical) {
        mpivf_normalise(a, dim, a);
        mpivf_normalise(b, dim, b);
    }
}

/* On rank 0: give each empty list half of the largest. How many lists were empty. */
static uint64_t
repair_empty(struct mpivf_lloyd *lloyd)
{
    size_t lists = lloyd->coarse->lists, n = 0;
    int64_t *count = counts(lloyd); /* no longer in use, and so is start */
    uint32_t *heap = (uint32_t *)(void *)lloyd->start;
    uint64_t repaired = 0;
    memcpy(count, mpivf_lloyd_counts(lloyd), lists * sizeof *count);
    for (size_t l = 0; l < lists; l++)
        if (count[l] > 0)
            heap[n++] = (uint32_t)l;
    if (n == lists)
        return 0;
    for (size_t i = n / 2; i-- > 0;)
        sink(count, heap, n, i);
    for (size_t empty = 0; empty < lists && n > 0 && count[heap[0]] > 1; empty++) {
        uint32_t largest = heap[0];
        if (count[empty] > 0)
            continue;
        split(lloyd, largest, empty);
        count[empty] = count[largest] / 2;
        count[largest] -= count[empty];
        sink(count, heap, n, 0);
        heap[n] = (uint32_t)empty; /* room: as many as lists in all */
        for (size_t at = n++; at > 0 && above(count, heap[at], heap[(at - 1) / 2]); at = (at - 1) / 2)
            swap(&heap[at], &heap[(at - 1) / 2]);
        repaired++;
    }
    return repaired;
}

/* Join the ranks' sums, move the centroids, and tell all. */
static void
update_all(struct mpivf_lloyd *lloyd, bool repair, struct mpivf_lloyd_step *step)
{
    const struct mpivf_par *par = lloyd->par;
    size_t lists = lloyd->coarse->lists, dim = lloyd->coarse->dim;
    uint64_t rows = mpivf_total_all(par, mpivf_sample_rows(lloyd->sample, lloyd->level));
    *step = (struct mpivf_lloyd_step){0};
    mpivf_sum_to_root_all(par, lloyd->sum, lists * (dim + 1) + 1);
    if (par->rank == 0) {
        double mean = (double)*objective(lloyd) / lloyd->objective_scale / (double)rows;
        step->objective = lloyd->spherical ? 1.0 + mean : mean;
        step->rows = rows;
        join_changes(lloyd);
        if (!lloyd->still)
            move_centroids(lloyd);
        if (repair && !lloyd->still)
            step->repaired = repair_empty(lloyd);
    }
    mpivf_bcast_all(par, step, sizeof *step);
    mpivf_bcast_all(par, lloyd->coarse->centroid, lists * dim * sizeof(float));
    mpivf_coarse_refill(lloyd->coarse);
}

/* Assign the rows of a block and sum what has changed; `candidates` NULL: all lists. */
static void
assign_block(struct mpivf_lloyd *lloyd, const struct mpivf_candidates *candidates,
             const uint32_t *group_of, const struct mpivf_sample_block *block)
{
    const struct mpivf_queries *rows = block->rows;
    uint32_t *list = lloyd->list + block->first;
    memcpy(lloyd->old, list, rows->rows * sizeof *list);
    for (size_t i = 0; i < rows->rows && !lloyd->summed; i++)
        lloyd->old[i] = MPIVF_COARSE_NONE;
    if (candidates) {
        sort_by_group(lloyd, list, rows->rows, group_of, candidates->groups);
        mpivf_coarse_reassign_among(lloyd->coarse, candidates, rows, lloyd->order, lloyd->start,
                                    list, lloyd->distance);
    } else {
        mpivf_coarse_reassign(lloyd->coarse, rows, list, lloyd->distance);
    }
    add_up(lloyd, rows->raw, list, rows->rows);
}

static mpivf_status
iterate_all(struct mpivf_lloyd *lloyd, const struct mpivf_candidates *candidates,
            const uint32_t *group_of, double work, struct mpivf_lloyd_step *step)
{
    struct mpivf_sample *sample = lloyd->sample;
    struct mpivf_coarse *coarse = lloyd->coarse;
    size_t blocks = mpivf_sample_blocks(sample, lloyd->level);
    mpivf_status status = have_sums_all(lloyd);
    if (status)
        return status;
    memset(lloyd->sum, 0, (coarse->lists * (coarse->dim + 1) + 1) * sizeof *lloyd->sum);
    for (size_t b = 0; b < blocks && status == MPIVF_OK; b++) {
        struct mpivf_sample_block block;
        status = mpivf_sample_block(sample, b, &block);
        if (status == MPIVF_OK)
            assign_block(lloyd, candidates, group_of, &block);
    }
    lloyd->summed = true;
    bool more = true;
    status = mpivf_round_all(lloyd->progress, status,
                             (uint64_t)(work * (double)mpivf_sample_rows(sample, lloyd->level)), &more);
    if (status == MPIVF_OK)
        update_all(lloyd, candidates == NULL, step);
    return status;
}

mpivf_status
mpivf_lloyd_all(struct mpivf_lloyd *lloyd, double work, struct mpivf_lloyd_step *step)
{
    return iterate_all(lloyd, NULL, NULL, work, step);
}

mpivf_status
mpivf_lloyd_among_all(struct mpivf_lloyd *lloyd, const struct mpivf_candidates *candidates,
                      const uint32_t *group_of, double work, struct mpivf_lloyd_step *step)
{
    return iterate_all(lloyd, candidates, group_of, work, step);
}
