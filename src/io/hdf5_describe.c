#include "io/hdf5_survey.h"

#include "base/fault.h"
#include "base/then.h"

#include <string.h>

/* A dataset on its way from its name to a description. */
struct describing {
    struct mpivf_context *ctx;
    const char *path, *object;
    hid_t file, dataset, type, space; /* owned */
    int dims;
    hsize_t dim[2];
    struct mpivf_h5_layout *layout; /* owned until it is handed over */
};

static mpivf_status
describing_open(struct describing *d, struct mpivf_context *ctx, const char *path,
                const char *object)
{
    *d = (struct describing){.ctx = ctx, .path = path, .object = object, .dim = {0, 1}};
    d->file = d->dataset = d->type = d->space = -1;
    mpivf_status status = mpivf_h5_open_file(ctx, path, false, &d->file);
    THEN(status, mpivf_h5_open_object(ctx, d->file, path, object, &d->dataset));
    if (status)
        return status;
    d->space = H5Dget_space(d->dataset);
    d->type = H5Dget_type(d->dataset);
    d->dims = H5Sget_simple_extent_ndims(d->space);
    if (d->dims == 1 || d->dims == 2)
        H5Sget_simple_extent_dims(d->space, d->dim, NULL);
    d->layout = mpivf_alloc_zero(ctx, "the table of where rows lie", 1, sizeof *d->layout);
    return d->layout ? MPIVF_OK : MPIVF_MEMORY;
}

static void
describing_close(struct describing *d)
{
    mpivf_h5_layout_free(d->ctx, &d->layout);
    if (d->type >= 0)
        H5Tclose(d->type);
    if (d->space >= 0)
        H5Sclose(d->space);
    if (d->dataset >= 0)
        H5Dclose(d->dataset);
    if (d->file >= 0)
        H5Fclose(d->file);
    H5Eclear2(H5E_DEFAULT);
}

/* All of the dataset as elements of `type`; `visit` may be NULL. */
static mpivf_status
survey(struct describing *d, hid_t type, bool unwritten, mpivf_visit_file visit, void *arg)
{
    struct mpivf_h5_survey s = {.ctx = d->ctx,
                                .visit = visit,
                                .arg = arg,
                                .layout = d->layout,
                                .type = type,
                                .unwritten = unwritten};
    struct mpivf_h5_rectangle all = {0, d->dim[0], 0, d->dim[1]};
    mpivf_status status = mpivf_h5_survey_whole(&s, d->file, d->path, d->object, d->dataset, &all);
    mpivf_h5_layout_finish(d->layout);
    return status;
}

/*
 * Rows of chunks that should be read together. Where the chunks of sources do not begin at
 * multiples of one number, four of the largest: then one in four is inflated twice at most.
 */
static uint64_t
chunk_rows(const struct mpivf_h5_layout *layout, uint64_t rows)
{
    uint64_t max = 0;
    for (uint64_t i = 0; i < layout->leaves; i++)
        if (layout->leaf[i].chunk_rows > max)
            max = layout->leaf[i].chunk_rows;
    bool aligned = true;
    for (uint64_t i = 0; i < layout->pieces && aligned && max > 1; i++) {
        const struct mpivf_h5_piece *piece = &layout->piece[i];
        uint64_t chunk = piece->leaf < 0 ? 0 : layout->leaf[piece->leaf].chunk_rows;
        aligned = chunk == 0 || (chunk == max && piece->row % chunk == piece->from_row % chunk);
    }
    uint64_t wanted = aligned ? max : 4 * max;
    return wanted < rows ? wanted : aligned ? max : rows;
}

static mpivf_status
check_kind(struct describing *d, struct mpivf_matrix *matrix)
{
    if (d->dims != 1 && d->dims != 2)
        return mpivf_fail(d->ctx, MPIVF_INPUT, "'%s:%s' has %d dimensions; rows of vectors have 2",
                          d->path, d->object, d->dims);
    if (!mpivf_h5_type_ours(d->type, &matrix->type, &matrix->swapped))
        return mpivf_fail(d->ctx, MPIVF_INPUT,
                          "'%s:%s' holds %s of %zu bytes; vectors are f16 f32 f64 u8 i8, ids are "
                          "i32 u32 i64 u64",
                          d->path, d->object, mpivf_h5_type_class(d->type), H5Tget_size(d->type));
    matrix->rows = d->dim[0];
    matrix->dim = d->dim[1];
    return MPIVF_OK;
}

/* From the table to how it can be read. */
static mpivf_status
set_matrix(struct describing *d, struct mpivf_matrix *matrix)
{
    const struct mpivf_h5_layout *layout = d->layout;
    hid_t create = H5Dget_create_plist(d->dataset);
    bool alone = H5Pget_layout(create) != H5D_VIRTUAL && H5Pget_external_count(create) <= 0;
    H5Pclose(create);
    const struct mpivf_h5_leaf *leaf = layout->leaves > 0 ? layout->leaf : NULL;
    matrix->chunk_rows = chunk_rows(layout, matrix->rows);
    /*
     * In HDF5 1.10 a collective read of chunks that do not exist fails, and one of chunks that have
     * to be read whole would inflate them anew for each part.
     */
    matrix->together = alone && layout->unwrittens == 0 && leaf && !leaf->whole;
    matrix->direct = alone && leaf && leaf->direct;
    if (!matrix->direct)
        return MPIVF_OK;
    matrix->offset = leaf->offset;
    return mpivf_path(d->ctx, matrix->file, "%s", layout->name + leaf->holder);
}

/* What is in the file beside the numbers and is not heeded. */
static void
note_more(const struct describing *d)
{
    static const struct {
        const char *attribute, *note;
    } known[] = {
        {"scale_factor",
         "has the attribute scale_factor, which is not applied: values are read as they "
         "are stored"},
        {"add_offset",
         "has the attribute add_offset, which is not applied: values are read as they are "
         "stored"},
        {"MATLAB_class", "was written by MATLAB: its rows are the columns of the matrix there"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (H5Aexists(d->dataset, known[i].attribute) > 0)
            mpivf_note(d->ctx, "'%s:%s' %s", d->path, d->object, known[i].note);
}

mpivf_status
mpivf_h5_matrix(struct mpivf_context *ctx, const char *path, const char *object,
                mpivf_visit_file visit, void *arg, struct mpivf_matrix *matrix,
                struct mpivf_h5_layout **layout)
{
    struct describing d;
    struct mpivf_matrix found = {0};
    mpivf_status status = describing_open(&d, ctx, path, object);
    THEN(status, check_kind(&d, &found));
    THEN(status, survey(&d, d.type, true, visit, arg));
    THEN(status, set_matrix(&d, &found));
    if (status == MPIVF_OK) {
        note_more(&d);
        *matrix = found;
        *layout = d.layout;
        d.layout = NULL;
    }
    describing_close(&d);
    return status;
}

mpivf_status
mpivf_h5_stands_on(struct mpivf_context *ctx, const char *path, const char *object,
                   mpivf_visit_file visit, void *arg)
{
    struct describing d;
    mpivf_status status = describing_open(&d, ctx, path, object);
    if (status == MPIVF_OK && (d.dims == 1 || d.dims == 2))
        status = survey(&d, d.type, false, visit, arg);
    describing_close(&d);
    return status;
}

/* The type that holds every number of a kind. */
static enum mpivf_type
widest(hid_t type)
{
    if (H5Tget_class(type) == H5T_FLOAT)
        return MPIVF_F64;
    return H5Tget_sign(type) == H5T_SGN_NONE ? MPIVF_U64 : MPIVF_I64;
}

static hid_t
native(enum mpivf_type type)
{
    return type == MPIVF_F64   ? H5T_NATIVE_DOUBLE
           : type == MPIVF_U64 ? H5T_NATIVE_UINT64
                               : H5T_NATIVE_INT64;
}

/* Open a dataset of numbers and find out where they lie. */
static mpivf_status
open_numbers(struct describing *d, struct mpivf_context *ctx, const char *path, const char *object)
{
    mpivf_status status = describing_open(d, ctx, path, object);
    if (status)
        return status;
    H5T_class_t class = H5Tget_class(d->type);
    bool narrow = class == H5T_FLOAT || (class == H5T_INTEGER && H5Tget_size(d->type) <= 8);
    if ((d->dims != 1 && d->dims != 2) || !narrow)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s:%s' is not a 1-D or 2-D dataset of numbers", path,
                          object);
    return survey(d, native(widest(d->type)), false, NULL, NULL);
}

mpivf_status
mpivf_h5_table_open(struct mpivf_context *ctx, const char *path, const char *object,
                    struct mpivf_h5_table *table)
{
    struct describing d;
    mpivf_status status = open_numbers(&d, ctx, path, object);
    if (status == MPIVF_OK) {
        *table = (struct mpivf_h5_table){.path = path,
                                         .object = object,
                                         .type = widest(d.type),
                                         .rows = d.dim[0],
                                         .columns = d.dim[1],
                                         .size = H5Tget_size(d.type)};
        if (table->type == MPIVF_U64)
            table->largest = UINT64_MAX >> (64 - 8 * table->size);
        table->reading_bytes = mpivf_h5_reading_bytes(d.layout, sizeof(int64_t));
    }
    describing_close(&d);
    return status;
}

mpivf_status
mpivf_h5_table_read(struct mpivf_context *ctx, const struct mpivf_h5_table *table, uint64_t first,
                    uint64_t n, void *data)
{
    struct describing d;
    struct mpivf_range range = {first, n};
    mpivf_status status = open_numbers(&d, ctx, table->path, table->object);
    if (status == MPIVF_OK)
        status =
            mpivf_h5_read_local(ctx, d.layout, native(table->type), table->columns, range, data);
    describing_close(&d);
    return status;
}
