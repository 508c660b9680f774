/* trial: what filters cost and leave on a sample of what is going to be compared; for choose.c. */
#ifndef MPIVF_MATH_TRIAL_H
#define MPIVF_MATH_TRIAL_H

#include "math/choose.h"
#include "math/topk.h"

/* Limits that queries have when all rows were seen, a fourth, a sixteenth ... */
enum { MPIVF_TRIAL_LEVELS = 4 };

/* The sample at work. */
struct mpivf_trial {
    struct mpivf_context *ctx;
    const struct mpivf_choose *of;
    size_t queries, rows, k;
    double canonical; /* seconds of a canonical distance */
    double *limit;    /* owned, [MPIVF_TRIAL_LEVELS, queries]: the k-th distance, the 4 k-th ... */
    struct mpivf_candidate *all; /* owned, [rows] */
    uint32_t *survivor;          /* owned, [rows], whole panels */
    float *value;                /* owned, the same */
    float *product;              /* owned, of sgemm */
    struct mpivf_pool pool;      /* of what is owned */
};

/* Both sides of a comparison, in the words of one filter. */
struct mpivf_sides {
    struct mpivf_packed_queries queries;
    struct mpivf_packed_rows rows;
};

/* Bytes of a trial with so many rows, and of sides that take most, for a while. Local. */
size_t
mpivf_trial_bytes(size_t rows);
size_t
mpivf_trial_sides_bytes(size_t dim, size_t rows, int threads);

/* Find the limits, and time canonical distances. Clear it also after failure. Local. */
mpivf_status
mpivf_trial_init(struct mpivf_context *ctx, struct mpivf_trial *trial,
                 const struct mpivf_choose *of);
void
mpivf_trial_clear(struct mpivf_trial *trial);

/* Take both sides from a pool, and fill them unless it failed; seconds a row. Local. */
double
mpivf_trial_pack(struct mpivf_trial *trial, struct mpivf_sides *sides, struct mpivf_pool *pool,
                 const struct mpivf_filter *filter, const struct mpivf_first *first);

/* How many pairs are left at the limits of a level. Local. */
double
mpivf_trial_left(struct mpivf_trial *trial, const struct mpivf_packed_queries *queries,
                 const struct mpivf_packed_rows *packed, size_t level);

/* Seconds of a pair, of many together and, where there is a first look, by itself. Local. */
double
mpivf_trial_pair(struct mpivf_trial *trial, const struct mpivf_packed_queries *queries,
                 const struct mpivf_packed_rows *packed);
double
mpivf_trial_refine(struct mpivf_trial *trial, const struct mpivf_sides *sides);

#endif
