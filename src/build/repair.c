#include "build/repair.h"

#include "base/rng.h"
#include "math/distance.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* How far the halves of a list lie apart, of the spread of its rows. */
static const double NUDGE = 0.25;

/* What a list must be worth to be split. */
static const double MIN_WEIGHT = 0x1p-10;

/*
 * On rank 0: how much the n rows of list l differ, all together, at most: their squares less those
 * of their mean, and what may be rounding; *noise is that. Of unit vectors too, whose lengths are
 * rounded: less the length of their sum would show that. Zeros among them differ from nothing.
 */
static double
scatter(const struct mpivf_lloyd *lloyd, size_t l, double n, double *noise)
{
    size_t dim = lloyd->coarse->dim;
    const int64_t *sum = lloyd->whole + l * dim;
    double square = 0, all = mpivf_lloyd_square(lloyd, l),
           some = fmax(n - mpivf_lloyd_zeros(lloyd, l), 1);
    for (size_t j = 0; j < dim; j++) {
        double s = (double)sum[j] / lloyd->scale - n * (double)lloyd->origin[j];
        square += s * s;
    }
    double step = sqrt((double)dim) / lloyd->scale; /* a row's rounding */
    double value = all - square / some;
    *noise = all * MPIVF_LLOYD_ROUNDING + n / lloyd->fine_scale + step * sqrt(square);
    return (value > 0 ? value : 0) + *noise;
}

/* Of a list, when others are split for those that are empty. */
struct weight {
    double scatter, rows; /* a row's; how many */
};

/* The rows of a list, no more of them than rows that scatter as usual would need to scatter so. */
static double
weight_of(const struct weight *weight, double usual)
{
    double max = weight->rows * weight->scatter / usual;
    return weight->rows < 2 ? 0 : max < weight->rows ? max : weight->rows;
}

/* A heap of lists, the one that is worth most on top, ties to the smaller number. */
struct heap {
    const struct weight *weight;
    double usual;
    uint32_t *list;
    size_t n;
};

static bool
above(const struct heap *heap, uint32_t a, uint32_t b)
{
    double x = weight_of(&heap->weight[a], heap->usual),
           y = weight_of(&heap->weight[b], heap->usual);
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
    for (size_t at = heap->n++; at > 0 && above(heap, list[at], list[(at - 1) / 2]);
         at = (at - 1) / 2)
        swap(&list[at], &list[(at - 1) / 2]);
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/*
 * On rank 0: what the rows of each list are worth. The usual scatter of a row: the median of lists
 * in which rows differ, so that a few far off do not tell it; INFINITY without any. Lies where the
 * sums of the iteration were.
 */
static struct weight *
weigh(const struct mpivf_lloyd *lloyd, double *usual)
{
    size_t lists = lloyd->coarse->lists, n = 0;
    double *value = (double *)(void *)lloyd->sum;
    struct weight *weight = (struct weight *)(void *)(value + lists);
    const int64_t *count = mpivf_lloyd_counts(lloyd);
#pragma omp parallel for num_threads(lloyd->coarse->threads)
    for (size_t l = 0; l < lists; l++) {
        double rows = (double)count[l], noise = 0;
        weight[l] = (struct weight){rows > 1 ? scatter(lloyd, l, rows, &noise) / rows : 0, rows};
        value[l] = rows > 1 && weight[l].scatter * rows > 2 * noise ? weight[l].scatter : 0;
    }
    for (size_t l = 0; l < lists; l++)
        if (value[l] > 0)
            value[n++] = value[l];
    qsort(value, n, sizeof *value, by_value);
    *usual = n > 0 ? value[n / 2] : INFINITY;
    return weight;
}

void
mpivf_repair_weights(struct mpivf_lloyd *lloyd, uint64_t *rows)
{
    double usual;
    const struct weight *weight = weigh(lloyd, &usual);
    for (size_t l = 0; l < lloyd->coarse->lists; l++) {
        double max = weight_of(&weight[l], usual);
        rows[l] = max < MIN_WEIGHT ? 0 : (uint64_t)ceil(max);
    }
}

/* Split the centroid `from` into two that lie up to `apart` from it in each column. */
static void
split(struct mpivf_lloyd *lloyd, size_t from, size_t to, double apart)
{
    size_t dim = lloyd->coarse->dim;
    float *a = lloyd->coarse->centroid + from * dim, *b = lloyd->coarse->centroid + to * dim;
    for (size_t j = 0; j < dim; j++) { /* other ways when the same list is empty again */
        float off =
            (float)apart * mpivf_random_way((uint64_t)from << 32 | to, MPIVF_FOR_PARTING, j);
        b[j] = fabsf(a[j] + off) <= FLT_MAX ? a[j] + off : a[j];
        a[j] = fabsf(a[j] - off) <= FLT_MAX ? a[j] - off : a[j];
    }
    if (lloyd->spherical) {
        mpivf_normalise(a, dim, a);
        mpivf_normalise(b, dim, b);
    }
}

uint64_t
mpivf_repair_empty(struct mpivf_lloyd *lloyd)
{
    size_t lists = lloyd->coarse->lists;
    struct heap heap = {.list = (uint32_t *)(void *)lloyd->start}; /* no longer in use */
    struct weight *weight = weigh(lloyd, &heap.usual);
    heap.weight = weight;
    uint64_t repaired = 0;
    for (size_t l = 0; l < lists; l++)
        if (weight[l].rows > 0)
            heap.list[heap.n++] = (uint32_t)l;
    for (size_t i = heap.n / 2; i-- > 0;)
        sink(&heap, i);
    for (size_t empty = 0; empty < lists; empty++) {
        uint32_t max = heap.list[0];
        if (weight[empty].rows > 0)
            continue;
        if (weight_of(&weight[max], heap.usual) < MIN_WEIGHT)
            break;
        split(lloyd, max, empty, NUDGE * sqrt(weight[max].scatter / (double)lloyd->coarse->dim));
        double half = floor(weight[max].rows / 2);
        weight[empty] = (struct weight){weight[max].scatter, half};
        weight[max].rows -= half;
        sink(&heap, 0);
        push(&heap, (uint32_t)empty); /* room: as many as lists in all */
        repaired++;
    }
    return repaired;
}
