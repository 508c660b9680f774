/* checksum: XXH3, 64 bits (xxHash 0.8, a frozen format). Finds damage; not a signature. */
#ifndef MPIVF_IO_CHECKSUM_H
#define MPIVF_IO_CHECKSUM_H

#include "base/pool.h"

struct mpivf_checksum; /* a running sum over pieces */

/* Started, from a pool; NULL as mpivf_pool_take has it. Local. */
struct mpivf_checksum *
mpivf_checksum_take(struct mpivf_pool *pool);

void
mpivf_checksum_start(struct mpivf_checksum *sum);

void
mpivf_checksum_add(struct mpivf_checksum *sum, const void *data, size_t bytes);

uint64_t
mpivf_checksum_value(const struct mpivf_checksum *sum);

/* Of one piece of memory, in one go. Local. */
uint64_t
mpivf_checksum_of(const void *data, size_t bytes);

#endif
