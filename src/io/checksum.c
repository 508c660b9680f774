#include "io/checksum.h"

#define XXH_STATIC_LINKING_ONLY /* shows the state's size, to place it in our own memory */
#include <xxhash.h>

struct mpivf_checksum {
    XXH3_state_t state;
};

struct mpivf_checksum *
mpivf_checksum_create(struct mpivf_context *ctx)
{
    struct mpivf_checksum *sum = mpivf_alloc_zero(ctx, "a checksum", 1, sizeof *sum);
    if (sum)
        mpivf_checksum_start(sum);
    return sum;
}

void
mpivf_checksum_destroy(struct mpivf_context *ctx, struct mpivf_checksum **sum)
{
    mpivf_free(ctx, *sum);
    *sum = NULL;
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
