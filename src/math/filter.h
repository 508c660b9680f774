/*
 * filter: the ways to bound inner products cheaply, and which of them runs and is fastest here.
 *
 * A filter says how a row is packed into words of 4 bytes, what its loops find of two packed rows,
 * and how far off that can be (prepare.h has the proof). To add one: a function that rounds a row,
 * its loops in every instruction set (kernel.h), a struct and a line in the table of filter.c.
 */
#ifndef MPIVF_MATH_FILTER_H
#define MPIVF_MATH_FILTER_H

#include "math/kernel.h"

#include <mpivf/type.h>

#include <stdbool.h>

struct mpivf_filter {
    const char *name;
    size_t values;      /* of a row in one word */
    bool even;          /* its loops take two words at once: a row has an even number of them */
    size_t largest_dim; /* of rows whose sums of products cannot overflow */
    size_t widest;      /* rows that it is chosen for where there is no sample */
    bool panels;        /* rows lie in panels for its loops; else they are float32 for sgemm */
    const struct mpivf_filter *alike; /* one with loops and the same bounds; it may be itself */

    /*
     * What its computed products are off by at most, as a share of |q'| |y'| (kappa in prepare.h).
     */
    double (*kappa)(enum mpivf_metric metric, size_t dim);

    /*
     * Of integers, else NULL: their unit for a row, and the row in that unit (round8 in kernel.h).
     */
    double (*unit)(float largest, double norm, size_t dim);
    float (*round)(const float *x, size_t dim, float inverse, void *word);
    uint32_t flip, drop; /* bits of a packed row's words: turned over, then made 0 */
    int32_t (*start)(const void *word, size_t dim); /* of the sums, which undoes it; NULL = 0 */

    mpivf_compare (*compare)(const struct mpivf_kernel *kernel); /* its loops, NULL = none */
    mpivf_refine (*refine)(const struct mpivf_kernel *kernel);   /* of integers: pair by pair */

    /*
     * Where there is no sample to time it on: operations of int8 that one of it costs, by what the
     * processor has (dot products of bytes, vectors, neither), from tests/bench.
     */
    double cost_dots, cost_vectors, cost_plain;
};

/* Fastest first, where the processor has dot products of bytes. */
enum {
    MPIVF_FILTER_INT8,
    MPIVF_FILTER_INT7, /* without dot products of bytes: from -63 to 63 */
    MPIVF_FILTER_INT16,
    MPIVF_FILTER_FLOAT32,
    MPIVF_FILTER_SGEMM, /* OpenBLAS: the reference, and for processors we have no loops for */
    MPIVF_FILTERS
};

/* Filter number i. Local. */
const struct mpivf_filter *
mpivf_filter(int i);

/* Can this processor run it, for rows of this many values? Local. */
bool
mpivf_filter_runs(const struct mpivf_filter *filter, size_t dim);

/* The one that runs and that MPIVF_FILTER=int8|int7|int16|... names; NULL = none. Local. */
const struct mpivf_filter *
mpivf_filter_forced(size_t dim);

/* The filter with the highest rate, or the one that is forced. Local. */
const struct mpivf_filter *
mpivf_filter_best(size_t dim);

/* Its loops on the instruction set in use; NULL for sgemm. Local. */
mpivf_compare
mpivf_filter_compare(const struct mpivf_filter *filter);

/* Its operations cost about so many of int8's, on the instruction set in use. Local. */
double
mpivf_filter_cost(const struct mpivf_filter *filter);

#endif
