#include "io/checksum.h"

#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* shows the state's size, to place it in our own memory */
#include <xxhash.h>

struct mpivf_checksum {
    XXH3_state_t state;
};

struct mpivf_checksum *
mpivf_checksum_take(struct mpivf_pool *pool)
{
    struct mpivf_checksum *sum = mpivf_pool_take(pool, 1, sizeof *sum);
    if (sum) {
        memset(sum, 0, sizeof *sum);
        mpivf_checksum_start(sum);
    }
    return sum;
}

void
mpivf_checksum_start(struct mpivf_checksum *sum)
{
    XXH3_64bits_reset(&sum->state);
}

void
mpivf_checksum_add(struct mpivf_checksum *sum, const void *data, size_t bytes)
{
    XXH3_64bits_update(&sum->state, data, bytes);
}

uint64_t
mpivf_checksum_value(const struct mpivf_checksum *sum)
{
    return XXH3_64bits_digest(&sum->state);
}

uint64_t
mpivf_checksum_of(const void *data, size_t bytes)
{
    return XXH3_64bits(data, bytes);
}
