/*
 * mirror: rows that are queries too, each pair of them compared once.
 *
 * Queries 0 .. n - 1 lie on a circle, and each is compared with those rows that are the n / 2
 * queries before it; row j learns from the same comparisons of the n / 2 queries after it. Which
 * pairs are compared for a row is told by n alone: slabs, ranks and runs that share the rows out
 * leave no pair out and take none twice, as long as all go by the same circle.
 *
 * Some rows of the circle are there at a time, a slab. What is found for those, from either side,
 * is held as pending.h does until all queries were compared with the slab; the other queries know
 * nothing of mirrors. Each row has a reach, from its limit, which the comparison takes beside the
 * query's.
 *
 * Any thread may find something for any row, and holds the row while it does.
 *
 * Memory: 38 k + 2,200 bytes for each row (pending.h), 4 for each query.
 */
#ifndef MPIVF_MATH_MIRROR_H
#define MPIVF_MATH_MIRROR_H

#include "math/pending.h"

struct mpivf_mirror {
    size_t n;                         /* queries of the circle, those from 0 on */
    size_t rows;                      /* of them that are there */
    struct mpivf_packed_rows as_rows; /* the queries as rows: a view of their raw values and ids */
    struct mpivf_pending_scan scan;   /* of these rows as queries */
    struct mpivf_pending *pending;    /* owned: for each thread a view of the same, which counts */
    uint32_t *query;                  /* owned, [rows]: which query a row is; ascending */
    uint32_t *row;                    /* owned, [queries]: which row a query is; UINT32_MAX: none */
    float *reach;                     /* owned, [rows]; read by any thread */
    char *busy;                       /* owned, [rows]: a thread holds this row */
};

/*
 * Take or count what is owned, for so many queries and rows at most and k neighbours, and
 * `threads` that compare. Local.
 */
void
mpivf_mirror_lay_out(struct mpivf_mirror *mirror, struct mpivf_pool *pool, size_t queries,
                     size_t rows, size_t k, int threads);

/*
 * The next rows: row i, of `rows`, is query number[i] - first, below n; numbers ascend. What is
 * found for them goes to `topk`, whose ids are those numbers. `queries` and `topk` are used until
 * mpivf_mirror_settle. Local.
 */
void
mpivf_mirror_begin(struct mpivf_mirror *mirror, const struct mpivf_packed_queries *queries,
                   struct mpivf_topk *topk, const uint64_t *number, size_t rows, uint64_t first,
                   size_t n);

/* Compute what is left and offer it to topk. Local. */
void
mpivf_mirror_settle(struct mpivf_mirror *mirror, int threads);

/* Is query i a row? */
static inline bool
mpivf_mirror_is_row(const struct mpivf_mirror *mirror, size_t i)
{
    return mirror->row[i] != UINT32_MAX;
}

/* Is query i compared with the row that is query j? Of i and j, either with the other. */
static inline bool
mpivf_mirror_has(const struct mpivf_mirror *mirror, size_t i, size_t j)
{
    size_t n = mirror->n, before = i >= j ? i - j : i + n - j;
    return before > 0 && (2 * before < n || (2 * before == n && i > j));
}

/* Is any of queries [i, end) compared with one of these rows, `rows` from `at` on? Local. */
bool
mpivf_mirror_any(const struct mpivf_mirror *mirror, size_t i, size_t end, size_t at, size_t rows);

/* The reach of a row, as it is now. */
static inline float
mpivf_mirror_reach(const struct mpivf_mirror *mirror, size_t row)
{
    float reach;
    __atomic_load(&mirror->reach[row], &reach, __ATOMIC_RELAXED);
    return reach;
}

/* That of n rows from `at` on; of rows past the end none. Local. */
void
mpivf_mirror_reaches(const struct mpivf_mirror *mirror, size_t at, size_t n, float *reach);

/* A limit for query i, which is a row. Local. */
double
mpivf_mirror_limit(const struct mpivf_mirror *mirror, size_t i);

/*
 * Query i was compared with a row, and the value left the pair: hold it for the query, which is a
 * row too, or back for the row. By any thread of the team that compares. Local.
 */
void
mpivf_mirror_put(struct mpivf_mirror *mirror, const struct mpivf_packed_rows *packed, size_t i,
                 size_t row, float value);
void
mpivf_mirror_put_back(struct mpivf_mirror *mirror, const struct mpivf_packed_rows *packed, size_t i,
                      size_t row, float value);

#endif
