/*
 * result: neighbours of queries in a file, in the layout of ann-benchmarks.
 *
 *   /neighbors i64 [queries, k]   ids, nearest first; -1 where there are fewer than k
 *   /distances f32 or f64 [queries, k]
 *   root attributes: distance ("euclidean", "angular", "ip"), k, rows, exact, kind
 */
#ifndef MPIVF_IO_RESULT_H
#define MPIVF_IO_RESULT_H

#include <mpivf/par.h>
#include <mpivf/type.h>

struct mpivf_result {
    struct mpivf_context *ctx; /* not owned */
    uint64_t queries, k;
    int64_t *neighbor; /* owned, [queries, k] */
    double *distance;  /* owned, [queries, k], as shown to users; missing = infinite */
    enum mpivf_metric metric;
    bool metric_known; /* read: the file tells it */
    uint64_t rows; /* of the base */
    bool exact;    /* distances are to the very rows */
};

/* Room for the values. Release with mpivf_result_clear, also after failure. Local. */
mpivf_status
mpivf_result_init(struct mpivf_context *ctx, struct mpivf_result *result, uint64_t queries, uint64_t k);

void
mpivf_result_clear(struct mpivf_result *result);

/* Write it at `path`, whole or not at all; kind is "truth" or "search". Local. */
mpivf_status
mpivf_result_write(const struct mpivf_result *result, const char *path, const char *kind);

/* Read any file that has /neighbors and /distances. Local. */
mpivf_status
mpivf_result_read(struct mpivf_context *ctx, const char *path, struct mpivf_result *result);

#endif
