/*
 * truth: the exact neighbours, to judge everything else by.
 *
 * The base is streamed once for each block of queries that the budget holds; memory does not
 * grow with it. The result is that of a float64 brute force over the float32 rows with ties
 * broken by id (math/nearest.h has the proof), whatever the ranks, threads and memory.
 */
#ifndef MPIVF_TRUTH_H
#define MPIVF_TRUTH_H

#include <mpivf/progress.h>
#include <mpivf/source.h>
#include <mpivf/train.h>

struct mpivf_truth_options {
    uint64_t k;
    uint64_t queries; /* use so many, evenly spread; 0 = all */
    enum mpivf_metric metric;
    enum mpivf_bad_rows bad_rows;
    enum mpivf_read_mode read_mode;
    bool force;
};

struct mpivf_truth_made {
    uint64_t queries, rows, rejected, passes; /* passes over the base */
};

/* Write the k nearest base rows of each query to `out`, whole or not at all. Collective. */
mpivf_status
mpivf_truth_all(const struct mpivf_par *par, const char *base, const char *queries, const char *out,
                const struct mpivf_truth_options *options, struct mpivf_report *report,
                struct mpivf_truth_made *made);

#endif
