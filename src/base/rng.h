/*
 * rng: random numbers without state.
 *
 * A value is a hash of (seed, purpose, counter), so that row 5 draws the same number on every
 * rank, in every order, after every restart. For one seed and purpose the counters map to the
 * 64-bit values one to one: two rows never draw the same. The mixing step is the finaliser of
 * SplitMix64 (Steele, Lea, Flood 2014).
 */
#ifndef MPIVF_BASE_RNG_H
#define MPIVF_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

enum mpivf_purpose {
    MPIVF_FOR_SAMPLE = 1, /* which rows train */
    MPIVF_FOR_SEEDS,      /* which sampled rows start as centroids */
    MPIVF_FOR_DEAL,       /* which blocks a rank reads */
    MPIVF_FOR_PRINT,      /* which rows identify a source */
    MPIVF_FOR_CLUSTER,    /* generate: centres, bases, rows, coefficients, noise */
    MPIVF_FOR_BASIS,
    MPIVF_FOR_ROW,
    MPIVF_FOR_NOISE,
    MPIVF_FOR_SHUFFLE, /* where a shuffled row goes */
    MPIVF_FOR_PARTING, /* which ways equal seeds and the halves of a list go */
    MPIVF_FOR_AXES     /* where the search for principal axes begins */
};

/* A hash of the three: 64 bits that look random. Local. */
uint64_t
mpivf_random(uint64_t seed, enum mpivf_purpose purpose, uint64_t counter);

/* Even, -1 <= x <= 1. */
static inline float
mpivf_random_way(uint64_t seed, enum mpivf_purpose purpose, uint64_t counter)
{
    return (float)((double)mpivf_random(seed, purpose, counter) * 0x1p-63 - 1);
}

/*
 * Bell-shaped, mean 0, variance 1, |x| <= 3.47: a sum of four uniforms, exact in every libm. Local.
 */
double
mpivf_random_normal(uint64_t seed, enum mpivf_purpose purpose, uint64_t counter);

/*
 * A seeded permutation of 0..n-1, one value at a time and without a table: a Feistel network
 * over the next power of four, walked until it falls inside. 1 <= n. Plain data.
 */
struct mpivf_random_order {
    uint64_t n, mask, key[4]; /* a round each */
    unsigned half;            /* bits of either half */
};

/* An order of 0 .. n - 1, by seed and purpose. Local. */
void
mpivf_random_order_init(struct mpivf_random_order *order, uint64_t seed, enum mpivf_purpose purpose,
                        uint64_t n);

/* Where `position` < n goes. Local. */
uint64_t
mpivf_random_order_place(const struct mpivf_random_order *order, uint64_t position);

/* The same for many, several times as fast: positions in, places out. Local. */
void
mpivf_random_order_places(const struct mpivf_random_order *order, uint64_t *place, size_t count);

/* The same for one value alone. Local. */
uint64_t
mpivf_random_place(uint64_t seed, enum mpivf_purpose purpose, uint64_t n, uint64_t position);

#endif
