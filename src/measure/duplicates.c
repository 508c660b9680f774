#include "measure/duplicates.h"

#include "io/checksum.h"

#include <stdbool.h>
#include <string.h>

/* A power of two that leaves half of the slots free. */
static size_t
slots_for(size_t queries)
{
    size_t slots = 16;
    while (slots < 2 * queries)
        slots *= 2;
    return slots;
}

static void
lay_out(struct mpivf_duplicates *duplicates, struct mpivf_pool *pool, size_t row_bytes,
        size_t capacity, size_t segments)
{
    *duplicates = (struct mpivf_duplicates){.row_bytes = row_bytes,
                                            .capacity = capacity,
                                            .segments = segments,
                                            .slots = slots_for(capacity)};
    duplicates->hash = mpivf_pool_take(pool, capacity, sizeof *duplicates->hash);
    duplicates->slot = mpivf_pool_take(pool, duplicates->slots, sizeof *duplicates->slot);
    duplicates->like = mpivf_pool_take(pool, capacity, sizeof *duplicates->like);
    duplicates->count = mpivf_pool_take(pool, segments * capacity, sizeof *duplicates->count);
}

static size_t
bytes_for(size_t capacity, size_t segments)
{
    struct mpivf_duplicates duplicates;
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(&duplicates, &pool, 0, capacity, segments);
    return pool.bytes;
}

size_t
mpivf_duplicates_query_bytes(size_t segments)
{
    enum { MANY = 4097 }; /* one more than a power of two has the most slots for each */
    return mpivf_pool_slope(bytes_for(MANY, segments), bytes_for(0, segments), MANY) + 1;
}

mpivf_status
mpivf_duplicates_init(struct mpivf_context *ctx, struct mpivf_duplicates *duplicates,
                      size_t row_bytes, size_t capacity, size_t segments)
{
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "the table of queries");
    lay_out(duplicates, &pool, row_bytes, capacity, segments);
    duplicates->pool = pool;
    return mpivf_pool_status(&pool);
}

void
mpivf_duplicates_clear(struct mpivf_duplicates *duplicates)
{
    mpivf_pool_clear(&duplicates->pool);
    memset(duplicates, 0, sizeof *duplicates);
}

/* The slot that has a row like this one, or the free one where it belongs. */
static size_t
find(const struct mpivf_duplicates *duplicates, const void *row, uint64_t hash)
{
    size_t bytes = duplicates->row_bytes, at = hash & (duplicates->slots - 1);
    for (;; at = (at + 1) & (duplicates->slots - 1)) {
        uint32_t there = duplicates->slot[at];
        if (there == 0 || (duplicates->hash[there - 1] == hash &&
                           memcmp(duplicates->query + (there - 1) * bytes, row, bytes) == 0))
            return at;
    }
}

void
mpivf_duplicates_reset(struct mpivf_duplicates *duplicates, const void *query, size_t queries)
{
    duplicates->query = query;
    duplicates->queries = queries;
    memset(duplicates->slot, 0, duplicates->slots * sizeof *duplicates->slot);
    memset(duplicates->count, 0,
           duplicates->segments * duplicates->capacity * sizeof *duplicates->count);
    for (size_t q = 0; q < queries; q++) {
        const char *row = duplicates->query + q * duplicates->row_bytes;
        duplicates->hash[q] = mpivf_checksum_of(row, duplicates->row_bytes);
        size_t at = find(duplicates, row, duplicates->hash[q]);
        if (duplicates->slot[at] == 0)
            duplicates->slot[at] = (uint32_t)q + 1;
        duplicates->like[q] = duplicates->slot[at] - 1;
    }
}

void
mpivf_duplicates_rows(struct mpivf_duplicates *duplicates, size_t segment, const void *row,
                      size_t rows, int threads)
{
    int64_t *count = duplicates->count + segment * duplicates->capacity;
    size_t bytes = duplicates->row_bytes;
#pragma omp parallel for num_threads(threads) if (threads > 1 && rows > 1024)
    for (size_t i = 0; i < rows; i++) {
        const char *one = (const char *)row + i * bytes;
        uint64_t hash = mpivf_checksum_of(one, bytes);
        uint32_t there = duplicates->slot[find(duplicates, one, hash)];
        if (there == 0)
            continue;
#pragma omp atomic
        count[there - 1]++;
    }
}

void
mpivf_duplicates_add(struct mpivf_duplicates *duplicates, size_t segment, size_t q, int64_t count)
{
    if (duplicates->like[q] == q) /* those that equal it have the same count */
        duplicates->count[segment * duplicates->capacity + q] += count;
}
