/*
 * nearest: many queries against many rows, exactly.
 *
 * A filter (prepare.h has the bounds and their proof) excludes nearly all pairs. Those left are
 * held (pending.h) until all rows were seen, and those still left computed canonically and offered
 * to topk; or, where only the nearest row is asked for, compared as far as the bounds leave a
 * doubt. So the result is that of the float64 brute force with ties by id, and nothing about
 * filters, blocks, threads or ranks shows in it.
 *
 * Rows are taken in blocks whose words stay in the second-level cache, queries in groups of 8; rows
 * too long for that in parts.
 */
#ifndef MPIVF_MATH_NEAREST_H
#define MPIVF_MATH_NEAREST_H

#include "math/mirror.h"
#include "math/pending.h"

enum { MPIVF_ONE_QUERIES = 512 }; /* together, at most, where only the nearest is asked for */

/* Rows that may be the nearest of a query (nearest_one.h). */
struct mpivf_rivals {
    float *value;      /* owned, [queries, room]: of the comparison */
    uint32_t *row;     /* owned, the same */
    uint32_t *held;    /* owned, [queries]: how many */
    double *limit;     /* owned, [queries]: a row is known to be that near */
    uint64_t computed; /* distances, added to */
};

/* Room for one thread's work. */
struct mpivf_tile {
    float *product, *gather; /* owned, for sgemm */
    uint32_t *survivor;      /* owned, [MPIVF_GROUP, block] */
    uint64_t *mask;          /* owned, [MPIVF_GROUP, panels of a block] */
    float *value;            /* owned, [MPIVF_GROUP, block] */
    char *sums;              /* owned: of rows that go in parts */
    float *reach;            /* owned, [block]: of rows that are queries too */
    struct mpivf_rivals rivals;
};

/* Take or count one for each thread, among the buffers of a module; NULL as of the pool. Local. */
struct mpivf_tile *
mpivf_tile_take(struct mpivf_pool *pool, int threads, size_t dim);

/* What is scanned for. */
struct mpivf_scan_of {
    const uint32_t *subset; /* the queries by number; NULL: first..first + n - 1 */
    size_t first, n;
    const int64_t *own; /* own[q] is the id that query q must not find; NULL: none, or a mirror */
    struct mpivf_mirror *mirror; /* not owned, where the packed rows are queries too; else NULL */
};

/*
 * Compare the queries of `of` with all packed rows and update topk. One thread; different queries
 * may be scanned at the same time by others, with a tile and a pending of their own. With a mirror,
 * whose rows the packed ones are, each pair once for both, and queries are those of a range of the
 * circle; what is found for the rows is in the mirror. Local.
 */
void
mpivf_nearest_scan(const struct mpivf_packed_queries *queries, const struct mpivf_scan_of *of,
                   const struct mpivf_packed_rows *packed, struct mpivf_topk *topk,
                   struct mpivf_tile *tile, struct mpivf_pending *pending);

/*
 * What is known of a canonical l2 distance: lower <= distance <= upper. `computed`: from the values
 * themselves, in float32; else from what a filter saw.
 */
struct mpivf_interval {
    double lower, upper;
    bool computed;
};

/* That of two rows, from their values. Local. */
struct mpivf_interval
mpivf_nearest_interval(const float *query, const float *row, size_t dim);

/*
 * The nearest row so far of each query by canonical distance, ties to the smaller: UINT32_MAX, in
 * an interval of -INFINITY to INFINITY, at first. A query may come with a row, in any interval that
 * is true.
 */
struct mpivf_best {
    struct mpivf_interval *interval; /* of the queries of a scan, in its order */
    uint32_t *id;                    /* by number of the query */
};

/*
 * The same for the nearest row alone. Ids are numbers in packed->raw. What a query comes with saves
 * work: what is farther is not computed. For l2 and float32 rows only; `of->own` is not used.
 * Local.
 */
void
mpivf_nearest_one(const struct mpivf_packed_queries *queries, const struct mpivf_scan_of *of,
                  const struct mpivf_packed_rows *packed, const struct mpivf_best *best,
                  struct mpivf_tile *tile);

/* mpivf_nearest_scan with `threads` threads, a tile and a pending for each. Local. */
void
mpivf_nearest_scan_threads(const struct mpivf_packed_queries *queries,
                           const struct mpivf_scan_of *of, const struct mpivf_packed_rows *packed,
                           struct mpivf_topk *topk, struct mpivf_tile *tile,
                           struct mpivf_pending *pending, int threads);

#endif
