/*
 * result: neighbours of queries in a file, in the layout of ann-benchmarks.
 *
 *   /neighbors i64 [queries, k]   ids, nearest first; -1 where there are fewer than k
 *   /distances f32 or f64 [queries, k], as shown to users
 *   /ties, /duplicates i64 [queries], in a truth
 *   root attributes: distance ("euclidean", "angular", "ip"), k, rows, exact, kind, request
 *
 * It is written in pieces, beside it the same neighbours in other conventions when asked
 * for (io/convention.h). All files are outputs (io/output.h) that get their names together,
 * the HDF5 file last: when it is there, the others are. Nothing here grows with the
 * number of queries but struct mpivf_result. Reading is io/result_read.h.
 */
#ifndef MPIVF_IO_RESULT_H
#define MPIVF_IO_RESULT_H

#include "io/output.h"

#include <mpivf/type.h>

struct mpivf_result {
    struct mpivf_context *ctx; /* not owned */
    uint64_t queries, k;
    int64_t *neighbor; /* owned, [queries, k] */
    double *distance;  /* owned, [queries, k], as shown to users; missing = infinite */
    enum mpivf_metric metric;
    uint64_t rows; /* of the base */
    bool exact;    /* distances are to the very rows */
};

/* Room for the values. Release with mpivf_result_clear, also after failure. Local. */
mpivf_status
mpivf_result_init(struct mpivf_context *ctx, struct mpivf_result *result, uint64_t queries,
                  uint64_t k);

void
mpivf_result_clear(struct mpivf_result *result);

/* Write it, whole or not at all, without counts; kind as below. Local, for rank 0. */
mpivf_status
mpivf_result_write(const struct mpivf_result *result, struct mpivf_output *output,
                   const char *kind);

/* Bytes its files take on the disk, about. Local. */
uint64_t
mpivf_result_bytes(uint64_t queries, uint64_t k, int also);

/* What a result file says of itself. */
struct mpivf_result_about {
    const char *kind; /* "truth" or "search" */
    enum mpivf_metric metric;
    uint64_t queries, k, rows; /* rows of the base that were compared */
    uint64_t max_id;           /* no id is larger; for the other conventions only */
    bool exact;
    bool counts;      /* also /ties and /duplicates */
    uint64_t request; /* a mark of everything that was asked; 0: the file does not tell */
};

/* The other conventions, as bits. */
enum { MPIVF_ALSO_XBIN = 1, MPIVF_ALSO_VECS = 2 };

/* Rows of a result, all [n, k] or [n]. */
struct mpivf_result_rows {
    const int64_t *neighbor;          /* -1: none */
    const double *distance;           /* canonical; for the other conventions only */
    const double *shown;              /* as users see it; missing = infinite */
    const int64_t *ties, *duplicates; /* [n], when the file has counts */
};

struct mpivf_result_writer {
    struct mpivf_result_about about;
    struct mpivf_output *const *output; /* not owned, [files], the HDF5 file first */
    int files, also;                    /* files 0: none is being written */
    uint64_t offset[4];                 /* of neighbors, distances, ties and duplicates */
    uint32_t *word;                     /* owned, scratch of the conventions */
};

/* How many files a result is. Local. */
int
mpivf_result_outputs(int also);

/* Bytes of a path without a final .h5 or .hdf5; a name is more than an ending. Local. */
int
mpivf_result_stem(const char *path);

/*
 * The name of the i-th of them into MPIVF_PATH bytes: `path` itself, then, without a
 * final .h5 or .hdf5, with .bin for xbin, .ivecs and .fvecs for vecs. MPIVF_USAGE when it
 * is too long. Local.
 */
mpivf_status
mpivf_result_output(struct mpivf_context *ctx, const char *path, int also, int i, char *output);

/*
 * Begin the files in the partials of these outputs, in the order of mpivf_result_output.
 * MPIVF_USAGE when the other conventions cannot hold such ids or so many neighbours. End with
 * mpivf_result_finish, which after a failure here has nothing left to do. Local, for rank 0.
 */
mpivf_status
mpivf_result_create(struct mpivf_context *ctx, struct mpivf_result_writer *writer,
                    struct mpivf_output *const *output, const struct mpivf_result_about *about,
                    int also);

/* Is there a whole result file at `path` that answers this very request? Local. */
bool
mpivf_result_answers(struct mpivf_context *ctx, const char *path, uint64_t request);

/* Write rows [first, first + n): each row once, in any order and any pieces. Local. */
mpivf_status
mpivf_result_put(struct mpivf_context *ctx, struct mpivf_result_writer *writer, uint64_t first,
                 uint64_t n, const struct mpivf_result_rows *rows);

/*
 * When `status` is good, sync all files and then give them their names; when one cannot have its
 * own, none has. The first failure. Local, for rank 0.
 */
mpivf_status
mpivf_result_finish(struct mpivf_context *ctx, struct mpivf_result_writer *writer,
                    mpivf_status status);

#endif
