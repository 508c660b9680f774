#include "base/pool.h"

/* In front of a buffer; mpivf_alloc aligns to as much. */
struct link {
    void *before;
    char pad[64 - sizeof(void *)];
};

void *
mpivf_pool_take(struct mpivf_pool *pool, size_t count, size_t size)
{
    size_t bytes;
    bool vast = __builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 4;
    if (vast)
        bytes = SIZE_MAX / 4; /* which no budget has */
    size_t cost = mpivf_alloc_bytes(bytes + sizeof(struct link));
    pool->bytes = pool->bytes > SIZE_MAX / 4 - cost ? SIZE_MAX / 4 : pool->bytes + cost;
    if (pool->ctx == NULL || pool->failed)
        return NULL;
    struct link *link =
        mpivf_alloc(pool->ctx, pool->what, 1, vast ? SIZE_MAX : bytes + sizeof *link);
    pool->failed = link == NULL;
    if (pool->failed)
        return NULL;
    link->before = pool->last;
    pool->last = link;
    return link + 1;
}

void
mpivf_pool_clear(struct mpivf_pool *pool)
{
    while (pool->last) {
        struct link *link = pool->last;
        pool->last = link->before;
        mpivf_free(pool->ctx, link);
    }
    pool->bytes = 0;
    pool->failed = false;
}
