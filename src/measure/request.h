/*
 * request: what a truth is asked of: the base, the queries, the prefixes, and the names of the
 * files that tell it.
 */
#ifndef MPIVF_MEASURE_REQUEST_H
#define MPIVF_MEASURE_REQUEST_H

#include "io/claim.h"

#include <mpivf/truth.h>

struct mpivf_request {
    const struct mpivf_par *par;               /* not owned */
    const struct mpivf_truth_options *options; /* not owned */
    const struct mpivf_truth_files *files;     /* not owned */
    const char *asking;                        /* not owned, the name of the queries */
    struct mpivf_source base, query, ids;
    bool f64;                        /* base or queries are float64: then both are read as that */
    bool once;                       /* each pair of rows is compared once, on every rank */
    uint64_t queries;                /* of them, evenly spread over the source */
    uint64_t prefix[MPIVF_PREFIXES]; /* where segments of the base end; the last = rows compared */
    size_t segments;
    const char *folder;  /* not owned */
    char mark[1536];     /* everything that is asked, as JSON */
    char identity[3072]; /* the same for the claim: the sources with their names and times */
    bool answered;       /* with options->again: the outputs are there */
};

/*
 * Open base, queries and ids and check that they fit. Release with mpivf_request_close_all, also
 * after failure. Collective, agreed.
 */
mpivf_status
mpivf_request_open_all(struct mpivf_request *request, const struct mpivf_par *par, const char *base,
                       const char *queries, const struct mpivf_truth_options *options);

/*
 * Then, once memory is planned: are the outputs there, or may they be written? Collective, agreed.
 */
mpivf_status
mpivf_request_look_all(struct mpivf_request *request, const struct mpivf_truth_files *files);

void
mpivf_request_close_all(struct mpivf_request *request);

/*
 * MPIVF_INPUT when base, queries or ids were modified since they were opened. Collective, agreed.
 */
mpivf_status
mpivf_request_unchanged_all(const struct mpivf_request *request);

/*
 * Claim the folder of the work. Release with mpivf_claim_clear, also after failure. Collective,
 * agreed.
 */
mpivf_status
mpivf_request_claim_all(const struct mpivf_request *request, struct mpivf_claim *claim);

/*
 * Queries [first, first + n) on every rank, all good (mpivf_raw_good), float64 or float32 as
 * request->f64 tells; owned by the caller. Collective, agreed.
 */
mpivf_status
mpivf_request_load_all(struct mpivf_request *request, uint64_t first, uint64_t n, void **query);

/* What the value of a row that is not good can be beside not finite, for messages. */
static inline const char *
mpivf_request_or_large(const struct mpivf_request *request)
{
    return request->f64 ? " or is beyond 1e150" : "";
}

/* Bytes of a row of `source`, of the base or the queries, as it is read. Local. */
size_t
mpivf_request_row_bytes(const struct mpivf_request *request, const struct mpivf_source *source);

/* A 64-bit mark of everything that is asked; in the outputs. Never 0. Local. */
uint64_t
mpivf_request_mark(const struct mpivf_request *request);

/* The row of its source that query i is; with options->self a row of the base. */
static inline uint64_t
mpivf_request_place(const struct mpivf_request *request, uint64_t i)
{
    return mpivf_source_spread(request->query.rows, request->queries, i);
}

/* The outputs for prefix s, the HDF5 file first. Local. */
struct mpivf_output *const *
mpivf_request_outputs(const struct mpivf_request *request, size_t s);

/* What mpivf_request_load_all takes for a query. Local. */
size_t
mpivf_request_query_bytes(const struct mpivf_request *request);

#endif
