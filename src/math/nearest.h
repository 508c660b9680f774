/*
 * nearest: many queries against many rows, exactly.
 *
 * A tile of inner products in float32 (sgemm) bounds every distance from both sides; only pairs
 * that the bounds cannot decide are computed canonically (distance.h). So the result is that of
 * the float64 brute force with ties by id, at the speed of sgemm, and nothing about tiles,
 * threads or ranks shows in it.
 *
 * The bound. Let m be any centre, u = 2^-24, and for l2 q' = fl(q - m), y' = fl(y - m): each
 * component is off by a relative u, so q - y differs from q' - y' by a vector no longer than
 * u (|q'| + |y'|). sgemm in any order, fused or not, gives g with
 *     |g - <q', y'>| <= gamma_d |q'| |y'|,  gamma_d = d u / (1 - d u)       (Higham 2002, 3.1)
 * because sum |q'_i y'_i| <= |q'| |y'|. With s = |q'| + |y'|: 2 gamma_d |q'| |y'| <= gamma_d s^2 / 2,
 * the centring costs at most (2 u + u^2) s^2, rounding |y'|^2 to float u s^2, and the float
 * evaluation of the comparison less than 4 u s^2. All of it, and the float64 rounding of the
 * canonical distance itself (about d 2^-53), is less than
 *     kappa s^2,  kappa = 1.02 (d / 2 + 12) u.
 * ip (q is not centred): |q| |y'| (gamma_d + 4 u) < kappa |q| |y'| with kappa = 1.02 (d + 12) u, and
 * <q, m> is added in float64, at most d 2^-52 |q| (|m| + |y|) off. cosine is ip of unit vectors; rounding
 * those to float costs 2.02 u more, counted as 4 u. Products too small for float32 are covered by
 * (d + 16) 2^-126; where |q'|^2 or |y'|^2 exceeds 1e37 a sum could overflow, and the pair is computed.
 */
#ifndef MPIVF_MATH_NEAREST_H
#define MPIVF_MATH_NEAREST_H

#include "math/topk.h"

#include <mpivf/context.h>
#include <mpivf/type.h>

/* The query side, prepared. */
struct mpivf_queries {
    enum mpivf_metric metric;
    size_t dim, rows, capacity;
    const float *raw; /* not owned, [rows, dim] */
    float *work;      /* owned, [capacity, dim]: what sgemm sees */
    float *slope;     /* owned: error allowed for each unit of |y'| */
    double *norm;     /* owned: |work| rounded up */
    double *shift;    /* owned: what a compared value lacks to be a lower bound */
    double *pad;      /* owned: error that does not depend on y */
    double *square;   /* owned: <q, q>, canonical */
};

/* The side of the rows, prepared. */
struct mpivf_base {
    enum mpivf_metric metric;
    size_t dim, rows, capacity;
    const float *raw;  /* not owned, [rows, dim] */
    float *work;       /* owned, [capacity, dim] */
    float *norm;       /* owned: |work| rounded up */
    float *term;       /* owned: |work|^2 less its error, l2 only */
    const int64_t *id; /* not owned, [rows]; NULL: id = first + row */
    int64_t first;
};

/* Bytes a row takes on either side, raw rows not counted. */
size_t
mpivf_nearest_row_bytes(size_t dim);

mpivf_status
mpivf_queries_init(struct mpivf_context *ctx, struct mpivf_queries *queries,
                   enum mpivf_metric metric, size_t dim, size_t capacity);
void
mpivf_queries_clear(struct mpivf_context *ctx, struct mpivf_queries *queries);

mpivf_status
mpivf_base_init(struct mpivf_context *ctx, struct mpivf_base *base, enum mpivf_metric metric,
                size_t dim, size_t capacity);
void
mpivf_base_clear(struct mpivf_context *ctx, struct mpivf_base *base);

/* Mean of the rows as float32, a good centre; [dim]. For cosine, of the unit vectors. */
void
mpivf_nearest_centre(enum mpivf_metric metric, const float *raw, size_t rows, size_t dim,
                     float *centre);

/* Take over `rows` raw rows (kept by the caller while in use). The same centre on both sides. */
void
mpivf_queries_fill(struct mpivf_queries *queries, const float *raw, size_t rows,
                   const float *centre);
void
mpivf_base_fill(struct mpivf_base *base, const float *raw, size_t rows, const float *centre,
                const int64_t *id, int64_t first);

/* Room for one thread's tile. */
struct mpivf_tile {
    float *product, *gather; /* owned */
    uint32_t *keep;          /* owned */
};

mpivf_status
mpivf_tile_init(struct mpivf_context *ctx, struct mpivf_tile *tile, size_t dim);
void
mpivf_tile_clear(struct mpivf_context *ctx, struct mpivf_tile *tile);

/*
 * Compare n queries (numbers subset[0..n-1], or first..first+n-1 when subset is NULL) with all
 * base rows and update topk, whose entries are all resolved before and after. One thread;
 * different queries may be scanned at the same time by others.
 */
void
mpivf_nearest_scan(const struct mpivf_queries *queries, const uint32_t *subset, size_t first,
                   size_t n, const struct mpivf_base *base, struct mpivf_topk *topk,
                   struct mpivf_tile *tile);

/* The same for many queries with `threads` threads, `tile` one for each. */
void
mpivf_nearest_scan_threads(const struct mpivf_queries *queries, const uint32_t *subset, size_t n,
                           const struct mpivf_base *base, struct mpivf_topk *topk,
                           struct mpivf_tile *tile, int threads);

#endif
