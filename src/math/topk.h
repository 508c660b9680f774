/*
 * topk: for each query the k nearest rows so far, as intervals.
 *
 * An entry knows that its canonical distance lies in [lo, hi]. It is resolved when lo == hi:
 * then `id` is the row's id. Before, `id` is its place in the base set at hand, and it has to
 * be resolved before that set goes. Between sets all entries are resolved.
 *
 * Order is by (distance, id): the set of the k best does not depend on the order of arrival.
 *
 * Memory: 24 bytes x room a query, room = max(2 k, k + 64).
 */
#ifndef MPIVF_MATH_TOPK_H
#define MPIVF_MATH_TOPK_H

#include <mpivf/context.h>

#include <stdbool.h>

struct mpivf_candidate {
    double lo, hi;
    int64_t id;
};

struct mpivf_topk {
    size_t queries, k, room;
    struct mpivf_candidate *entry; /* owned, [queries, room] */
    uint32_t *count;               /* owned, [queries], each <= room */
    double *limit;                 /* owned, [queries]: nothing with lo above it is among the k */
};

/* Bytes that a query takes. */
size_t
mpivf_topk_query_bytes(size_t k);

/* Empty, for `queries` queries. Release with mpivf_topk_clear, also after failure. Local. */
mpivf_status
mpivf_topk_init(struct mpivf_context *ctx, struct mpivf_topk *topk, size_t queries, size_t k);

void
mpivf_topk_clear(struct mpivf_context *ctx, struct mpivf_topk *topk);

/* Forget all entries. */
void
mpivf_topk_reset(struct mpivf_topk *topk);

/*
 * Put the k smallest of n entries first (in no order), by hi when `by_hi`, else by (lo, id).
 * Expected linear.
 */
void
mpivf_topk_select(struct mpivf_candidate *entry, size_t n, size_t k, bool by_hi);

/* Sort resolved entries by (distance, id). */
void
mpivf_topk_sort(struct mpivf_candidate *entry, size_t n);

/* Keep the k best resolved entries of query q and set its limit. */
void
mpivf_topk_settle(struct mpivf_topk *topk, size_t q);

/*
 * The entries as a block that ranks can join: [queries, k] sorted, missing ones with id -1 and
 * an infinite distance.
 */
void
mpivf_topk_export(struct mpivf_topk *topk, struct mpivf_candidate *block);

struct mpivf_topk_block {
    size_t queries, k;
    struct mpivf_candidate *scratch; /* [k] */
};

/* For mpivf_tree_all: join two such blocks into the first. `arg` is a mpivf_topk_block. */
void
mpivf_topk_join(void *arg, void *data, const void *other);

#endif
