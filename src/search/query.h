/* query: the rows that ask. All ranks hold all of them. */
#ifndef MPIVF_SEARCH_QUERY_H
#define MPIVF_SEARCH_QUERY_H

#include <mpivf/source.h>

struct mpivf_query {
    struct mpivf_context *ctx; /* not owned */
    uint64_t rows, dim;
    float *row; /* owned, [rows, dim] */
    bool decoded; /* they were float64 */
    double lost;  /* then, squares of what they lost as they became float32, added up */
};

/*
 * Load `name` (dataset `test` by default), which must have `dim` columns like `what`, all values
 * finite as float32; `most` of its rows, evenly spread, 0 = all. Release with mpivf_query_clear,
 * also after failure. Collective.
 */
mpivf_status
mpivf_query_load_all(const struct mpivf_par *par, const char *name, uint64_t dim, const char *what,
                     enum mpivf_read_mode mode, uint64_t most, struct mpivf_query *query);

void
mpivf_query_clear(struct mpivf_query *query);

#endif
