/* smallest: the m smallest of 64-bit hashes that are spread over the ranks. */
#ifndef MPIVF_BUILD_SMALLEST_H
#define MPIVF_BUILD_SMALLEST_H

#include <mpivf/par.h>

/*
 * The value at or below which exactly `wanted` of all ranks' hashes lie (all of them different),
 * UINT64_MAX when there are no more than `wanted`. hash(arg, i) gives this rank's i-th,
 * 0 <= i < count; nothing is stored: five rounds count digits, 64 KiB summed in each.
 * Collective, agreed.
 */
uint64_t
mpivf_smallest_all(const struct mpivf_par *par, uint64_t (*hash)(void *arg, size_t i), void *arg,
                   size_t count, uint64_t wanted);

#endif
