/*
 * choose: which filter is fastest for these vectors.
 *
 * A filter with a wider bound is faster and leaves more pairs to be computed. How many it leaves
 * is counted on a sample, and what each step costs here is timed on it, in some milliseconds; so
 * where two are as good, the choice may differ from run to run. Whatever is chosen, results are the
 * same.
 */
#ifndef MPIVF_MATH_CHOOSE_H
#define MPIVF_MATH_CHOOSE_H

#include "math/prepare.h"

enum { MPIVF_CHOOSE_QUERIES = 32, MPIVF_CHOOSE_ROWS = 4032 };

/* What is going to be compared, and a sample of it. */
struct mpivf_choose {
    enum mpivf_metric metric;
    size_t dim, k;
    uint64_t total_rows, total_queries;
    uint64_t slab;                       /* rows that are scanned together */
    struct mpivf_raw query, row, centre; /* not owned */
    size_t queries, rows;                /* of the sample; MPIVF_CHOOSE_* are taken at most */
    size_t present;                      /* rows from `row` on, those of the sample first */
};

/* Bytes that choosing by so many rows takes for a while, and finding a rate. Local. */
size_t
mpivf_filter_choose_bytes(size_t dim, size_t rows, int threads);
size_t
mpivf_filter_peak_bytes(size_t dim, int threads);

/* The one, or the one that is forced. MPIVF_MEMORY. Local. */
mpivf_status
mpivf_filter_choose(struct mpivf_context *ctx, const struct mpivf_choose *choose,
                    const struct mpivf_filter **choice);

/*
 * Operations (a multiply-add is two) a second of one thread of this filter on data in its cache.
 * Local.
 */
mpivf_status
mpivf_filter_peak(struct mpivf_context *ctx, const struct mpivf_filter *filter, size_t dim,
                  double *rate);

#endif
