/* compare: the smaller and the larger; orders for qsort and bsearch. */
#ifndef MPIVF_BASE_COMPARE_H
#define MPIVF_BASE_COMPARE_H

#include <stdint.h>

static inline uint64_t
mpivf_smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t
mpivf_larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline int
mpivf_compare_i64(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static inline int
mpivf_compare_u64(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

#endif
