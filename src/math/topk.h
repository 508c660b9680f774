/*
 * topk: for each query the k nearest rows so far, and how many more lie just as far as the k-th.
 *
 * Order is by (distance, id): neither the set of the k best nor the count of ties depends on the
 * order of arrival.
 *
 * Memory: 16 bytes x room + 20 a query, room = max(2 k, k + 64).
 */
#ifndef MPIVF_MATH_TOPK_H
#define MPIVF_MATH_TOPK_H

#include "base/pool.h"

struct mpivf_candidate {
    double distance;
    int64_t id;
};

struct mpivf_topk {
    size_t queries, k, room;
    struct mpivf_candidate *entry; /* owned, [queries, room] */
    uint32_t *count;               /* owned, [queries], each < room */
    double *limit;                 /* owned, [queries]: nothing beyond it is among the k */
    uint64_t *tied;                /* owned, [queries]: rows dropped at exactly `limit` */
    struct mpivf_pool pool;        /* of what is owned */
};

/* Bytes that a query takes. Local. */
size_t
mpivf_topk_query_bytes(size_t k);

/* Take or count what is owned, where a module has this among its buffers; then reset it. Local. */
void
mpivf_topk_lay_out(struct mpivf_topk *topk, struct mpivf_pool *pool, size_t queries, size_t k);

/* Empty, for `queries` queries. Release with mpivf_topk_clear, also after failure. Local. */
mpivf_status
mpivf_topk_init(struct mpivf_context *ctx, struct mpivf_topk *topk, size_t queries, size_t k);

void
mpivf_topk_clear(struct mpivf_topk *topk);

/* Forget all entries. Local. */
void
mpivf_topk_reset(struct mpivf_topk *topk);

/* Keep the k best of query q, set its limit and count the ties that go. Local. */
void
mpivf_topk_settle(struct mpivf_topk *topk, size_t q);

/* Offer a row. Each row once. */
static inline void
mpivf_topk_add(struct mpivf_topk *topk, size_t q, double distance, int64_t id)
{
    if (distance > topk->limit[q])
        return;
    topk->entry[q * topk->room + topk->count[q]++] = (struct mpivf_candidate){distance, id};
    if (topk->count[q] == topk->room)
        mpivf_topk_settle(topk, q);
}

/* Settle when that brings the limit down enough to be worth it: after a batch of rows. Local. */
void
mpivf_topk_tighten(struct mpivf_topk *topk, size_t q);

/* Put the k smallest of n entries first, in no order. Expected linear. Local. */
void
mpivf_topk_select(struct mpivf_candidate *entry, size_t n, size_t k);

/* Sort entries. Local. */
void
mpivf_topk_sort(struct mpivf_candidate *entry, size_t n);

/*
 * The entries as a block that can be joined and stored: [queries, k + 1], the k best sorted,
 * missing ones with id -1 and an infinite distance; the last has the k-th distance and, as id, the
 * number of rows beyond the k that are at that distance. Local.
 */
void
mpivf_topk_export(struct mpivf_topk *topk, struct mpivf_candidate *block);

/* Offer query q one row of such a block, over other rows. Local. */
void
mpivf_topk_import(struct mpivf_topk *topk, size_t q, const struct mpivf_candidate *row);

struct mpivf_topk_block {
    size_t queries, k;
    struct mpivf_candidate *scratch; /* [k] */
};

/* For mpivf_tree_all: join two such blocks, over different rows, into the first. Local. */
void
mpivf_topk_join(void *arg, void *data, const void *other);

#endif
