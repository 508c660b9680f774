#include "math/filter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* So many products of the largest integers are below 2^31; int16 sees to that for any number. */
enum { DIM7 = 541000, DIM8 = 133000, DIM16 = 1 << 30 };

/*
 * Where there is no sample: the least bits that tell rows of so many values apart. Distances to
 * rows that have nothing in common differ by a share of sqrt(2 / dim), and bounds of 8 bits are
 * some 4 % wide, of 7 bits twice that.
 */
enum { WIDE7 = 6000, WIDE8 = 16384 };

static const double U = 0x1p-24;

/* Sums of integers are exact: what is left is the float32 arithmetic on them. */
static double
kappa_of_integers(enum mpivf_metric metric, size_t dim)
{
    (void)metric;
    (void)dim;
    return 96 * U;
}

static double
kappa_of_floats(enum mpivf_metric metric, size_t dim)
{
    double du = (double)dim * U, gamma = du < 0.5 ? du / (1 - du) : INFINITY;
    return 1.02 * ((metric == MPIVF_L2 ? gamma / 2 : gamma) + 12 * U);
}

/* ---- int7 and int8 ---- */

static double
unit7(float largest, double norm, size_t dim)
{
    (void)norm;
    (void)dim;
    return (double)largest / 63;
}

static double
unit8(float largest, double norm, size_t dim)
{
    (void)norm;
    (void)dim;
    return (double)largest / 127;
}

static float
round8(const float *x, size_t dim, float inverse, void *word)
{
    return mpivf_kernel()->round8(x, dim, inverse, word);
}

/* It wraps, like the sums that it is for. */
static uint32_t
sum_of_bytes(const void *word, size_t dim)
{
    const int8_t *x = word;
    int32_t sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += x[i];
    return (uint32_t)sum;
}

/* Bytes of packed rows are unsigned, larger by 64 or 128. */
static int32_t
start7(const void *word, size_t dim)
{
    return (int32_t)(0u - 64 * sum_of_bytes(word, dim));
}

static int32_t
start8(const void *word, size_t dim)
{
    return (int32_t)(0u - 128 * sum_of_bytes(word, dim));
}

static mpivf_compare
compare7(const struct mpivf_kernel *kernel)
{
    return kernel->compare7;
}

static mpivf_refine
refine7(const struct mpivf_kernel *kernel)
{
    return kernel->refine7;
}

static mpivf_compare
compare8(const struct mpivf_kernel *kernel)
{
    return kernel->compare8;
}

static mpivf_refine
refine8(const struct mpivf_kernel *kernel)
{
    return kernel->refine8;
}

/* ---- int16 ---- */

/* Sums of products of two rows stay below 2^31 when each is shorter than 46340. */
static double
unit16(float largest, double norm, size_t dim)
{
    double by_norm = norm / (46340 - sqrt((double)dim) / 2 - 2), by_value = (double)largest / 32766;
    return by_value > by_norm ? by_value : by_norm;
}

static float
round16(const float *x, size_t dim, float inverse, void *word)
{
    return mpivf_kernel()->round16(x, dim, inverse, word);
}

static mpivf_compare
compare16(const struct mpivf_kernel *kernel)
{
    return kernel->compare16;
}

static mpivf_refine
refine16(const struct mpivf_kernel *kernel)
{
    return kernel->refine16;
}

/* ---- float32 ---- */

static mpivf_compare
compare32(const struct mpivf_kernel *kernel)
{
    return kernel->compare32;
}

static mpivf_compare
no_loops(const struct mpivf_kernel *kernel)
{
    (void)kernel;
    return NULL;
}

static const struct mpivf_filter filters[MPIVF_FILTERS] = {
    [MPIVF_FILTER_INT8] = {.name = "int8",
                           .values = 4,
                           .largest_dim = DIM8,
                           .widest = WIDE8,
                           .panels = true,
                           .alike = &filters[MPIVF_FILTER_INT8],
                           .kappa = kappa_of_integers,
                           .unit = unit8,
                           .round = round8,
                           .flip = 0x80808080u,
                           .start = start8,
                           .compare = compare8,
                           .refine = refine8,
                           .cost_dots = 1,
                           .cost_vectors = 1,
                           .cost_plain = 10},
    [MPIVF_FILTER_INT7] = {.name = "int7",
                           .values = 4,
                           .even = true,
                           .largest_dim = DIM7,
                           .widest = WIDE7,
                           .panels = true,
                           .alike = &filters[MPIVF_FILTER_INT7],
                           .kappa = kappa_of_integers,
                           .unit = unit7,
                           .round = round8,
                           .flip = 0x40404040u,
                           .drop = 0x80808080u,
                           .start = start7,
                           .compare = compare7,
                           .refine = refine7,
                           .cost_dots = 1.1,
                           .cost_vectors = 0.6,
                           .cost_plain = 11},
    [MPIVF_FILTER_INT16] = {.name = "int16",
                            .values = 2,
                            .largest_dim = DIM16,
                            .widest = DIM16,
                            .panels = true,
                            .alike = &filters[MPIVF_FILTER_INT16],
                            .kappa = kappa_of_integers,
                            .unit = unit16,
                            .round = round16,
                            .compare = compare16,
                            .refine = refine16,
                            .cost_dots = 1.9,
                            .cost_vectors = 1,
                            .cost_plain = 10},
    [MPIVF_FILTER_FLOAT32] = {.name = "float32",
                              .values = 1,
                              .largest_dim = SIZE_MAX,
                              .widest = SIZE_MAX,
                              .panels = true,
                              .alike = &filters[MPIVF_FILTER_FLOAT32],
                              .kappa = kappa_of_floats,
                              .compare = compare32,
                              .cost_dots = 3.8,
                              .cost_vectors = 1.4,
                              .cost_plain = 12},
    [MPIVF_FILTER_SGEMM] = {.name = "sgemm",
                            .values = 1,
                            .largest_dim = SIZE_MAX,
                            .widest = SIZE_MAX,
                            .alike = &filters[MPIVF_FILTER_FLOAT32],
                            .kappa = kappa_of_floats,
                            .compare = no_loops,
                            .cost_dots = 5,
                            .cost_vectors = 1.6,
                            .cost_plain = 1},
};

const struct mpivf_filter *
mpivf_filter(int i)
{
    return &filters[i];
}

bool
mpivf_filter_runs(const struct mpivf_filter *filter, size_t dim)
{
    return dim <= filter->largest_dim && (!filter->panels || mpivf_filter_compare(filter) != NULL);
}

const struct mpivf_filter *
mpivf_filter_forced(size_t dim)
{
    const char *name = getenv("MPIVF_FILTER");
    for (int f = 0; name && f < MPIVF_FILTERS; f++)
        if (strcmp(name, filters[f].name) == 0 && mpivf_filter_runs(&filters[f], dim))
            return &filters[f];
    return NULL;
}

const struct mpivf_filter *
mpivf_filter_best(size_t dim)
{
    const struct mpivf_filter *best = mpivf_filter_forced(dim);
    if (best)
        return best;
    best = &filters[MPIVF_FILTERS - 1];
    for (int f = 0; f < MPIVF_FILTERS; f++)
        if (mpivf_filter_runs(&filters[f], dim) && dim <= filters[f].widest &&
            mpivf_filter_cost(&filters[f]) < mpivf_filter_cost(best))
            best = &filters[f];
    return best;
}

mpivf_compare
mpivf_filter_compare(const struct mpivf_filter *filter)
{
    return filter->compare(mpivf_kernel());
}

double
mpivf_filter_cost(const struct mpivf_filter *filter)
{
    const struct mpivf_kernel *kernel = mpivf_kernel();
    return kernel == mpivf_kernel_at(0) ? filter->cost_plain
           : kernel->compare8           ? filter->cost_dots
                                        : filter->cost_vectors;
}
