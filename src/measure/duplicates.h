/*
 * duplicates: how many base rows equal a query, bit for bit. A hash table of the queries, one
 * look-up a row. Memory: 20 to 28 bytes a query and 8 for each of its counts.
 */
#ifndef MPIVF_MEASURE_DUPLICATES_H
#define MPIVF_MEASURE_DUPLICATES_H

#include "base/pool.h"

struct mpivf_duplicates {
    size_t row_bytes, queries, capacity, segments, slots;
    const char *query;      /* not owned, [queries] rows */
    uint64_t *hash;         /* owned, [capacity] */
    uint32_t *slot;         /* owned, [slots]: query + 1, 0 = free */
    uint32_t *like;         /* owned, [capacity]: the first query that equals this one */
    int64_t *count;         /* owned, [segments, capacity], of the first of its kind */
    struct mpivf_pool pool; /* of what is owned */
};

/* Bytes of a query, at most. Local. */
size_t
mpivf_duplicates_query_bytes(size_t segments);

/* Release with mpivf_duplicates_clear, also after failure. queries < 2^31. Local. */
mpivf_status
mpivf_duplicates_init(struct mpivf_context *ctx, struct mpivf_duplicates *duplicates,
                      size_t row_bytes, size_t capacity, size_t segments);
void
mpivf_duplicates_clear(struct mpivf_duplicates *duplicates);

/* Begin with these queries and no rows. Local. */
void
mpivf_duplicates_reset(struct mpivf_duplicates *duplicates, const void *query, size_t queries);

/* Count rows of a segment. Local. */
void
mpivf_duplicates_rows(struct mpivf_duplicates *duplicates, size_t segment, const void *row,
                      size_t rows, int threads);

/* The count of one query so far. */
static inline int64_t
mpivf_duplicates_of(const struct mpivf_duplicates *duplicates, size_t segment, size_t q)
{
    return duplicates->count[segment * duplicates->capacity + duplicates->like[q]];
}

/* Add what was counted elsewhere, over other rows. Local. */
void
mpivf_duplicates_add(struct mpivf_duplicates *duplicates, size_t segment, size_t q, int64_t count);

#endif
