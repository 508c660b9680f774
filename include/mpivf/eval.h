/*
 * eval: how much of the truth a result has found.
 *
 * id recall counts the ids among the first k of the truth. Tie-aware recall also counts a row
 * that is as near as the k-th of the truth: its id stands further on in the truth at the same
 * distance, or (for results with exact distances) its distance says so. Where rows are
 * doubled, only the second is fair.
 *
 * Distances are compared only where that is shown to be right: ids that both files have for a
 * query are at equal distances, as they stand or once converted from a convention that is
 * recognised so (squared, with the other sign, ...), and no row is nearer than the truth's last
 * that the truth has not, as there are when it is another base's. Otherwise ids alone are counted.
 * A note says what was done, and so does `counted`.
 *
 * A neighbour of the truth whose id is missing or whose distance is not finite is none. Queries
 * for which the truth has none are left out; when that is all of them recall is undefined: an
 * error. A row counts once, however often it is listed.
 */
#ifndef MPIVF_EVAL_H
#define MPIVF_EVAL_H

#include <mpivf/api.h>
#include <mpivf/context.h>

MPIVF_API_BEGIN

enum { MPIVF_EVAL_DEPTHS = 5 };

enum mpivf_eval_counted {
    MPIVF_EVAL_IDS,      /* there is no tie-aware recall */
    MPIVF_EVAL_TIES,     /* also ids that the truth itself has at the distance of its k-th */
    MPIVF_EVAL_DISTANCES /* also rows whose own distance says that they are as near */
};

struct mpivf_eval_summary {
    uint64_t queries, result_k, truth_k;
    uint64_t silent;          /* queries for which the truth has no neighbour */
    uint64_t common, unequal; /* ids in both files, and those at other distances */
    enum mpivf_eval_counted counted;
    const char *converted; /* what the truth's distances were; NULL: compared as they stand */
    int depths;            /* k = 1, 5, 10, 50, 100 and the common k, as far as both files go */
    struct {
        uint64_t k;
        double id_recall, tie_recall; /* NaN where only ids are counted */
        double worst; /* the least recall of a query: tie-aware where there is that */
    } at[MPIVF_EVAL_DEPTHS + 1];
    /* sum of result distances over those of the truth, at the last k; NaN: they do not compare */
    double mean_distance_ratio;
};

/*
 * Compare two files, block by block of queries. MPIVF_MISMATCH when they have different numbers of
 * queries or tell different metrics. Local.
 */
mpivf_status
mpivf_eval_files(struct mpivf_context *ctx, const char *result, const char *truth,
                 struct mpivf_eval_summary *summary);

/* "ids", "ties", "distances". Local. */
const char *
mpivf_eval_counted_name(enum mpivf_eval_counted counted);

MPIVF_API_END

#endif
