/*
 * bucket: how a shuffle is cut so that it fits a budget.
 *
 * A bucket is a run of places of the output. While rows are scattered each bucket has a buffer;
 * while rows are put in order one bucket is in memory. So the larger the budget, the fewer the
 * buckets and the longer the buffers: with M bytes, about M * M / 96 KiB bytes of rows can be
 * shuffled in two passes.
 */
#ifndef MPIVF_SOURCE_BUCKET_H
#define MPIVF_SOURCE_BUCKET_H

#include "base/rng.h"
#include "io/file.h"

#include <mpivf/par.h>

/* Invariants: count = ceil(total / rows); all others >= 1. */
struct mpivf_buckets {
    uint64_t total; /* rows of the output */
    size_t row_bytes;
    uint64_t rows; /* places of a bucket; the last has what is left */
    uint64_t count;
    size_t batch_rows;          /* read at once while scattering */
    size_t row_slots, id_slots; /* of a bucket's buffers */
    size_t piece_rows;          /* written at once while ordering */
};

/* A shuffle under way: what both passes know. Nothing is owned. */
struct mpivf_shuffling {
    const struct mpivf_par *par;
    struct mpivf_buckets buckets;
    struct mpivf_random_order order; /* from row to place */
    uint64_t row_offset, id_offset;  /* of the two datasets in the file */
    struct mpivf_file file;          /* the output, for writing */
};

/*
 * Cut `total` rows for `left` bytes of buffers a rank and `ranks` ranks. MPIVF_MEMORY when two
 * passes need more, with how much. Local; the same arguments give the same on every rank.
 */
mpivf_status
mpivf_bucket_plan(struct mpivf_context *ctx, uint64_t total, size_t row_bytes, size_t left,
                  int ranks, struct mpivf_buckets *buckets);

#endif
