/*
 * accumulator: what one rank knows of the answers to a range of queries while base rows go by.
 *
 * Rows are cut into segments by their number, segment s ending before row prefix[s], and each
 * segment has its own k best: the truth of a prefix is the join of its segments, and every row is
 * compared once.
 */
#ifndef MPIVF_MEASURE_ACCUMULATOR_H
#define MPIVF_MEASURE_ACCUMULATOR_H

#include "base/row_set.h"
#include "math/choose.h"
#include "math/distance.h"
#include "math/nearest.h"
#include "measure/checkpoint.h"

struct mpivf_accumulator_shape {
    enum mpivf_metric metric;
    bool f64;  /* rows and queries are float64, else float32 */
    bool once; /* query i is row i of the base: pairs of them are compared once */
    size_t dim, k;
    size_t segments;
    const uint64_t *prefix; /* not owned, [segments], ascending */
    size_t capacity;        /* queries at a time, at most */
    size_t batch;           /* rows at a time, at most */
};

struct mpivf_accumulator {
    struct mpivf_context *ctx; /* not owned */
    struct mpivf_accumulator_shape shape;
    struct mpivf_choice choice;             /* by the first rows */
    struct mpivf_topk topk[MPIVF_PREFIXES]; /* of each segment */
    struct mpivf_duplicates duplicates;
    struct mpivf_packed_queries queries;
    struct mpivf_packed_rows packed;
    struct mpivf_tile *tile;       /* owned, one for each thread */
    struct mpivf_pending *pending; /* owned, the same */
    struct mpivf_mirror mirror;    /* owned, with once */
    void *centre;                  /* owned, [dim] */
    struct mpivf_pool pool;        /* of what is owned so far, and of the projection */
    struct mpivf_pool packed_pool; /* of what the first rows make */
    uint64_t first, n;             /* the range of queries */
    const void *query;             /* not owned, [n, dim] */
    const int64_t *own;            /* not owned, [n]: ids that queries must not find; NULL: none */
    struct mpivf_row_set covered;
    uint64_t rowsum; /* checksum of the covered rows, as they were read */
    uint64_t rejected[MPIVF_PREFIXES];
    bool chosen; /* the filter, by the first rows */
    bool ready;  /* the queries are prepared */
    bool saved;  /* all of this is in checkpoints */
};

/* Bytes of buffers: for each query at a time, for each row of a batch, and beside them. Local. */
size_t
mpivf_accumulator_query_bytes(const struct mpivf_accumulator_shape *shape);
size_t
mpivf_accumulator_row_bytes(const struct mpivf_accumulator_shape *shape);
size_t
mpivf_accumulator_fixed_bytes(const struct mpivf_accumulator_shape *shape, int threads);

/* Those of them that the first rows make, for a shape with its capacity and batch. Local. */
size_t
mpivf_accumulator_later_bytes(const struct mpivf_accumulator_shape *shape, int threads);

/* Release with mpivf_accumulator_clear, also after failure. Local. */
mpivf_status
mpivf_accumulator_init(struct mpivf_context *ctx, struct mpivf_accumulator *accumulator,
                       const struct mpivf_accumulator_shape *shape);
void
mpivf_accumulator_clear(struct mpivf_accumulator *accumulator);

/* Begin with queries [first, first + n), whose rows the caller keeps, and no base rows. Local. */
void
mpivf_accumulator_begin(struct mpivf_accumulator *accumulator, uint64_t first, uint64_t n,
                        const void *query, const int64_t *own);

/* Bytes of a raw row or query, which the caller keeps. */
static inline size_t
mpivf_accumulator_raw_bytes(const struct mpivf_accumulator_shape *shape)
{
    return shape->dim * (shape->f64 ? sizeof(double) : sizeof(float));
}

/* Row i of raw rows or queries. */
static inline struct mpivf_raw
mpivf_accumulator_raw(const struct mpivf_accumulator_shape *shape, const void *rows, size_t i)
{
    return mpivf_raw_at(mpivf_raw_of(shape->f64, rows), i * shape->dim);
}

/*
 * Compare up to `batch` rows, all good (mpivf_raw_good); number[i], ascending, is the row's place
 * in the base and id[i] what is to be found. Local.
 */
mpivf_status
mpivf_accumulator_rows(struct mpivf_accumulator *accumulator, const void *row,
                       const uint64_t *number, const int64_t *id, size_t rows);

/*
 * How many of the queries, from 0 on, are compared with each other once (mirror.h). What is known
 * of different rows can only be joined where this is the same. Local.
 */
size_t
mpivf_accumulator_circle(const struct mpivf_accumulator *accumulator);

/* Remember that these rows, which have this checksum, were compared. Local. */
mpivf_status
mpivf_accumulator_cover(struct mpivf_accumulator *accumulator, const struct mpivf_range *range,
                        size_t ranges, uint64_t rowsum);

/* The segment of a row; `segments` when it is in none. Local. */
size_t
mpivf_accumulator_segment(const struct mpivf_accumulator_shape *shape, uint64_t number);

/* The answers, to be written or read. Local. */
struct mpivf_answers
mpivf_accumulator_answers(struct mpivf_accumulator *accumulator);

/* Canonical distances computed so far. Local. */
uint64_t
mpivf_accumulator_computed(const struct mpivf_accumulator *accumulator);

#endif
