/*
 * pending: rows that may be among the k nearest of a query, held by what a filter tells of them.
 *
 * While rows go by, their canonical distances are not computed: k rows whose upper bounds are known
 * are a limit already, and it falls with every row that is nearer. At the end few rows more than
 * the k nearest are below it, and those are computed, the nearest first. How many that are depends
 * on how tight the bounds are, not on how many rows came by; but for each slab of rows anew, so
 * that n slabs cost 1 + ln(n) times as many as one.
 *
 * A query has room for so many rows. When it is full and nothing can be dropped, what is there is
 * computed early; so it is for a k that is too large for limits by upper bounds.
 *
 * Memory: 3 MiB for one thread, whatever k is. For large k fewer queries are worked on together. Or
 * 38 k + 2,200 bytes for each place, of a known k.
 */
#ifndef MPIVF_MATH_PENDING_H
#define MPIVF_MATH_PENDING_H

#include "math/prepare.h"
#include "math/topk.h"

enum { MPIVF_PENDING_QUERIES = 512 }; /* together, at most */

/* What is compared, on whose behalf. */
struct mpivf_pending_scan {
    const struct mpivf_packed_queries *queries;
    const struct mpivf_packed_rows *packed;
    struct mpivf_topk *topk;
    const int64_t *own; /* own[q] is the id that query q must not find; NULL: none */
};

struct mpivf_pending {
    float *value;        /* owned, [queries, room]: of the comparison; the rows that are held */
    uint32_t *row;       /* owned, the same */
    uint32_t *held;      /* owned, [queries]: how many */
    float *upper;        /* owned, [queries, bounds]: the smallest upper bounds, rounded up */
    uint32_t *uppers;    /* owned, [queries]: how many */
    uint32_t *due;       /* owned, [queries]: so many are worth a lower limit; 0: none are kept */
    double *limit;       /* owned, [queries]: k rows are known to be that near */
    size_t room, bounds; /* of each query */
    uint64_t computed;   /* canonical distances, added to */
};

/* Take or count one for each thread, among the buffers of a module; NULL as of the pool. Local. */
struct mpivf_pending *
mpivf_pending_take(struct mpivf_pool *pool, int threads);

/* The same with so many places, and room for k neighbours in each. Local. */
void
mpivf_pending_lay_out(struct mpivf_pending *pending, struct mpivf_pool *pool, size_t places,
                      size_t k);

/* How many queries are worked on together: some groups. Local. */
size_t
mpivf_pending_queries(size_t k);

/* Nothing is held for query q. `place` counts the queries that are worked on together. Local. */
void
mpivf_pending_begin(struct mpivf_pending *pending, const struct mpivf_pending_scan *scan, size_t q,
                    size_t place);

/* The same where places have room for a known k. Local. */
void
mpivf_pending_empty(struct mpivf_pending *pending, const struct mpivf_topk *topk, size_t q,
                    size_t place);

/* No row that is farther can be among the k nearest. */
static inline double
mpivf_pending_limit(const struct mpivf_pending *pending, const struct mpivf_pending_scan *scan,
                    size_t q, size_t place)
{
    double limit = pending->limit[place], known = scan->topk->limit[q];
    return limit < known ? limit : known;
}

/*
 * Hold n rows of the packed ones for query q, with the values of the comparison. `upper` tells
 * upper bounds of the distances where the values are not of a comparison of q; else NULL. Local.
 */
void
mpivf_pending_put(struct mpivf_pending *pending, const struct mpivf_pending_scan *scan, size_t q,
                  size_t place, const uint32_t *row, const float *value, const double *upper,
                  size_t n);

/* Compute what is left of query q and offer it to its topk; nothing is held then. Local. */
void
mpivf_pending_settle(struct mpivf_pending *pending, const struct mpivf_pending_scan *scan, size_t q,
                     size_t place);

#endif
