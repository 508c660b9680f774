#include "search/query.h"

#include "base/then.h"
#include "math/distance.h"
#include "source/decode.h"

/* Float64 queries, made float32 in place. */
static mpivf_status
load_wide_all(struct mpivf_source *source, struct mpivf_query *query)
{
    double *wide, lost;
    size_t dim = query->dim;
    mpivf_status status = mpivf_source_load_f64_all(source, query->rows, 0, query->rows, &wide);
    if (status)
        return status;
    query->row = (float *)(void *)wide;
    query->decoded = true;
    for (uint64_t q = 0; q < query->rows; q++) {
        mpivf_decode_narrow(wide + q * dim, 1, dim, query->row + q * dim, &lost);
        query->lost += lost;
    }
    return MPIVF_OK;
}

mpivf_status
mpivf_query_open_all(const struct mpivf_par *par, const char *name, uint64_t dim, const char *what,
                     struct mpivf_reading reading, uint64_t max, struct mpivf_query *query)
{
    struct mpivf_source *source = &query->source;
    *query = (struct mpivf_query){.ctx = par->ctx, .name = name, .dim = dim};
    mpivf_status status = mpivf_source_open_all(source, par, name, "test", reading);
    if (status == MPIVF_OK && source->dim != dim)
        return mpivf_fail(par->ctx, MPIVF_MISMATCH,
                          "the queries '%s' have %llu columns, '%s' has %llu", name,
                          (unsigned long long)source->dim, what, (unsigned long long)dim);
    query->rows = max > 0 && max < source->rows ? max : source->rows;
    return status;
}

size_t
mpivf_query_bytes(const struct mpivf_query *query)
{
    return query->rows * (mpivf_source_row_bytes(&query->source) + sizeof(struct mpivf_range));
}

mpivf_status
mpivf_query_load_all(struct mpivf_query *query)
{
    struct mpivf_source *source = &query->source;
    const struct mpivf_par *par = source->par;
    uint64_t dim = query->dim;
    mpivf_status status =
        source->type == MPIVF_F64
            ? load_wide_all(source, query)
            : mpivf_source_load_all(source, query->rows, 0, query->rows, &query->row);
    THEN(status, mpivf_source_unchanged_all(source));
    mpivf_source_close_all(source);
    for (uint64_t q = 0; q < query->rows && status == MPIVF_OK; q++)
        if (!mpivf_finite(query->row + q * dim, dim))
            status = mpivf_fail(
                query->ctx, MPIVF_INPUT, "query %llu of '%s' has a value that is not finite%s",
                (unsigned long long)q, query->name, query->decoded ? " as float32" : "");
    return mpivf_agree_all(par, status); /* they may see different files */
}

void
mpivf_query_clear_all(struct mpivf_query *query)
{
    if (query->ctx) {
        mpivf_source_close_all(&query->source);
        mpivf_free(query->ctx, query->row);
    }
    *query = (struct mpivf_query){0};
}
