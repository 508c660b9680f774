/* single: what float32 can hold of a float64. */
#ifndef MPIVF_MATH_SINGLE_H
#define MPIVF_MATH_SINGLE_H

#include <math.h>

/*
 * Sums of products of longer vectors could leave float32 on the way, and an infinity of the
 * wrong sign would exclude a pair. Not-a-number in the comparison keeps it.
 */
static const double MPIVF_SINGLE_LARGEST = 1e37; /* |x|^2 */

/* The least float that is not below x. */
static inline float
mpivf_single_up(double x)
{
    float f = (float)x;
    return (double)f < x ? nextafterf(f, INFINITY) : f;
}

#endif
