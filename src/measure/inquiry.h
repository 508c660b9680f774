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
    const char *out;                           /* not owned */
    const char *asking;                        /* not owned, the name of the queries */
    struct mpivf_source base, query, ids;
    bool f64;                        /* base or queries are float64: then both are read as that */
    uint64_t queries;                /* of them, evenly spread over the source */
    uint64_t prefix[MPIVF_PREFIXES]; /* where segments of the base end; the last = rows compared */
    size_t segments;
    char folder[MPIVF_PATH];
    char identity[1536]; /* JSON */
    bool answered;       /* with options->again: the outputs are there */
};

/*
 * Open base, queries and ids and check that they fit and that the outputs may be written.
 * Release with mpivf_inquiry_close_all, also after failure. Collective, agreed.
 */
mpivf_status
mpivf_inquiry_open_all(struct mpivf_inquiry *inquiry, const struct mpivf_par *par, const char *base,
                       const char *queries, const char *out,
                       const struct mpivf_truth_options *options);
void
mpivf_inquiry_close_all(struct mpivf_inquiry *inquiry);

/*
 * Claim the folder of the work. MPIVF_MISMATCH when there are parts in it that are nobody's.
 * Release with mpivf_claim_clear, also after failure. Collective, agreed.
 */
mpivf_status
mpivf_inquiry_claim_all(const struct mpivf_inquiry *inquiry, struct mpivf_claim *claim);

/*
 * Leave the folder; when nothing was answered in it, remove it: what is asked next time may be
 * something else. Local.
 */
void
mpivf_inquiry_leave(const struct mpivf_inquiry *inquiry, struct mpivf_claim *claim);

/*
 * Queries [first, first + n) on every rank, all good (mpivf_raw_good), float64 or float32 as
 * inquiry->f64 tells; owned by the caller. Collective, agreed.
 */
mpivf_status
mpivf_inquiry_load_all(struct mpivf_inquiry *inquiry, uint64_t first, uint64_t n, void **query);

/* What the value of a row that is not good can be beside not finite, for messages. */
static inline const char *
mpivf_inquiry_or_large(const struct mpivf_inquiry *inquiry)
{
    return inquiry->f64 ? " or is beyond 1e150" : "";
}

/* Bytes of a row of `source`, of the base or the queries, as it is read. */
size_t
mpivf_inquiry_row_bytes(const struct mpivf_inquiry *inquiry, const struct mpivf_source *source);


/* A 64-bit mark of everything that is asked; in the outputs. Never 0. */
uint64_t
mpivf_inquiry_mark(const struct mpivf_inquiry *inquiry);

/* The row of the base that query i is, with options->self. */
static inline uint64_t
mpivf_inquiry_own(const struct mpivf_inquiry *inquiry, uint64_t i)
{
    return mpivf_source_spread(inquiry->base.rows, inquiry->queries, i);
}

/* The output for prefix s, of MPIVF_PATH bytes; options->out itself without prefixes. Local. */
mpivf_status
mpivf_inquiry_output(const struct mpivf_inquiry *inquiry, size_t s, char *path);

/* What mpivf_inquiry_load_all takes for a query. */
size_t
mpivf_inquiry_query_bytes(const struct mpivf_inquiry *inquiry);

#endif
