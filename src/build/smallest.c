#include "build/smallest.h"

#include <string.h>

/* 64 KiB of counts: small enough for a small stack. The first digit has what is left of 64 bits. */
enum { DIGIT_BITS = 13, DIGITS = 1 << DIGIT_BITS, FIRST = 4 * DIGIT_BITS };

uint64_t
mpivf_smallest_all(const struct mpivf_par *par, uint64_t (*hash)(void *arg, size_t i), void *arg,
                   size_t count, uint64_t wanted)
{
    if (mpivf_sum_u64_all(par, count) <= wanted)
        return UINT64_MAX;
    int64_t seen[DIGITS];
    uint64_t prefix = 0;
    for (int shift = FIRST; shift >= 0; shift -= DIGIT_BITS) { /* a digit a round */
        memset(seen, 0, sizeof seen);
        for (size_t i = 0; i < count; i++) {
            uint64_t h = hash(arg, i);
            if (shift == FIRST || h >> (shift + DIGIT_BITS) == prefix)
                seen[h >> shift & (DIGITS - 1)]++;
        }
        mpivf_sum_all(par, seen, DIGITS);
        uint64_t digit = 0;
        while (digit < DIGITS - 1 && (uint64_t)seen[digit] < wanted)
            wanted -= (uint64_t)seen[digit++];
        prefix = prefix << DIGIT_BITS | digit;
    }
    return prefix;
}
