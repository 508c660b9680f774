/*
 * sample: the rows that a quantizer is trained on, this rank's share.
 *
 * Rows stay in memory, prepared for comparison, when the budget has room for all of them; else
 * they go to a scratch file without a name and come back block by block. Which of the two changes
 * no result.
 *
 * A level is a part of the sample that is itself unbiased: each level's rows come before the next
 * one's, so that work can begin with few rows.
 */
#ifndef MPIVF_BUILD_SAMPLE_H
#define MPIVF_BUILD_SAMPLE_H

#include "index/coarse.h"
#include "io/file.h"

enum mpivf_sample_level {
    MPIVF_SAMPLE_TOP,  /* enough for the square root of the lists */
    MPIVF_SAMPLE_PART, /* enough for a first guess of all lists */
    MPIVF_SAMPLE_ALL,
    MPIVF_SAMPLE_LEVELS
};

struct mpivf_sample {
    struct mpivf_context *ctx; /* not owned */
    enum mpivf_metric metric;
    size_t dim;
    size_t first[MPIVF_SAMPLE_LEVELS + 1]; /* places [first[l], first[l + 1]) are level l's */
    size_t rows[MPIVF_SAMPLE_LEVELS];      /* that it has */
    uint64_t *key;                         /* owned, [places]: the hash that drew the row */
    uint32_t *list;                        /* owned, [places]: that it is in (lloyd.h) */
    float *row;                            /* owned: [places, dim], or a block's */
    uint32_t *order, *old;                 /* owned, [block_rows]: of an iteration (lloyd.h) */
    float *centre;          /* owned, [dim]: about the mean, to prepare rows around */
    double max;             /* the largest |value| */
    double lost;            /* squares of what float32 took from rows, added up */
    struct mpivf_file file; /* the scratch file; fd -1 = in memory */
    char path[MPIVF_PATH];  /* of its folder, for messages */
    size_t block_rows;      /* of a block at most */
    struct mpivf_packed_queries
        prepared[MPIVF_SAMPLE_LEVELS];  /* owned; of a level, or [0] of a block */
    struct mpivf_pool pool;             /* of what else is owned */
    size_t loaded;                      /* the block in memory, SIZE_MAX = none */
    uint64_t bytes_read, bytes_written; /* of the scratch file */
};

/* A block of the sample, prepared. */
struct mpivf_sample_block {
    enum mpivf_sample_level level;
    size_t first; /* its rows are places first, first + 1... */
    const struct mpivf_packed_queries *rows;
};

/*
 * Bytes of a sample of so many rows, with their state in training, where so many of them are in
 * memory at a time: as many more for each of those; the fewest bytes that it does with. Local.
 */
size_t
mpivf_sample_bytes(size_t dim, size_t rows, size_t block_rows, int threads);
size_t
mpivf_sample_min_bytes(size_t dim, size_t rows, int threads);

/*
 * Make room for so many rows of each level within `memory` bytes; the scratch file, if there has
 * to be one, lies in the folder of `path`. MPIVF_MEMORY, MPIVF_IO. Release with
 * mpivf_sample_clear, also after failure. Local.
 */
mpivf_status
mpivf_sample_init(struct mpivf_context *ctx, struct mpivf_sample *sample, enum mpivf_metric metric,
                  size_t dim, const size_t room[MPIVF_SAMPLE_LEVELS], size_t memory,
                  const char *path);

void
mpivf_sample_clear(struct mpivf_sample *sample);

/* Keep a row. Local. */
mpivf_status
mpivf_sample_put(struct mpivf_sample *sample, enum mpivf_sample_level level, const float *row,
                 uint64_t key);

/* All rows have been put. Local. */
mpivf_status
mpivf_sample_ready(struct mpivf_sample *sample);

/* Rows of the levels up to this one, of this rank. Local. */
size_t
mpivf_sample_rows(const struct mpivf_sample *sample, enum mpivf_sample_level level);

/* The place of row i of mpivf_sample_rows. Local. */
size_t
mpivf_sample_place(const struct mpivf_sample *sample, size_t i);

/* Copy the row at a place, which a block last held or not. Local. */
mpivf_status
mpivf_sample_row(struct mpivf_sample *sample, size_t place, float *row);

/* How many blocks the levels up to this one have, and block number b of them. Local. */
size_t
mpivf_sample_blocks(const struct mpivf_sample *sample, enum mpivf_sample_level level);
mpivf_status
mpivf_sample_block(struct mpivf_sample *sample, size_t b, struct mpivf_sample_block *block);

#endif
