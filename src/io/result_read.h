/*
 * result_read: neighbours of queries out of a file of anybody's in the layout of ann-benchmarks.
 *
 * Ids may be integers of any type or whole floating-point numbers, distances any numbers or
 * absent; a 1-D dataset has one neighbour a query. Rows come as they stand in the file, in runs,
 * so that memory does not grow with the file. -1, and the largest value of an unsigned type, say
 * that there is no neighbour.
 */
#ifndef MPIVF_IO_RESULT_READ_H
#define MPIVF_IO_RESULT_READ_H

#include "io/hdf5.h"

struct mpivf_result_reader {
    const char *path; /* not owned */
    uint64_t queries, k;
    struct mpivf_h5_table neighbors, distances;
    bool distances_known; /* the file has distances */
    char distance[64];    /* the metric as the file calls it; "" when it does not tell */
    enum mpivf_metric metric;
    bool metric_known; /* it is one of ours */
    bool ours;         /* written by this program */
    bool exact;        /* the file says: distances are to the very rows */
};

/* The name that ann-benchmarks has for a metric. Local. */
const char *
mpivf_result_distance(enum mpivf_metric metric);

/* Look at a file; nothing has to be released. `path` stays the caller's. Local. */
mpivf_status
mpivf_result_open(struct mpivf_context *ctx, const char *path, struct mpivf_result_reader *reader);

/*
 * The rows of queries [first, first + n), n >= 1: ids, -1 for none, and distances, NaN in a file
 * without; both [n, k]. MPIVF_INPUT for an id that is no row's. Local.
 */
mpivf_status
mpivf_result_rows(struct mpivf_context *ctx, const struct mpivf_result_reader *reader,
                  uint64_t first, uint64_t n, int64_t *id, double *distance);

#endif
