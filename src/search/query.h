/* query: the rows that ask. All ranks hold all of them. */
#ifndef MPIVF_SEARCH_QUERY_H
#define MPIVF_SEARCH_QUERY_H

#include <mpivf/source.h>

struct mpivf_query {
    struct mpivf_context *ctx;  /* not owned */
    struct mpivf_source source; /* owned, until they are loaded */
    const char *name;           /* not owned */
    uint64_t rows, dim;
    float *row;   /* owned, [rows, dim] */
    bool decoded; /* they were float64 */
    double lost;  /* then, squares of what they lost as they became float32, added up */
};

/*
 * Open `name` (dataset `test` by default), which must have `dim` columns like `what`; `max` of its
 * rows, evenly spread, are going to be loaded, 0 = all. Release with mpivf_query_clear_all, also
 * after failure. Collective, agreed.
 */
mpivf_status
mpivf_query_open_all(const struct mpivf_par *par, const char *name, uint64_t dim, const char *what,
                     struct mpivf_reading reading, uint64_t max, struct mpivf_query *query);

/* Bytes that they take while they are loaded. Local. */
size_t
mpivf_query_bytes(const struct mpivf_query *query);

/* Load them; all values must be finite as float32. Collective, agreed. */
mpivf_status
mpivf_query_load_all(struct mpivf_query *query);

void
mpivf_query_clear_all(struct mpivf_query *query);

#endif
