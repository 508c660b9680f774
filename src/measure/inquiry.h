/*
 * inquiry: what a truth is asked of: the base, the queries, the prefixes, and the names of the
 * files that tell it.
 */
#ifndef MPIVF_MEASURE_INQUIRY_H
#define MPIVF_MEASURE_INQUIRY_H

#include "io/claim.h"

#include <mpivf/truth.h>

struct mpivf_inquiry {
    const struct mpivf_par *par;               /* not owned */
    const struct mpivf_truth_options *options; /* not owned */
    const struct mpivf_truth_files *files;     /* not owned */
    const char *asking;                        /* not owned, the name of the queries */
    struct mpivf_source base, query, ids;
    uint64_t queries;                /* of them, evenly spread over the source */
    uint64_t prefix[MPIVF_PREFIXES]; /* where segments of the base end; the last = rows compared */
    size_t segments;
    const char *folder; /* not owned */
    char identity[1536]; /* JSON */
    bool answered;       /* with options->again: the outputs are there */
};

/*
 * Open base, queries and ids and check that they fit and that the outputs may be written.
 * Release with mpivf_inquiry_close_all, also after failure. Collective, agreed.
 */
mpivf_status
mpivf_inquiry_open_all(struct mpivf_inquiry *inquiry, const struct mpivf_par *par, const char *base,
                       const char *queries, const struct mpivf_truth_files *files,
                       const struct mpivf_truth_options *options);
void
mpivf_inquiry_close_all(struct mpivf_inquiry *inquiry);

/*
 * Claim the folder of the work. Release with mpivf_claim_clear, also after failure. Collective,
 * agreed.
 */
mpivf_status
mpivf_inquiry_claim_all(const struct mpivf_inquiry *inquiry, struct mpivf_claim *claim);

/*
 * Queries [first, first + n) on every rank, all finite; owned by the caller. Collective, agreed.
 */
mpivf_status
mpivf_inquiry_load_all(struct mpivf_inquiry *inquiry, uint64_t first, uint64_t n, float **query);

/* A 64-bit mark of everything that is asked; in the outputs. Never 0. */
uint64_t
mpivf_inquiry_mark(const struct mpivf_inquiry *inquiry);

/* The row of the base that query i is, with options->self. */
static inline uint64_t
mpivf_inquiry_own(const struct mpivf_inquiry *inquiry, uint64_t i)
{
    return mpivf_source_spread(inquiry->base.rows, inquiry->queries, i);
}

/* The outputs for prefix s, the HDF5 file first. */
struct mpivf_output *const *
mpivf_inquiry_outputs(const struct mpivf_inquiry *inquiry, size_t s);

/* What mpivf_inquiry_load_all takes for a query. */
size_t
mpivf_inquiry_query_bytes(const struct mpivf_inquiry *inquiry);

#endif
