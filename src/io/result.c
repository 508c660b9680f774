#include "io/result.h"

#include "io/convention.h"
#include "io/file.h"
#include "io/hdf5.h"
#include "io/result_read.h"

#include <assert.h>
#include <string.h>

/* One file of a result on its way. */
struct mpivf_result_file {
    struct mpivf_file file; /* its path is `partial` */
    char path[MPIVF_PATH], partial[MPIVF_PATH];
};

mpivf_status
mpivf_result_init(struct mpivf_context *ctx, struct mpivf_result *result,
                  uint64_t queries, uint64_t k)
{
    *result = (struct mpivf_result){.ctx = ctx, .queries = queries, .k = k};
    result->neighbor =
        mpivf_alloc(ctx, "the result", queries * k, sizeof *result->neighbor);
    result->distance =
        mpivf_alloc(ctx, "the result", queries * k, sizeof *result->distance);
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
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t bytes = strlen(name);
    for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++) {
        size_t end = strlen(ending[i]);
        if (bytes > end && strcmp(name + bytes - end, ending[i]) == 0)
            return (int)(name - path + (ptrdiff_t)(bytes - end));
    }
    return (int)strlen(path);
}

mpivf_status
mpivf_result_output(struct mpivf_context *ctx, const char *path, int also, int i,
                    char *output)
{
    if (i == 0)
        return mpivf_path(ctx, output, "%s", path);
    return mpivf_path(ctx, output, "%.*s%s", mpivf_result_stem(path), path,
                      mpivf_convention_ending(convention_of(also, i)));
}

static mpivf_status
name_files(struct mpivf_context *ctx, struct mpivf_result_writer *writer,
           const char *path)
{
    mpivf_status status = MPIVF_OK;
    for (int i = 0; i < writer->files && status == MPIVF_OK; i++) {
        struct mpivf_result_file *file = &writer->file[i];
        file->file = (struct mpivf_file){.fd = -1, .path = file->partial};
        status = mpivf_result_output(ctx, path, writer->also, i, file->path);
        if (status == MPIVF_OK)
            status = mpivf_path(ctx, file->partial, "%s.partial", file->path);
    }
    return status;
}

static mpivf_status
create_hdf5(struct mpivf_context *ctx, struct mpivf_result_writer *writer)
{
    const struct mpivf_result_about *about = &writer->about;
    struct mpivf_result_file *file = &writer->file[0];
    struct mpivf_h5_attribute attribute[] = {
        {.name = "distance", .kind = MPIVF_H5_TEXT},
        {.name = "kind", .kind = MPIVF_H5_TEXT},
        {.name = "k", .kind = MPIVF_H5_U64, .number = about->k},
        {.name = "rows", .kind = MPIVF_H5_U64, .number = about->rows},
        {.name = "exact", .kind = MPIVF_H5_U64, .number = about->exact},
        {.name = "inquiry", .kind = MPIVF_H5_U64, .number = about->inquiry},
    };
    strcpy(attribute[0].text, mpivf_result_distance(about->metric));
    strcpy(attribute[1].text, about->kind);
    struct mpivf_h5_dataset dataset[] = {
        {"neighbors", MPIVF_I64, 2, {about->queries, about->k}, 0},
        {"distances", MPIVF_F64, 2, {about->queries, about->k}, 0},
        {"ties", MPIVF_I64, 1, {about->queries, 1}, 0},
        {"duplicates", MPIVF_I64, 1, {about->queries, 1}, 0},
    };
    mpivf_status status =
        mpivf_h5_create(ctx, file->partial, attribute, about->inquiry ? 6 : 5, dataset,
                        about->counts ? 4 : 2);
    for (int i = 0; i < 4; i++)
        writer->offset[i] = dataset[i].offset;
    return status ? status : mpivf_file_update(ctx, file->partial, &file->file);
}

static mpivf_status
create_other(struct mpivf_context *ctx, struct mpivf_result_writer *writer, int i)
{
    struct mpivf_result_file *file = &writer->file[i];
    mpivf_status status = mpivf_file_create(ctx, file->partial, &file->file);
    if (status)
        return status;
    return mpivf_convention_begin(ctx, &file->file, convention_of(writer->also, i),
                                  &writer->about);
}

/* Memory and names; when this fails there is nothing in the folder to remove. */
static mpivf_status
prepare(struct mpivf_context *ctx, struct mpivf_result_writer *writer, const char *path)
{
    writer->file = mpivf_alloc_zero(ctx, "the result's files", (size_t)writer->files,
                                    sizeof *writer->file);
    if (writer->file == NULL)
        return MPIVF_MEMORY;
    if (writer->files > 1) {
        writer->word = mpivf_alloc(ctx, "the result's files", MPIVF_CONVENTION_WORDS,
                                   sizeof *writer->word);
        if (writer->word == NULL)
            return MPIVF_MEMORY;
    }
    return name_files(ctx, writer, path);
}

mpivf_status
mpivf_result_create(struct mpivf_context *ctx, struct mpivf_result_writer *writer,
                    const char *path, const struct mpivf_result_about *about, int also)
{
    *writer = (struct mpivf_result_writer){.about = *about, .also = also};
    mpivf_status status = mpivf_convention_check(ctx, about, also);
    if (status)
        return status;
    writer->files = mpivf_result_outputs(also);
    status = prepare(ctx, writer, path);
    if (status)
        writer->files = 0;
    if (status == MPIVF_OK)
        status = create_hdf5(ctx, writer);
    for (int i = 1; i < writer->files && status == MPIVF_OK; i++)
        status = create_other(ctx, writer, i);
    return status ? mpivf_result_finish(ctx, writer, status) : MPIVF_OK;
}

bool
mpivf_result_answers(struct mpivf_context *ctx, const char *path, uint64_t inquiry)
{
    struct mpivf_h5_attribute mark = {.name = "inquiry", .kind = MPIVF_H5_U64};
    if (!mpivf_file_exists(path) || !mpivf_h5_is(path))
        return false;
    bool answers = mpivf_h5_describe(ctx, path, &mark, 1, NULL, 0) == MPIVF_OK && mark.number == inquiry;
    mpivf_forgive(ctx);
    return answers;
}

mpivf_status
mpivf_result_put(struct mpivf_context *ctx, struct mpivf_result_writer *writer,
                 uint64_t first, uint64_t n, const struct mpivf_result_rows *rows)
{
    const struct mpivf_result_about *about = &writer->about;
    const void *data[] = {rows->neighbor, rows->shown, rows->ties, rows->duplicates};
    assert(first <= about->queries && n <= about->queries - first);
    mpivf_status status = MPIVF_OK;
    for (int i = 0; i < (about->counts ? 4 : 2) && status == MPIVF_OK; i++) {
        uint64_t row = (i < 2 ? about->k : 1) * sizeof(int64_t);
        status = mpivf_file_write(ctx, &writer->file[0].file, data[i], n * row,
                                  writer->offset[i] + first * row);
    }
    for (int i = 1; i < writer->files && status == MPIVF_OK; i++)
        status = mpivf_convention_put(ctx, &writer->file[i].file,
                                      convention_of(writer->also, i), about, first, n,
                                      rows, writer->word);
    return status;
}

/* Give the files their names, the HDF5 file last; the first *left have none yet. */
static mpivf_status
commit_files(struct mpivf_context *ctx, const struct mpivf_result_writer *writer,
             int *left)
{
    mpivf_status status = MPIVF_OK;
    for (*left = writer->files; *left > 0 && status == MPIVF_OK;) {
        const struct mpivf_result_file *file = &writer->file[*left - 1];
        status = mpivf_file_commit(ctx, file->partial, file->path);
        *left -= status == MPIVF_OK;
    }
    return status;
}

mpivf_status
mpivf_result_finish(struct mpivf_context *ctx, struct mpivf_result_writer *writer,
                    mpivf_status status)
{
    int left = writer->files;
    for (int i = 0; i < writer->files && status == MPIVF_OK; i++)
        status = mpivf_file_sync(ctx, &writer->file[i].file);
    for (int i = 0; i < writer->files; i++) {
        mpivf_status closed = mpivf_file_close(ctx, &writer->file[i].file);
        status = status ? status : closed;
    }
    if (status == MPIVF_OK)
        status = commit_files(ctx, writer, &left);
    /* a part of the files is no result, and would stop the same command next time */
    for (int i = 0; i < writer->files && status; i++)
        (void)mpivf_file_remove(ctx, i < left ? writer->file[i].partial
                                              : writer->file[i].path);
    mpivf_free(ctx, writer->word);
    mpivf_free(ctx, writer->file);
    *writer = (struct mpivf_result_writer){.files = 0};
    return status;
}

mpivf_status
mpivf_result_write(const struct mpivf_result *result, const char *path, const char *kind)
{
    struct mpivf_result_about about = {
        .kind = kind,
        .metric = result->metric,
        .queries = result->queries,
        .k = result->k,
        .rows = result->rows,
        .exact = result->exact,
    };
    struct mpivf_result_rows rows = {.neighbor = result->neighbor,
                                     .shown = result->distance};
    struct mpivf_result_writer writer;
    mpivf_status status = mpivf_result_create(result->ctx, &writer, path, &about, 0);
    if (status == MPIVF_OK)
        status = mpivf_result_put(result->ctx, &writer, 0, result->queries, &rows);
    return mpivf_result_finish(result->ctx, &writer, status);
}
