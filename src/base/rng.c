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

static uint64_t
key_of(uint64_t seed, enum mpivf_purpose purpose)
{
    return mix(mix(seed + GOLDEN) + (uint64_t)purpose * GOLDEN);
}

static uint64_t
draw(uint64_t key, uint64_t counter)
{
    return mix(mix(counter * GOLDEN + key) ^ key);
}

uint64_t
mpivf_random(uint64_t seed, enum mpivf_purpose purpose, uint64_t counter)
{
    return draw(key_of(seed, purpose), counter);
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

void
mpivf_random_order_init(struct mpivf_random_order *order, uint64_t seed, enum mpivf_purpose purpose,
                        uint64_t n)
{
    unsigned half = 1;
    while (half < 32 && (uint64_t)1 << (2 * half) < n)
        half++;
    *order = (struct mpivf_random_order){.n = n, .mask = ((uint64_t)1 << half) - 1, .half = half};
    for (uint64_t round = 0; round < 4; round++)
        order->key[round] = key_of(seed + round * GOLDEN, purpose);
}

/* Once through the network: a permutation of the next power of four. */
static inline uint64_t
turn(const struct mpivf_random_order *order, uint64_t position)
{
    uint64_t left = position >> order->half, right = position & order->mask;
    for (int round = 0; round < 4; round++) {
        uint64_t next = left ^ (draw(order->key[round], right) & order->mask);
        left = right;
        right = next;
    }
    return left << order->half | right;
}

uint64_t
mpivf_random_order_place(const struct mpivf_random_order *order, uint64_t position)
{
    assert(position < order->n);
    do
        position = turn(order, position);
    while (position >= order->n);
    return position;
}

static void
turn_each(const struct mpivf_random_order *order, uint64_t *value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        value[i] = turn(order, value[i]);
}

#ifdef __x86_64__
/* Which multiplies 64 bits, eight at a time. */
__attribute__((target("avx512f,avx512dq"))) static void
turn_each_512(const struct mpivf_random_order *order, uint64_t *value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        value[i] = turn(order, value[i]);
}
#endif

/*
 * A walk is a chain of multiplications, and nobody foresees its end. So a block of them goes in
 * step: the processor has many at work, and no branch depends on one alone.
 */
void
mpivf_random_order_places(const struct mpivf_random_order *order, uint64_t *place, size_t count)
{
    enum { BLOCK = 256 };
    void (*step)(const struct mpivf_random_order *, uint64_t *, size_t) = turn_each;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
        step = turn_each_512;
#endif
    /* a place beyond the last goes on until it comes back inside: those that walk stay together */
    for (size_t first = 0; first < count; first += BLOCK) {
        size_t walking = count - first < BLOCK ? count - first : BLOCK;
        uint64_t value[BLOCK];
        size_t walker[BLOCK];
        for (size_t i = 0; i < walking; i++) {
            walker[i] = first + i;
            value[i] = place[first + i];
        }
        while (walking > 0) {
            size_t outside = 0;
            step(order, value, walking);
            for (size_t i = 0; i < walking; i++) {
                place[walker[i]] = value[i];
                walker[outside] = walker[i];
                value[outside] = value[i];
                outside += value[i] >= order->n;
            }
            walking = outside;
        }
    }
}

uint64_t
mpivf_random_place(uint64_t seed, enum mpivf_purpose purpose, uint64_t n, uint64_t position)
{
    struct mpivf_random_order order;
    mpivf_random_order_init(&order, seed, purpose, n);
    return mpivf_random_order_place(&order, position);
}
