#include "base/rng.h"

#include <assert.h>

#define GOLDEN 0x9e3779b97f4a7c15u

static uint64_t
mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t
mpivf_random(uint64_t seed, enum mpivf_purpose purpose, uint64_t counter)
{
    uint64_t key = mix(mix(seed + GOLDEN) + (uint64_t)purpose * GOLDEN);
    return mix(mix(counter * GOLDEN + key) ^ key);
}

double
mpivf_random_normal(uint64_t seed, enum mpivf_purpose purpose, uint64_t counter)
{
    uint64_t bits = mpivf_random(seed, purpose, counter);
    int64_t sum = 0;
    for (int i = 0; i < 4; i++, bits >>= 16)
        sum += (int64_t)(bits & 0xffff);
    /* the sum has mean 4 * 32767.5 and variance 4 * (65536^2 - 1) / 12 = 37837.2^2 */
    return ((double)sum - 131070.0) / 37837.22679;
}

uint64_t
mpivf_random_place(uint64_t seed, enum mpivf_purpose purpose, uint64_t n, uint64_t position)
{
    assert(position < n);
    unsigned half = 1;
    while (half < 32 && (uint64_t)1 << (2 * half) < n)
        half++;
    uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = position >> half, right = position & mask;
        for (uint64_t round = 0; round < 4; round++) {
            uint64_t next = left ^ (mpivf_random(seed + round * GOLDEN, purpose, right) & mask);
            left = right;
            right = next;
        }
        position = left << half | right;
    } while (position >= n);
    return position;
}
