#include "build/lloyd.h"

#include "base/rng.h"
#include "math/distance.h"
#include "math/kernel.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* Sums of squares lose so much of what they are taken from. */
static const double ROUNDING = 1e-12;

/* How far the halves of a list lie apart, of the spread of its rows. */
static const double NUDGE = 0.25;

/* What a list must be worth to be split. */
static const double LEAST = 0x1p-10;

static int64_t *
counts(const struct mpivf_lloyd *lloyd)
{
    return lloyd->sum + lloyd->coarse->lists * lloyd->coarse->dim;
}

/* [2, lists]: how far the rows are from the origin, squared, in coarse steps and the rest in fine. */
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
    return (lists * (dim + 4) * (root ? 2 : 1) + 2) * sizeof(int64_t) + dim * sizeof(float) + 4096;
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
    return lloyd->start ? MPIVF_OK : MPIVF_MEMORY;
}

void
mpivf_lloyd_forget(struct mpivf_lloyd *lloyd)
{
    struct mpivf_context *ctx = lloyd->par->ctx;
    mpivf_free(ctx, lloyd->sum);
    mpivf_free(ctx, lloyd->whole);
    mpivf_free(ctx, lloyd->origin);
    lloyd->sum = lloyd->whole = NULL;
    lloyd->origin = NULL;
    lloyd->summed = 0;
}

void
mpivf_lloyd_shed(struct mpivf_lloyd *lloyd)
{
    mpivf_lloyd_forget(lloyd);
    mpivf_free(lloyd->par->ctx, lloyd->start);
    lloyd->start = NULL;
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
    if (!lloyd->list || !lloyd->order || !lloyd->old)
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
    size_t n = numbers(lloyd), dim = lloyd->coarse->dim;
    if (lloyd->sum)
        return MPIVF_OK;
    lloyd->sum = mpivf_alloc(ctx, what, n, sizeof *lloyd->sum);
    lloyd->whole = mpivf_alloc_zero(ctx, what, lloyd->par->rank == 0 ? n : 0, sizeof *lloyd->whole);
    lloyd->origin = mpivf_alloc(ctx, what, dim, sizeof *lloyd->origin);
    bool room = lloyd->sum && lloyd->whole && lloyd->origin;
    for (size_t j = 0; room && j < dim; j++) /* any point about the rows, the same on all ranks */
        lloyd->origin[j] = lloyd->spherical ? 0 : lloyd->coarse->centroid[j];
    return mpivf_agree_all(lloyd->par, room ? MPIVF_OK : MPIVF_MEMORY);
}

mpivf_status
mpivf_lloyd_init_all(struct mpivf_lloyd *lloyd)
{
    const struct mpivf_par *par = lloyd->par;
    size_t dim = lloyd->coarse->dim;
    double most = mpivf_max_all(par, lloyd->sample->most);
    uint64_t total = mpivf_total_all(par, mpivf_sample_rows(lloyd->sample, MPIVF_SAMPLE_ALL));
    lloyd->scale = fixed_point_scale(total, most);
    /* centroids that go 1.5 times the way are within 3 times the largest value, or little more */
    lloyd->coarse_scale =
        fixed_point_scale(total, lloyd->spherical ? 2.0 : (double)dim * 16.0 * most * most);
    lloyd->fine_scale = lloyd->coarse_scale * fixed_point_scale(total, 1);
    return mpivf_agree_all(par, allocate(lloyd));
}

void
mpivf_lloyd_clear(struct mpivf_lloyd *lloyd)
{
    struct mpivf_context *ctx = lloyd->par->ctx;
    mpivf_free(ctx, lloyd->list);
    mpivf_free(ctx, lloyd->order);
    mpivf_free(ctx, lloyd->old);
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

/* Count row i in its new list and no longer in its old one; several threads may, of other rows. */
static void
count_row(const struct mpivf_lloyd *lloyd, const float *row, const uint32_t *list, size_t i)
{
    size_t dim = lloyd->coarse->dim;
    int64_t *count = counts(lloyd), *coarse = squares(lloyd, lloyd->sum);
    int64_t *fine = coarse + lloyd->coarse->lists;
    uint32_t old = lloyd->old[i];
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
    uint32_t old = lloyd->old[i];
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
        size_t wide = mpivf_share_first(dim, omp_get_thread_num() + 1, omp_get_num_threads()) - first;
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

/* On rank 0: the squares of the rows of list l, from the origin. */
static double
square_of(const struct mpivf_lloyd *lloyd, size_t l)
{
    const int64_t *square = squares(lloyd, lloyd->whole);
    return (double)square[l] / lloyd->coarse_scale +
           (double)square[lloyd->coarse->lists + l] / lloyd->fine_scale;
}

/*
 * On rank 0: rows of list l that have no direction, of unit vectors and zeros; their squares tell.
 */
static double
zeros_of(const struct mpivf_lloyd *lloyd, size_t l)
{
    double n = (double)mpivf_lloyd_counts(lloyd)[l];
    return lloyd->spherical ? fmax(0, floor(n - square_of(lloyd, l) + 0.5)) : 0;
}

/*
 * On rank 0: the sum of the distances of the rows of list l to its centroid, from the sum S of its n
 * rows and the squares alone; what may be the rounding of rows that all lie on it is 0. With x and c
 * taken from the origin, the sum of |x - c|^2 is that of |x|^2 plus n |c|^2 - 2 <S, c>. Of unit
 * vectors it is half of that, which is 1 - <x, c> without the rounding of lengths to float32; zeros
 * are at 1.
 */
static double
distance_sum(const struct mpivf_lloyd *lloyd, size_t l)
{
    size_t dim = lloyd->coarse->dim;
    const float *centroid = lloyd->coarse->centroid + l * dim;
    const int64_t *sum = lloyd->whole + l * dim;
    double zeros = zeros_of(lloyd, l), n = (double)mpivf_lloyd_counts(lloyd)[l] - zeros;
    double all = square_of(lloyd, l), value = all;
    for (size_t j = 0; j < dim && n > 0; j++) {
        double s = (double)sum[j] / lloyd->scale, m = (double)lloyd->origin[j];
        double c = (double)centroid[j] - m;
        value += c * (n * c - 2 * (s - n * m));
    }
    value = value > ROUNDING * all ? value : 0;
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

/*
 * On rank 0: how much the n rows of list l differ, all together, at most: their squares less those of
 * their mean, and what may be rounding; *noise is that. Of unit vectors too, whose lengths are
 * rounded: less the length of their sum would show that. Zeros among them differ from nothing.
 */
static double
scatter(const struct mpivf_lloyd *lloyd, size_t l, double n, double *noise)
{
    size_t dim = lloyd->coarse->dim;
    const int64_t *sum = lloyd->whole + l * dim;
    double square = 0, all = square_of(lloyd, l), some = fmax(n - zeros_of(lloyd, l), 1);
    for (size_t j = 0; j < dim; j++) {
        double s = (double)sum[j] / lloyd->scale - n * (double)lloyd->origin[j];
        square += s * s;
    }
    double step = sqrt((double)dim) / lloyd->scale; /* a row's rounding */
    double value = all - square / some;
    *noise = all * ROUNDING + n / lloyd->fine_scale + step * sqrt(square);
    return (value > 0 ? value : 0) + *noise;
}

/* On rank 0: take each list that has rows `stretch` times the way to its mean. */
static void
move_centroids(struct mpivf_lloyd *lloyd, double stretch)
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
            double far = mean + (stretch - 1) * (mean - (double)centroid[j]);
            centroid[j] = (float)(fabs(far) <= FLT_MAX ? far : mean);
        }
        if (lloyd->spherical && size > 0)
            mpivf_normalise(centroid, dim, centroid);
    }
}

/* Of a list, when others are split for those that are empty. */
struct worth {
    double scatter, rows; /* a row's; how many */
};

/* The rows of a list, no more of them than rows that scatter as usual would need to scatter so. */
static double
worth_of(const struct worth *worth, double usual)
{
    double most = worth->rows * worth->scatter / usual;
    return worth->rows < 2 ? 0 : most < worth->rows ? most : worth->rows;
}

/* A heap of lists, the one that is worth most on top, ties to the smaller number. */
struct heap {
    const struct worth *worth;
    double usual;
    uint32_t *list;
    size_t n;
};

static bool
above(const struct heap *heap, uint32_t a, uint32_t b)
{
    double x = worth_of(&heap->worth[a], heap->usual), y = worth_of(&heap->worth[b], heap->usual);
    return x > y || (x == y && a < b);
}

static void
swap(uint32_t *a, uint32_t *b)
{
    uint32_t t = *a;
    *a = *b;
    *b = t;
}

static void
sink(struct heap *heap, size_t at)
{
    uint32_t *list = heap->list;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->n)
            return;
        child += child + 1 < heap->n && above(heap, list[child + 1], list[child]);
        if (!above(heap, list[child], list[at]))
            return;
        swap(&list[at], &list[child]);
        at = child;
    }
}

static void
push(struct heap *heap, uint32_t one)
{
    uint32_t *list = heap->list;
    list[heap->n] = one;
    for (size_t at = heap->n++; at > 0 && above(heap, list[at], list[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&list[at], &list[(at - 1) / 2]);
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/*
 * On rank 0: what the rows of each list are worth. The usual scatter of a row: the median of lists in
 * which rows differ, so that a few far off do not tell it; INFINITY without any. Lies where the sums of
 * the iteration were.
 */
static struct worth *
weigh(const struct mpivf_lloyd *lloyd, double *usual)
{
    size_t lists = lloyd->coarse->lists, n = 0;
    double *value = (double *)(void *)lloyd->sum;
    struct worth *worth = (struct worth *)(void *)(value + lists);
    const int64_t *count = mpivf_lloyd_counts(lloyd);
#pragma omp parallel for num_threads(lloyd->coarse->threads)
    for (size_t l = 0; l < lists; l++) {
        double rows = (double)count[l], noise = 0;
        worth[l] = (struct worth){rows > 1 ? scatter(lloyd, l, rows, &noise) / rows : 0, rows};
        value[l] = rows > 1 && worth[l].scatter * rows > 2 * noise ? worth[l].scatter : 0;
    }
    for (size_t l = 0; l < lists; l++)
        if (value[l] > 0)
            value[n++] = value[l];
    qsort(value, n, sizeof *value, by_value);
    *usual = n > 0 ? value[n / 2] : INFINITY;
    return worth;
}

void
mpivf_lloyd_worth(struct mpivf_lloyd *lloyd, uint64_t *rows)
{
    double usual;
    const struct worth *worth = weigh(lloyd, &usual);
    for (size_t l = 0; l < lloyd->coarse->lists; l++) {
        double most = worth_of(&worth[l], usual);
        rows[l] = most < LEAST ? 0 : (uint64_t)ceil(most);
    }
}

/* Split the centroid `from` into two that lie up to `apart` from it in each column. */
static void
split(struct mpivf_lloyd *lloyd, size_t from, size_t to, double apart)
{
    size_t dim = lloyd->coarse->dim;
    float *a = lloyd->coarse->centroid + from * dim, *b = lloyd->coarse->centroid + to * dim;
    for (size_t j = 0; j < dim; j++) { /* other ways when the same list is empty again */
        float off = (float)apart * mpivf_random_way((uint64_t)from << 32 | to, MPIVF_FOR_PARTING, j);
        b[j] = fabsf(a[j] + off) <= FLT_MAX ? a[j] + off : a[j];
        a[j] = fabsf(a[j] - off) <= FLT_MAX ? a[j] - off : a[j];
    }
    if (lloyd->spherical) {
        mpivf_normalise(a, dim, a);
        mpivf_normalise(b, dim, b);
    }
}

/*
 * On rank 0: give each empty list half of the one that is worth most. Rows that are equal are worth
 * little, however many, and stay in one list. How many lists got some.
 */
static uint64_t
repair_empty(struct mpivf_lloyd *lloyd)
{
    size_t lists = lloyd->coarse->lists;
    struct heap heap = {.list = (uint32_t *)(void *)lloyd->start}; /* no longer in use */
    struct worth *worth = weigh(lloyd, &heap.usual);
    heap.worth = worth;
    uint64_t repaired = 0;
    for (size_t l = 0; l < lists; l++)
        if (worth[l].rows > 0)
            heap.list[heap.n++] = (uint32_t)l;
    for (size_t i = heap.n / 2; i-- > 0;)
        sink(&heap, i);
    for (size_t empty = 0; empty < lists; empty++) {
        uint32_t most = heap.list[0];
        if (worth[empty].rows > 0)
            continue;
        if (worth_of(&worth[most], heap.usual) < LEAST)
            break;
        split(lloyd, most, empty, NUDGE * sqrt(worth[most].scatter / (double)lloyd->coarse->dim));
        double half = floor(worth[most].rows / 2);
        worth[empty] = (struct worth){worth[most].scatter, half};
        worth[most].rows -= half;
        sink(&heap, 0);
        push(&heap, (uint32_t)empty); /* room: as many as lists in all */
        repaired++;
    }
    return repaired;
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
    uint64_t rows = mpivf_total_all(par, mpivf_sample_rows(lloyd->sample, lloyd->level));
    *step = (struct mpivf_lloyd_step){0};
    mpivf_sum_to_root_all(par, lloyd->sum, numbers(lloyd));
    if (par->rank == 0) {
        join_changes(lloyd);
        step->objective = objective_of(lloyd, rows);
        step->rows = rows;
        for (size_t l = 0; l < lists; l++)
            step->empty += mpivf_lloyd_counts(lloyd)[l] == 0;
        if (!lloyd->still)
            move_centroids(lloyd, lloyd->stretch);
        if (repair && !lloyd->still && step->empty > 0 && step->objective > 0)
            step->repaired = repair_empty(lloyd);
    }
    mpivf_bcast_all(par, step, sizeof *step);
    share_centroids_all(lloyd);
}

/* Assign the rows of a block and sum what has changed; `candidates` NULL: all lists. */
static void
assign_block(struct mpivf_lloyd *lloyd, const struct mpivf_candidates *candidates,
             const uint32_t *group_of, const struct mpivf_sample_block *block)
{
    const struct mpivf_queries *rows = block->rows;
    uint32_t *list = lloyd->list + block->first;
    memcpy(lloyd->old, list, rows->rows * sizeof *list);
    for (size_t i = 0; i < rows->rows && (int)block->level >= lloyd->summed; i++)
        lloyd->old[i] = MPIVF_COARSE_NONE;
    if (candidates) {
        sort_by_group(lloyd, list, rows->rows, group_of, candidates->groups);
        mpivf_coarse_reassign_among(lloyd->coarse, candidates, rows, lloyd->order, lloyd->start,
                                    list);
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

double
mpivf_lloyd_settle_all(struct mpivf_lloyd *lloyd)
{
    const struct mpivf_par *par = lloyd->par;
    uint64_t rows = mpivf_total_all(par, mpivf_sample_rows(lloyd->sample, lloyd->level));
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
