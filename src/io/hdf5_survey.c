#include "io/hdf5_survey.h"

#include "base/compare.h"
#include "base/fault.h"
#include "base/then.h"

#include <string.h>

enum { DEEPEST = 32 }; /* virtual datasets of virtual datasets */

/* What is wanted of a source, and where it goes. */
static mpivf_status
survey_below(struct mpivf_h5_level *l, const char *object, hid_t source,
             const struct mpivf_h5_rectangle *want, uint64_t to_row, uint64_t to_column,
             bool lying);

/* ---- virtual datasets ---- */

/* The source file of a mapping, open; the last one stays open for the next mapping. */
static mpivf_status
open_source_file(struct mpivf_h5_level *l, const struct mpivf_h5_mapping *m)
{
    struct mpivf_context *ctx = l->survey->ctx;
    char path[MPIVF_PATH];
    const char *why;
    if (strcmp(m->file, ".") == 0)
        memcpy(path, l->holder, sizeof path);
    else if (!mpivf_h5_resolve(l->holder, MPIVF_H5_VIRTUAL, m->file, path, &why))
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s:%s' needs '%s', which cannot be opened: %s",
                          l->path, l->object, m->file, why);
    if (l->last >= 0 && strcmp(path, l->last_path) == 0)
        return MPIVF_OK;
    if (l->last >= 0)
        H5Fclose(l->last);
    memcpy(l->last_path, path, sizeof path);
    hid_t access = mpivf_h5_file_access();
    l->last = mpivf_fault(ctx, MPIVF_FAULT_HDF5_OPEN) ? -1 : H5Fopen(path, H5F_ACC_RDONLY, access);
    mpivf_status status = MPIVF_OK;
    if (l->last < 0)
        status = mpivf_h5_fail(ctx, MPIVF_IO, "'%s:%s' needs '%s', which cannot be opened", l->path,
                               l->object, path);
    H5Pclose(access);
    return status;
}

/*
 * A mapping of all of a source: rows and columns as here, or a row of one dimension. Anything else
 * surprises, unless there is too little, which is told.
 */
static void
fit_entire(struct mpivf_h5_level *l, const hsize_t *dim, int dims, struct mpivf_h5_mapping *m)
{
    hsize_t rows = m->entire_size[0], columns = m->entire_size[1];
    m->lying = dims == 1 && rows == 1 && columns > 1;
    if (m->lying)
        rows = columns, columns = 1; /* as they are in the source */
    m->min[0] = m->growing ? 0 : rows;
    m->min[1] = columns;
    if (dims > 2 || (dims == 1 && columns != 1) || (dims == 2 && dim[1] > columns) ||
        (dim[0] > rows && !m->growing))
        l->surprised = true;
}

/* The source has to have what the mapping takes; rows that grow are as many as there are. */
static mpivf_status
check_source(struct mpivf_h5_level *l, hid_t source, struct mpivf_h5_mapping *m)
{
    struct mpivf_context *ctx = l->survey->ctx;
    hsize_t dim[H5S_MAX_RANK] = {0, 1}, first[H5S_MAX_RANK], last[H5S_MAX_RANK];
    hid_t space = H5Dget_space(source);
    int dims = H5Sget_simple_extent_dims(space, dim, NULL), short_of = -1;
    H5Sclose(space);
    if (m->entire && m->simple)
        fit_entire(l, dim, dims, m);
    else if (dims != m->source_dims && !m->entire)
        return mpivf_fail(ctx, MPIVF_INPUT,
                          "'%s:%s' needs '%s:%s' to have %d dimensions, and it has %d", l->path,
                          l->object, m->file, m->object, m->source_dims, dims);
    /* which dimension is too small for what is mapped from it */
    bool bounded = !m->simple && H5Sget_select_type(m->source_space) == H5S_SEL_HYPERSLABS &&
                   H5Sget_select_bounds(m->source_space, first, last) >= 0;
    for (int d = 0; d < dims; d++) {
        hsize_t min = m->simple && d < 2 ? m->min[d] : bounded ? last[d] + 1 : 0;
        if (l->surprised)
            break;
        if (min > dim[d] && short_of < 0)
            short_of = d, first[0] = min;
    }
    H5Eclear2(H5E_DEFAULT);
    if (short_of >= 0)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s:%s' needs %llu %s of '%s:%s', which has %llu",
                          l->path, l->object, (unsigned long long)first[0],
                          short_of == 0 ? "rows" : "columns", m->file, m->object,
                          (unsigned long long)dim[short_of]);
    /* an unlimited mapping has as many rows as its source */
    if (m->growing) {
        hsize_t there = dim[0] > m->from_row ? dim[0] - m->from_row : 0;
        m->rows = m->rows < there ? m->rows : there;
    }
    return MPIVF_OK;
}

static mpivf_status
open_source(struct mpivf_h5_level *l, const struct mpivf_h5_mapping *m, hid_t *source)
{
    struct mpivf_context *ctx = l->survey->ctx;
    mpivf_status status = open_source_file(l, m);
    if (status)
        return status;
    status = mpivf_h5_open_object(ctx, l->last, l->last_path, m->object, source);
    if (status == MPIVF_OK)
        return MPIVF_OK;
    char cause[MPIVF_TEXT];
    mpivf_take_error(ctx, cause);
    return mpivf_fail(ctx, status, "'%s:%s' needs '%s:%s': %s", l->path, l->object, m->file,
                      m->object, cause);
}

/* What is wanted of a source: where the mapping and what is wanted of the dataset meet. */
static mpivf_status
survey_wanted(struct mpivf_h5_level *l, const struct mpivf_h5_mapping *m, hid_t source)
{
    const struct mpivf_h5_rectangle *want = l->want;
    uint64_t row = mpivf_larger(want->row, m->row), column = mpivf_larger(want->column, m->column);
    uint64_t row_end = mpivf_smaller(want->row + want->rows, m->row + m->rows);
    uint64_t column_end = mpivf_smaller(want->column + want->columns, m->column + m->columns);
    if (row >= row_end || column >= column_end) /* but it has to be there */
        return survey_below(l, m->object, source, NULL, 0, 0, false);
    struct mpivf_h5_rectangle part = {.row = m->lying ? 0 : m->from_row + (row - m->row),
                                      .rows = row_end - row,
                                      .column = m->from_column + (column - m->column),
                                      .columns = column_end - column};
    return survey_below(l, m->object, source, &part, l->to_row + (row - want->row),
                        l->to_column + (column - want->column), m->lying);
}

static mpivf_status
survey_source(struct mpivf_h5_level *l, const struct mpivf_h5_mapping *mapping, bool wanted)
{
    struct mpivf_context *ctx = l->survey->ctx;
    hid_t source = -1;
    mpivf_status status = open_source(l, mapping, &source);
    if (status)
        return status;
    struct mpivf_h5_mapping *m = mpivf_alloc(ctx, "a mapping", 1, sizeof *m);
    if (m) {
        *m = *mapping;
        status = check_source(l, source, m);
        if (status == MPIVF_OK && l->want)
            status = mpivf_h5_cover_add(ctx, &l->cover, m);
        if (status == MPIVF_OK && wanted && !l->surprised)
            status = survey_wanted(l, m, source);
        else if (status == MPIVF_OK)
            status = survey_below(l, m->object, source, NULL, 0, 0, false);
    } else {
        status = MPIVF_MEMORY;
    }
    mpivf_free(ctx, m);
    H5Dclose(source);
    return status;
}

static mpivf_status
visit_wanted(void *arg, const struct mpivf_h5_mapping *mapping)
{
    return survey_source(arg, mapping, true);
}

static mpivf_status
visit_checked(void *arg, const struct mpivf_h5_mapping *mapping)
{
    return survey_source(arg, mapping, false);
}

/* The pieces of a dataset of boxes, over its fill value where something is not covered. */
static mpivf_status
add_pieces(struct mpivf_h5_level *l, hid_t create)
{
    struct mpivf_h5_layout *layout = l->survey->layout;
    struct mpivf_h5_piece fill = {.row = l->to_row,
                                  .rows = l->want->rows,
                                  .column = l->to_column,
                                  .columns = l->want->columns,
                                  .leaf = MPIVF_H5_NOWHERE};
    uint64_t at = layout->pieces;
    if (H5Pget_fill_value(create, l->survey->type, fill.fill) < 0)
        return mpivf_h5_fail(l->survey->ctx, MPIVF_CORRUPT, "cannot read the fill value of '%s:%s'",
                             l->path, l->object);
    mpivf_status status = mpivf_h5_layout_piece(l->survey->ctx, layout, &fill);
    THEN(status, mpivf_h5_virtual_list(l->survey->ctx, l->id, visit_wanted, l, NULL));
    bool holes = false;
    if (status == MPIVF_OK)
        status =
            mpivf_h5_cover_holes(l->survey->ctx, &l->cover, mpivf_h5_stored_unwritten, l, &holes);
    if (status == MPIVF_OK && !holes) {
        layout->pieces--;
        memmove(&layout->piece[at], &layout->piece[at + 1],
                (layout->pieces - at) * sizeof *layout->piece);
    }
    return status;
}

static mpivf_status
survey_virtual(struct mpivf_h5_level *l, hid_t create)
{
    struct mpivf_context *ctx = l->survey->ctx;
    bool simple = false;
    if (l->want == NULL)
        return mpivf_h5_virtual_list(ctx, l->id, visit_checked, l, NULL);
    hid_t type = H5Dget_type(l->id);
    bool same = H5Tequal(type, l->survey->type) > 0;
    H5Tclose(type);
    mpivf_status status = mpivf_h5_virtual_list(ctx, l->id, NULL, NULL, &simple);
    if (status)
        return status;
    const struct mpivf_h5_layout before = *l->survey->layout;
    mpivf_h5_cover_begin(&l->cover, l->id);
    if (simple && same && !l->lying)
        status = add_pieces(l, create);
    if (l->surprised) { /* then as if nothing had been tried */
        struct mpivf_h5_layout *layout = l->survey->layout;
        layout->leaves = before.leaves;
        layout->pieces = before.pieces;
        layout->names = before.names;
        layout->unwrittens = before.unwrittens;
        mpivf_h5_cover_end(&l->cover);
        mpivf_h5_cover_begin(&l->cover, l->id);
    }
    if (l->surprised || !simple || !same || l->lying) { /* HDF5 puts it together */
        bool holes;
        l->surprised = false;
        status = mpivf_h5_virtual_list(ctx, l->id, visit_checked, l, NULL);
        THEN(status, mpivf_h5_stored_add(l, create));
        if (status == MPIVF_OK && !l->lying)
            status = mpivf_h5_cover_holes(ctx, &l->cover, mpivf_h5_stored_unwritten, l, &holes);
    }
    mpivf_h5_cover_end(&l->cover);
    return status;
}

/* ---- both ---- */

/* A dataset that is a source of itself would be surveyed without an end. */
static mpivf_status
check_circle(const struct mpivf_h5_level *l)
{
    for (const struct mpivf_h5_level *a = l->above; a; a = a->above)
        if (a->file == l->file && a->address == l->address)
            return mpivf_fail(l->survey->ctx, MPIVF_INPUT,
                              "the virtual dataset '%s:%s' is a source of "
                              "itself",
                              l->path, l->object);
    if (l->depth > DEEPEST)
        return mpivf_fail(l->survey->ctx, MPIVF_INPUT,
                          "'%s:%s' is more than %d virtual datasets deep", l->path, l->object,
                          DEEPEST);
    return MPIVF_OK;
}

static mpivf_status
survey_level(struct mpivf_h5_level *l)
{
    struct mpivf_h5_survey *s = l->survey;
    H5O_info_t info;
    if (H5Oget_info2(l->id, &info, H5O_INFO_BASIC) < 0)
        return mpivf_h5_fail(s->ctx, MPIVF_CORRUPT, "cannot look at '%s:%s'", l->path, l->object);
    l->file = info.fileno;
    l->address = info.addr;
    mpivf_status status = check_circle(l);
    THEN(status, mpivf_h5_holder(s->ctx, l->id, l->holder));
    if (status == MPIVF_OK && s->visit)
        status = s->visit(s->ctx, s->arg, l->path);
    if (status == MPIVF_OK && s->visit)
        status = mpivf_h5_link_files(s->ctx, l->root, l->path, l->object, s->visit, s->arg);
    if (status)
        return status;
    hid_t create = H5Dget_create_plist(l->id);
    status = H5Pget_layout(create) == H5D_VIRTUAL ? survey_virtual(l, create)
                                                  : mpivf_h5_stored_survey(l, create);
    H5Pclose(create);
    return status;
}

/* Survey a level, and let it go. */
static mpivf_status
survey_end(struct mpivf_h5_level *l)
{
    mpivf_status status = survey_level(l);
    if (l->last >= 0)
        H5Fclose(l->last);
    mpivf_free(l->survey->ctx, l);
    return status;
}

static mpivf_status
survey_below(struct mpivf_h5_level *l, const char *object, hid_t source,
             const struct mpivf_h5_rectangle *want, uint64_t to_row, uint64_t to_column, bool lying)
{
    struct mpivf_h5_level *below = mpivf_alloc_zero(l->survey->ctx, "a dataset", 1, sizeof *below);
    if (below == NULL)
        return MPIVF_MEMORY;
    below->survey = l->survey;
    below->above = l;
    below->depth = l->depth + 1;
    below->path = l->last_path;
    below->root = l->last;
    below->object = object;
    below->id = source;
    below->want = want;
    below->to_row = to_row;
    below->to_column = to_column;
    below->lying = lying;
    below->last = -1;
    return survey_end(below);
}

mpivf_status
mpivf_h5_survey_whole(struct mpivf_h5_survey *survey, hid_t file, const char *path,
                      const char *object, hid_t id, const struct mpivf_h5_rectangle *want)
{
    struct mpivf_h5_level *top = mpivf_alloc_zero(survey->ctx, "a dataset", 1, sizeof *top);
    if (top == NULL)
        return MPIVF_MEMORY;
    top->survey = survey;
    top->path = path;
    top->root = file;
    top->object = object;
    top->id = id;
    top->want = want;
    top->last = -1;
    return survey_end(top);
}
