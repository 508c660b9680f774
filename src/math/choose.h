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
    const struct mpivf_filter *only;     /* it is to be this one; NULL: any */
};

/* The axes that MPIVF_AXES asks for: so many, 0: no first look; SIZE_MAX: it is not set. Local. */
size_t
mpivf_choose_axes(void);

/* Rows of a sample, at most. Local. */
size_t
mpivf_choose_rows(size_t dim);

/* Bytes that choosing by so many rows takes for a while. Local. */
size_t
mpivf_filter_choose_bytes(size_t dim, size_t rows, int threads);

/* What is chosen: a filter, and a first look where that is worth its while. */
struct mpivf_choice {
    const struct mpivf_filter *filter;
    struct mpivf_first first; /* its projection laid out by the caller; axes 0: no first look */
};

/* The one, or the one that is forced. MPIVF_MEMORY. Local. */
mpivf_status
mpivf_filter_choose(struct mpivf_context *ctx, const struct mpivf_choose *choose,
                    struct mpivf_choice *choice);

/* For what is packed; NULL where rows are looked at once. */
static inline const struct mpivf_first *
mpivf_choice_first(const struct mpivf_choice *choice)
{
    return choice->first.projection.axes > 0 ? &choice->first : NULL;
}

#endif
