/* filter: the ways to bound inner products cheaply, and which of them runs and is fastest here. */
#ifndef MPIVF_MATH_FILTER_H
#define MPIVF_MATH_FILTER_H

#include "math/kernel.h"

#include <stdbool.h>
#include <stddef.h>

/* Fastest first, where the processor has dot products of integers. */
enum mpivf_filter {
    MPIVF_FILTER_INT8,
    MPIVF_FILTER_INT16,
    MPIVF_FILTER_FLOAT32,
    MPIVF_FILTER_SGEMM, /* OpenBLAS: the reference, and for processors we have no loops for */
    MPIVF_FILTERS
};

const char *
mpivf_filter_name(enum mpivf_filter filter);

/* Can this processor run it, for rows of this many values? */
bool
mpivf_filter_runs(enum mpivf_filter filter, size_t dim);

/* Does MPIVF_FILTER=int8|int16|float32|sgemm name one that runs? */
bool
mpivf_filter_forced(size_t dim, enum mpivf_filter *filter);

/* The filter with the highest rate, or the one that is forced. */
enum mpivf_filter
mpivf_filter_best(size_t dim);

/* Its loops on the instruction set in use; NULL for sgemm. */
mpivf_compare
mpivf_filter_compare(enum mpivf_filter filter);

/* Its operations cost about so many of int8's, on the instruction set in use. */
double
mpivf_filter_cost(enum mpivf_filter filter);

#endif
