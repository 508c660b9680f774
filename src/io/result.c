#include "io/result.h"

#include "base/then.h"
#include "io/convention.h"
#include "io/file.h"
#include "io/hdf5.h"
#include "io/place.h"
#include "io/result_read.h"

#include <assert.h>
#include <string.h>

mpivf_status
mpivf_result_init(struct mpivf_context *ctx, struct mpivf_result *result, uint64_t queries,
                  uint64_t k)
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

int
mpivf_result_outputs(int also)
{
    int outputs = 1;
    for (int c = 0; c < MPIVF_CONVENTIONS; c++)
        outputs += mpivf_convention_asked((enum mpivf_convention)c, also);
    return outputs;
}

/* The convention of the i-th file, i > 0. */
static enum mpivf_convention
convention_of(int also, int i)
{
    int c = 0;
    while (!mpivf_convention_asked((enum mpivf_convention)c, also) || --i > 0)
        c++;
    return (enum mpivf_convention)c;
}

int
mpivf_result_stem(const char *path)
{
    static const char *const ending[] = {".h5", ".hdf5"};
    const char *name = mpivf_place_name(path);
    size_t bytes = strlen(name);
    for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++) {
        size_t end = strlen(ending[i]);
        if (bytes > end && strcmp(name + bytes - end, ending[i]) == 0)
            return (int)(name - path + (ptrdiff_t)(bytes - end));
    }
    return (int)strlen(path);
}

mpivf_status
mpivf_result_output(struct mpivf_context *ctx, const char *path, int also, int i, char *output)
{
    if (i == 0)
        return mpivf_path(ctx, output, "%s", path);
    return mpivf_path(ctx, output, "%.*s%s", mpivf_result_stem(path), path,
                      mpivf_convention_ending(convention_of(also, i)));
}

uint64_t
mpivf_result_bytes(uint64_t queries, uint64_t k, int also)
{
    return queries * (k * 16 + 16) + (uint64_t)(mpivf_result_outputs(also) - 1) * queries * k * 8 +
           (64 << 10);
}

static mpivf_status
create_hdf5(struct mpivf_context *ctx, struct mpivf_result_writer *writer)
{
    const struct mpivf_result_about *about = &writer->about;
    struct mpivf_h5_attribute attribute[] = {
        {.name = "distance", .kind = MPIVF_H5_TEXT},
        {.name = "kind", .kind = MPIVF_H5_TEXT},
        {.name = "k", .kind = MPIVF_H5_U64, .number = about->k},
        {.name = "rows", .kind = MPIVF_H5_U64, .number = about->rows},
        {.name = "exact", .kind = MPIVF_H5_U64, .number = about->exact},
        {.name = "request", .kind = MPIVF_H5_U64, .number = about->request},
    };
    strcpy(attribute[0].text, mpivf_result_distance(about->metric));
    strcpy(attribute[1].text, about->kind);
    struct mpivf_h5_dataset dataset[] = {
        {"neighbors", MPIVF_I64, 2, {about->queries, about->k}, 0},
        {"distances", MPIVF_F64, 2, {about->queries, about->k}, 0},
        {"ties", MPIVF_I64, 1, {about->queries, 1}, 0},
        {"duplicates", MPIVF_I64, 1, {about->queries, 1}, 0},
    };
    mpivf_status status = mpivf_h5_create(ctx, &writer->output[0]->file, attribute,
                                          about->request ? 6 : 5, dataset, about->counts ? 4 : 2);
    for (int i = 0; i < 4; i++)
        writer->offset[i] = dataset[i].offset;
    return status;
}

mpivf_status
mpivf_result_create(struct mpivf_context *ctx, struct mpivf_result_writer *writer,
                    struct mpivf_output *const *output, const struct mpivf_result_about *about,
                    int also)
{
    *writer = (struct mpivf_result_writer){.about = *about, .output = output, .also = also};
    mpivf_status status = mpivf_convention_check(ctx, about, also);
    if (status)
        return status;
    writer->files = mpivf_result_outputs(also);
    if (writer->files > 1) {
        writer->word =
            mpivf_alloc(ctx, "the result's files", MPIVF_CONVENTION_WORDS, sizeof *writer->word);
        status = writer->word ? MPIVF_OK : MPIVF_MEMORY;
    }
    THEN(status, create_hdf5(ctx, writer));
    for (int i = 1; i < writer->files && status == MPIVF_OK; i++)
        status =
            mpivf_convention_begin(ctx, &output[i]->file, convention_of(also, i), &writer->about);
    return status ? mpivf_result_finish(ctx, writer, status) : MPIVF_OK;
}

bool
mpivf_result_answers(struct mpivf_context *ctx, const char *path, uint64_t request)
{
    struct mpivf_h5_attribute mark = {.name = "request", .kind = MPIVF_H5_U64};
    if (!mpivf_file_exists(path) || !mpivf_h5_is(path))
        return false;
    bool answers =
        mpivf_h5_describe(ctx, path, &mark, 1, NULL, 0) == MPIVF_OK && mark.number == request;
    mpivf_clear_error(ctx);
    return answers;
}

mpivf_status
mpivf_result_put(struct mpivf_context *ctx, struct mpivf_result_writer *writer, uint64_t first,
                 uint64_t n, const struct mpivf_result_rows *rows)
{
    const struct mpivf_result_about *about = &writer->about;
    const void *data[] = {rows->neighbor, rows->shown, rows->ties, rows->duplicates};
    assert(first <= about->queries && n <= about->queries - first);
    mpivf_status status = MPIVF_OK;
    for (int i = 0; i < (about->counts ? 4 : 2) && status == MPIVF_OK; i++) {
        uint64_t row = (i < 2 ? about->k : 1) * sizeof(int64_t);
        status = mpivf_file_write(ctx, &writer->output[0]->file, data[i], n * row,
                                  writer->offset[i] + first * row);
    }
    for (int i = 1; i < writer->files && status == MPIVF_OK; i++)
        status = mpivf_convention_put(ctx, &writer->output[i]->file, convention_of(writer->also, i),
                                      about, first, n, rows, writer->word);
    return status;
}

/* Give the files their names, the HDF5 file last. A part of the files is no result. */
static mpivf_status
commit_files(struct mpivf_context *ctx, const struct mpivf_result_writer *writer)
{
    mpivf_status status = MPIVF_OK;
    for (int i = writer->files - 1; i >= 0 && status == MPIVF_OK; i--)
        status = mpivf_output_commit(ctx, writer->output[i]);
    for (int i = 0; i < writer->files && status; i++)
        mpivf_output_withdraw(writer->output[i]);
    return status;
}

mpivf_status
mpivf_result_finish(struct mpivf_context *ctx, struct mpivf_result_writer *writer,
                    mpivf_status status)
{
    for (int i = 0; i < writer->files && status == MPIVF_OK; i++)
        status = mpivf_file_sync(ctx, &writer->output[i]->file);
    THEN(status, commit_files(ctx, writer));
    mpivf_free(ctx, writer->word);
    *writer = (struct mpivf_result_writer){.files = 0};
    return status;
}

mpivf_status
mpivf_result_write(const struct mpivf_result *result, struct mpivf_output *output, const char *kind)
{
    struct mpivf_result_about about = {
        .kind = kind,
        .metric = result->metric,
        .queries = result->queries,
        .k = result->k,
        .rows = result->rows,
        .exact = result->exact,
    };
    struct mpivf_result_rows rows = {.neighbor = result->neighbor, .shown = result->distance};
    struct mpivf_result_writer writer;
    mpivf_status status = mpivf_result_create(result->ctx, &writer, &output, &about, 0);
    THEN(status, mpivf_result_put(result->ctx, &writer, 0, result->queries, &rows));
    return mpivf_result_finish(result->ctx, &writer, status);
}
