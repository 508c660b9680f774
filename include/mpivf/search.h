/*
 * search: a batch of queries against an index, list by list.
 *
 * The queries choose their lists; each list is then read once and compared with all queries
 * that chose it. Lists are spread over the ranks by work. Distances are canonical distances to
 * the stored codes, or to the raw rows after a re-rank; results do not depend on ranks, threads
 * or memory. With every list probed and codec f32 the result is the exact one.
 */
#ifndef MPIVF_SEARCH_H
#define MPIVF_SEARCH_H

#include <mpivf/api.h>
#include <mpivf/index.h>
#include <mpivf/output.h>
#include <mpivf/progress.h>
#include <mpivf/source.h>

MPIVF_API_BEGIN

enum { MPIVF_SEARCH_PROBES = 16 };

struct mpivf_search_options {
    uint64_t k;
    uint64_t queries; /* use so many, evenly spread; 0 = all */
    uint64_t probes;  /* lists a query; 0 = by recall, or without one MPIVF_SEARCH_PROBES */
    double recall;    /* find the probes that give it on a sample of the queries; 0 = off */
    uint64_t rerank;  /* candidates whose raw rows are compared; 0 = off */
    struct mpivf_reading reading;
};

/* The defaults, those of the command line. Local. */
void
mpivf_search_options_init(struct mpivf_search_options *options);

struct mpivf_search_summary {
    uint64_t queries, probes, lists, rows_scanned; /* rows_scanned: (query, row) pairs */
    bool decoded;           /* the queries were float64, and the metric is l2 */
    double decode_error;    /* what they lost as they became float32, from 0 to 1 (codec/loss.h) */
    double expected_recall; /* on the sample, when asked for by recall */
};

/* Write the k nearest rows of each query, whole or not at all. Collective, agreed. */
mpivf_status
mpivf_search_all(const struct mpivf_par *par, const char *index, const char *queries,
                 struct mpivf_output *out, const struct mpivf_search_options *options,
                 struct mpivf_report *report, struct mpivf_search_summary *summary);

MPIVF_API_END

#endif
