/*
 * prepare: both sides of a comparison, brought into a form that bounds every distance cheaply.
 *
 * A filter approximates inner products of centred vectors and says how far off it can be. What
 * the bound cannot exclude is computed canonically (distance.h), so every filter gives the result
 * of the float64 brute force with ties by id, and only speed depends on which one is used.
 *
 * The bound. Let m be any centre, u = 2^-24, q' = fl(q - m), y' = fl(y - m) (for ip q' = q): each
 * component is off by a relative u, so q - y differs from q' - y' by a vector no longer than
 * u s, s = |q'| + |y'|. Let g be what the filter computes for <q', y'>.
 *
 *   int7, int8, int16: q' = a Q + e, y' = b Y + f with Q, Y integer vectors and a, b floats of each
 *     row; g = a b <Q, Y>, the integer sum exact. <q', y'> - g = <e, y'> + <a Q, f>, so by Cauchy
 *     and Schwarz |<q', y'> - g| <= |e| |y'| + |a Q| |f|, with |a Q| <= |q'| + |e|. Residuals are
 *     computed with the row and rounded up. int7 and int8 scale a row's largest value to 63 and
 *     127; int16 scales |Q| below 46340, so that a sum fits 32 bits whatever the dimension (it may
 *     wrap on the way).
 *   float32, sgemm: in any order, fused or not, |g - <q', y'>| <= gamma_d |q'| |y'| with gamma_d =
 *     d u / (1 - d u) (Higham 2002, 3.1), because sum |q'_i y'_i| <= |q'| |y'|; e = f = 0.
 *
 * l2: |q' - y'|^2 = |q'|^2 + |y'|^2 - 2 <q', y'>. Centring costs at most (2 u + u^2) s^2, rounding
 * |y'|^2 to float u s^2, gamma_d s^2 / 2 where there is one. The comparison's float evaluation
 * takes at most 8 roundings of partial sums: for floats less than 4 u s^2 in all, for integers,
 * since |a Q| <= 2 |q'| and |e| <= |q'|, each is below 4.5 s^2. With the float64 rounding of the
 * canonical distance (about d 2^-53) all of it is less than kappa s^2,
 *     kappa = 1.02 (gamma_d / 2 + 12 u) for floats (infinite from d = 2^23 on), 96 u for integers.
 * ip: the same with |q| |y'| for s^2 and kappa = 1.02 (gamma_d + 12 u), 96 u (the partial sums of
 * integers are below 7 |q| |y'|); <q, m> is added in float64, at most d 2^-52 |q| (|m| + |y|) off.
 * cosine is ip of unit vectors; rounding those to float costs 2.02 u more, counted as 4 u.
 * The float64 rounding of norms, of lower bounds and of limits is in the factors 1 + 2^-40 and the
 * terms of 2^-50 and 2^-51 beside them. Products too small for float32 are covered by
 * (d + 16) 2^-126; where |q'|^2 or |y'|^2 exceeds 1e37 a sum could overflow, and the pair is
 * computed.
 *
 * Float64 rows. m is float64 too, and y' = fl(fl64(y - m)) is rounded to float32 once: y itself is
 * never, so a large offset costs nothing. Now a component of y - m - y' is at most
 * (u + 2^-52) |y'_i| + 2^-150, the last where y'_i is below float32's normal range (with float32
 * rows such differences are exact). What that adds:
 *   2^-52 beside u = 2^-24: nothing that the roundings counted above leave no room for;
 *   l2: a vector no longer than 2 sqrt(d) 2^-150 on s. It changes |q' - y'|^2 by at most
 *     sqrt(d) 2^-148 s + d 2^-298; that is below u s^2 where s > sqrt(d) 2^-124, else below
 *     d 2^-126: kappa counts 7 u for floats (40 u for integers) out of its 12 u (96 u);
 *   ip, cosine: q' = fl(q) is no longer q, and y' not y - m. With <q, m> taken of q itself,
 *     |<q, y - m> - <q', y'>| <= 2 u |q'| |y'|, one u more than above and in kappa's room, and
 *     sqrt(d) 2^-150 of each of |q'|, which is added to `error`, and |y'|, to `per_norm`, both
 * twice.
 *   cosine: q and y are divided by their lengths in float64, which the terms of 2^-51 cover, and
 *     rounded as above: 4 u is not needed. A row whose <x, x> is below 2^-960, so that float64 adds
 *     it up with a loss, is made infinite.
 * What is infinite as float32 has an infinite |y'|^2: the pair is computed.
 *
 * From the other side. Where row y is a query too, the same comparison tells of the distance from y
 * to q: a canonical distance has the same bits from either side, as (q_i - y_i)^2, q_i y_i and
 * <q, q> <y, y> have, so a pair's lower and upper bound hold for both. For a limit L of y the pair
 * has to stay where value + shift_q - error_q <= L. In float32 that is value <= R + A with R of L
 * and A of error_q - shift_q, each raised by 2^-22 of its size: rounding R, A and their sum takes
 * 2^-24 of |R|, of |A| and of |R + A| <= |R| + |A|, and may be paid twice from what was added.
 *
 * A first look. Rows may have words of two kinds: those of the row, and before them those of the
 * projected row (project.h), fewer and compared first. The bound of the first is that above with
 * the projected vectors in place of q' and y' in the products, their lengths where these are
 * larger, and the slack of projecting, for each unit of |q'| |y'|, beside kappa; the squares are
 * those of the whole rows. Words of rows that are only looked at where the first look leaves them
 * lie row after row.
 */
#ifndef MPIVF_MATH_PREPARE_H
#define MPIVF_MATH_PREPARE_H

#include "base/pool.h"
#include "math/distance.h"
#include "math/filter.h"
#include "math/kernel.h"
#include "math/project.h"

#include <mpivf/context.h>
#include <mpivf/type.h>

#include <math.h>
#include <stdbool.h>

/* What a query brings to a comparison beside its words; one cache line. */
struct mpivf_bounds {
    double shift;       /* what a compared value lacks to be a lower bound */
    double error;       /* error that does not depend on y */
    double square;      /* <q, q>, canonical, cosine only */
    double upper_error; /* the part of an upper bound that does not depend on y */
    float scale;        /* of the integers, twice that for l2 */
    float per_norm;     /* error allowed for each unit of |y'| */
    float per_residual; /* and for each unit of |f| */
    int32_t start;      /* where integer sums begin */
};

/* How rows are looked at first; NULL where they are not. */
struct mpivf_first {
    const struct mpivf_filter *filter; /* of integers, like that of the second look */
    struct mpivf_projection projection;
};

/* The query side, prepared. */
struct mpivf_packed_queries {
    enum mpivf_metric metric;
    const struct mpivf_filter *filter;
    size_t dim, rows, capacity;
    size_t values, steps; /* what the filter sees of a row: so many values, in so many words */
    struct mpivf_raw raw; /* not owned, [rows, dim] */
    int threads;
    char *word;                                /* owned, [capacity, steps] words */
    char *work;                                /* owned, what each thread works with */
    struct mpivf_bounds *bound;                /* owned, [capacity] */
    struct mpivf_packed_queries *first;        /* owned: projected; NULL: there is one look */
    const struct mpivf_projection *projection; /* not owned, of `first` */
    struct mpivf_pool pool;                    /* of what is owned */
};

/* The side of the rows, prepared. */
struct mpivf_packed_rows {
    enum mpivf_metric metric;
    const struct mpivf_filter *filter;
    size_t dim, rows, capacity;
    size_t values, steps; /* what the filter sees of a row: so many values, in so many words */
    double kappa;         /* of filter and metric */
    double per_square;    /* error allowed for each unit of |y'|^2 */
    int threads;
    struct mpivf_raw raw; /* not owned, [rows, dim] */
    char *word; /* owned: panels (kernel.h), [rows, dim] floats for sgemm, rows for a second look */
    char *work; /* owned: what each thread works with */
    float *term;       /* owned: |y'|^2 less its error, l2 only */
    float *scale;      /* owned: of the integers; 1 for floats */
    float *norm;       /* owned: |y'| rounded up */
    float *residual;   /* owned: |f| rounded up */
    const int64_t *id; /* not owned, [rows]; NULL: id = first_id + row */
    int64_t first_id;
    const uint32_t
        *subset; /* not owned, [rows]: which row of `raw`, and the id; NULL: the row itself */
    struct mpivf_packed_rows *first;           /* owned: projected; NULL: there is one look */
    const struct mpivf_projection *projection; /* not owned, of `first` */
    struct mpivf_pool pool;                    /* of what is owned */
};

/* Bytes a row takes on either side at most, raw rows not counted. Local. */
size_t
mpivf_prepare_row_bytes(size_t dim);

/* Bytes a query takes for this filter. Local. */
size_t
mpivf_prepare_query_bytes(const struct mpivf_filter *filter, size_t dim);

/* Bytes that both sides together take beside their rows; and where there is a first look. Local. */
size_t
mpivf_prepare_fixed_bytes(size_t dim, int threads);
size_t
mpivf_prepare_first_bytes(size_t dim, int threads);

/*
 * Take or count what is owned, where a module has these among its buffers; `pool` is then the
 * module's, and there is nothing to clear. `threads` prepare; `first`, which is kept, may be NULL.
 * Local.
 */
void
mpivf_packed_queries_lay_out(struct mpivf_packed_queries *queries, struct mpivf_pool *pool,
                             enum mpivf_metric metric, const struct mpivf_filter *filter,
                             size_t dim, size_t capacity, const struct mpivf_first *first,
                             int threads);
void
mpivf_packed_rows_lay_out(struct mpivf_packed_rows *packed, struct mpivf_pool *pool,
                          enum mpivf_metric metric, const struct mpivf_filter *filter, size_t dim,
                          size_t capacity, const struct mpivf_first *first, int threads);

mpivf_status
mpivf_packed_queries_init(struct mpivf_context *ctx, struct mpivf_packed_queries *queries,
                          enum mpivf_metric metric, const struct mpivf_filter *filter, size_t dim,
                          size_t capacity);
void
mpivf_packed_queries_clear(struct mpivf_packed_queries *queries);

/* Rows are prepared with ctx->threads threads. Local. */
mpivf_status
mpivf_packed_rows_init(struct mpivf_context *ctx, struct mpivf_packed_rows *packed,
                       enum mpivf_metric metric, const struct mpivf_filter *filter, size_t dim,
                       size_t capacity);
void
mpivf_packed_rows_clear(struct mpivf_packed_rows *packed);

/*
 * Take over `rows` raw rows (kept by the caller while in use). The same centre on both sides; rows
 * and centre, on both sides, of one type. Local.
 */
void
mpivf_packed_queries_fill_raw(struct mpivf_packed_queries *queries, struct mpivf_raw raw,
                              size_t rows, struct mpivf_raw centre);
void
mpivf_packed_rows_fill_raw(struct mpivf_packed_rows *packed, struct mpivf_raw raw, size_t rows,
                           struct mpivf_raw centre, const int64_t *id, int64_t first);

/* The same of float32. */
static inline void
mpivf_packed_queries_fill(struct mpivf_packed_queries *queries, const float *raw, size_t rows,
                          const float *centre)
{
    mpivf_packed_queries_fill_raw(queries, mpivf_raw_of(false, raw), rows,
                                  mpivf_raw_of(false, centre));
}

static inline void
mpivf_packed_rows_fill(struct mpivf_packed_rows *packed, const float *raw, size_t rows,
                       const float *centre, const int64_t *id, int64_t first)
{
    mpivf_packed_rows_fill_raw(packed, mpivf_raw_of(false, raw), rows, mpivf_raw_of(false, centre),
                               id, first);
}

/*
 * Take over n of the rows that `from`, of the same shape and filter, has prepared; `subset` is kept
 * by the caller while in use. A row's id is its number in `from`. Local.
 */
void
mpivf_packed_rows_subset(struct mpivf_packed_rows *packed, const struct mpivf_packed_rows *from,
                         const uint32_t *subset, size_t n);

/*
 * `panels` panels of packed rows from row `at` on, a multiple of MPIVF_PANEL, or as many rows one
 * after the other. A view.
 */
static inline struct mpivf_panels
mpivf_prepare_panels(const struct mpivf_packed_rows *packed, size_t at, size_t panels)
{
    return (struct mpivf_panels){.word = packed->word + at * packed->steps * 4,
                                 .term = packed->term + at,
                                 .scale = packed->scale + at,
                                 .norm = packed->norm + at,
                                 .residual = packed->residual + at,
                                 .panels = panels,
                                 .steps = packed->steps,
                                 .stride = packed->steps};
}

/* Put query q into place i of a group, for rows of at most that distance. Local. */
void
mpivf_prepare_group(const struct mpivf_packed_queries *queries, size_t q, double limit,
                    struct mpivf_group *group, size_t i);

/*
 * The largest value of the filter's comparison that a distance of at most `limit` can have. Local.
 */
float
mpivf_prepare_limit(const struct mpivf_packed_queries *queries, size_t q, double limit);

/* A value of the comparison that stands for this lower bound, or for one hardly below. Local. */
float
mpivf_prepare_value(const struct mpivf_packed_queries *queries, size_t q, double lower);

/*
 * For rows that are queries too (kernel.h): a row of this limit is left by the comparison with any
 * query q that may be among its own nearest. Local.
 */
float
mpivf_prepare_reach(double limit);
float
mpivf_prepare_across(const struct mpivf_packed_queries *queries, size_t q);

/* The id of a packed row. */
static inline int64_t
mpivf_prepare_id(const struct mpivf_packed_rows *packed, size_t row)
{
    if (packed->subset)
        return packed->subset[row];
    return packed->id ? packed->id[row] : packed->first_id + (int64_t)row;
}

/* The bounds on the canonical distance that a value of the comparison stands for. */
static inline double
mpivf_prepare_lower(const struct mpivf_packed_queries *queries, size_t q, float value)
{
    return (double)value + queries->bound[q].shift - queries->bound[q].error;
}

/* The same from above; it depends on the row too. */
static inline double
mpivf_prepare_upper(const struct mpivf_packed_queries *queries, size_t q,
                    const struct mpivf_packed_rows *packed, size_t row, float value)
{
    const struct mpivf_bounds *bound = &queries->bound[q];
    double norm = (double)packed->norm[row];
    double error = (double)bound->per_norm * norm +
                   (double)bound->per_residual * (double)packed->residual[row] +
                   bound->upper_error + bound->error + packed->per_square * norm * norm;
    double upper = mpivf_prepare_lower(queries, q, value) + 2.01 * error;
    return isfinite(upper) ? upper : INFINITY;
}

#endif
