#include "io/result.h"

#include "io/file.h"
#include "io/hdf5.h"

#include <string.h>

mpivf_status
mpivf_result_init(struct mpivf_context *ctx, struct mpivf_result *result, uint64_t queries, uint64_t k)
{
    *result = (struct mpivf_result){.ctx = ctx, .queries = queries, .k = k};
    result->neighbor = mpivf_alloc(ctx, "the result", queries * k, sizeof *result->neighbor);
    result->distance = mpivf_alloc(ctx, "the result", queries * k, sizeof *result->distance);
    return result->neighbor && result->distance ? MPIVF_OK : MPIVF_MEMORY;
}

void
mpivf_result_clear(struct mpivf_result *result)
{
    if (result->ctx == NULL)
        return;
    mpivf_free(result->ctx, result->neighbor);
    mpivf_free(result->ctx, result->distance);
    memset(result, 0, sizeof *result);
}

/* The names ann-benchmarks has for metrics. */
static const char *
distance_name(enum mpivf_metric metric)
{
    return metric == MPIVF_L2 ? "euclidean" : metric == MPIVF_COSINE ? "angular" : "ip";
}

mpivf_status
mpivf_result_write(const struct mpivf_result *result, const char *path, const char *kind)
{
    struct mpivf_context *ctx = result->ctx;
    struct mpivf_h5_attribute attribute[] = {
        {.name = "distance", .kind = MPIVF_H5_TEXT},
        {.name = "kind", .kind = MPIVF_H5_TEXT},
        {.name = "k", .kind = MPIVF_H5_U64, .number = result->k},
        {.name = "rows", .kind = MPIVF_H5_U64, .number = result->rows},
        {.name = "exact", .kind = MPIVF_H5_U64, .number = result->exact},
    };
    strcpy(attribute[0].text, distance_name(result->metric));
    strcpy(attribute[1].text, kind);
    struct mpivf_h5_dataset dataset[] = {
        {"neighbors", MPIVF_I64, 2, {result->queries, result->k}, 0},
        {"distances", MPIVF_F64, 2, {result->queries, result->k}, 0},
    };
    char partial[MPIVF_PATH];
    struct mpivf_file file = {.fd = -1, .path = partial};
    mpivf_status status = mpivf_path(ctx, partial, "%s.partial", path);
    if (status)
        return status;
    status = mpivf_h5_create(ctx, partial, attribute, 5, dataset, 2);
    if (status == MPIVF_OK)
        status = mpivf_file_update(ctx, partial, &file);
    size_t values = result->queries * result->k;
    if (status == MPIVF_OK)
        status = mpivf_file_write(ctx, &file, result->neighbor, values * sizeof *result->neighbor,
                                  dataset[0].offset);
    if (status == MPIVF_OK)
        status = mpivf_file_write(ctx, &file, result->distance, values * sizeof *result->distance,
                                  dataset[1].offset);
    return mpivf_file_finish(ctx, &file, path, status);
}

mpivf_status
mpivf_result_read(struct mpivf_context *ctx, const char *path, struct mpivf_result *result)
{
    uint64_t dim[2], other[2];
    void *data;
    char text[64];
    *result = (struct mpivf_result){.ctx = ctx};
    if (!mpivf_file_exists(path))
        return mpivf_fail(ctx, MPIVF_INPUT, "there is no file '%s'", path);
    mpivf_status status = mpivf_h5_load(ctx, path, "neighbors", MPIVF_I64, &data, dim);
    if (status)
        return status;
    result->neighbor = data;
    result->queries = dim[0];
    result->k = dim[1];
    status = mpivf_h5_load(ctx, path, "distances", MPIVF_F64, &data, other);
    if (status)
        return status;
    result->distance = data;
    if (other[0] != dim[0] || other[1] != dim[1])
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' has %llu x %llu neighbors, but %llu x %llu distances",
                          path, (unsigned long long)dim[0], (unsigned long long)dim[1],
                          (unsigned long long)other[0], (unsigned long long)other[1]);
    struct mpivf_h5_attribute exact = {.name = "exact", .kind = MPIVF_H5_U64};
    if (mpivf_h5_text(path, "distance", text))
        for (int m = 0; m < MPIVF_METRICS; m++)
            if (strcmp(text, distance_name((enum mpivf_metric)m)) == 0) {
                result->metric = (enum mpivf_metric)m;
                result->metric_known = true;
            }
    status = mpivf_h5_describe(ctx, path, &exact, 1, NULL, 0);
    result->exact = status == MPIVF_OK && exact.number != 0;
    if (status != MPIVF_INPUT)
        return status;
    mpivf_forgive(ctx); /* a file of somebody else has no such attribute */
    return MPIVF_OK;
}
