/*
 * eval: how much of the truth a result has found.
 *
 * id recall counts the ids among the first k of the truth. Tie-aware recall also counts a row
 * that is as near as the k-th of the truth: its id stands further on in the truth at the same
 * distance, or (for results with exact distances) its distance says so. Where rows are
 * doubled, only the second is fair.
 */
#ifndef MPIVF_EVAL_H
#define MPIVF_EVAL_H

#include <mpivf/context.h>

enum { MPIVF_EVAL_DEPTHS = 5 };

struct mpivf_eval {
    uint64_t queries, result_k, truth_k;
    int depths; /* k = 1, 5, 10, 50, 100 and the common k, as far as both files go */
    struct {
        uint64_t k;
        double id_recall, tie_recall, worst; /* worst: the least tie-aware recall of a query */
    } at[MPIVF_EVAL_DEPTHS + 1];
    double mean_distance_ratio; /* sum of result distances over those of the truth, at the last k */
};

/* Compare two files. MPIVF_MISMATCH when they have different numbers of queries. Local. */
mpivf_status
mpivf_eval_files(struct mpivf_context *ctx, const char *result, const char *truth,
                 struct mpivf_eval *eval);

#endif
