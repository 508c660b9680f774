#include "base/then.h"
#include "io/hdf5_internal.h"

#include "base/compare.h"

#include <string.h>

/* A selection as far as it is a box of one or two dimensions. */
struct selection {
    int dims;
    bool box;
    bool entire;               /* all of a dataset whose extents are not known here */
    hsize_t start[2], size[2]; /* H5S_UNLIMITED: without an end, or without an end in blocks */
    hsize_t stride[2], block[2];
};

/* Box by box in one dimension: one block, or blocks that touch. */
static bool
take_dimension(struct selection *s, int d, hsize_t start, hsize_t stride, hsize_t count,
               hsize_t block)
{
    s->start[d] = start;
    s->stride[d] = stride;
    s->block[d] = block;
    if (count == 1)
        s->size[d] = block;
    else if (count == H5S_UNLIMITED)
        s->size[d] = H5S_UNLIMITED;
    else
        s->size[d] = count * block;
    return count == 1 || stride == block || count == H5S_UNLIMITED;
}

static bool
take_hyperslab(struct selection *s, hid_t space)
{
    hsize_t start[2], stride[2], count[2], block[2];
    bool box = true;
    if (H5Sis_regular_hyperslab(space) <= 0 ||
        H5Sget_regular_hyperslab(space, start, stride, count, block) < 0)
        return false;
    for (int d = 0; d < s->dims; d++)
        box = take_dimension(s, d, start[d], stride[d], count[d], block[d]) && box;
    return box;
}

static struct selection
look_at(hid_t space)
{
    struct selection s = {.dims = H5Sget_simple_extent_ndims(space), .size = {1, 1}};
    s.entire = s.dims == 0; /* the file keeps no extents with it */
    if (s.dims != 1 && s.dims != 2)
        return s;
    H5S_sel_type kind = H5Sget_select_type(space);
    if (kind == H5S_SEL_ALL)
        s.box = H5Sget_simple_extent_dims(space, s.size, NULL) > 0;
    else if (kind == H5S_SEL_HYPERSLABS)
        s.box = take_hyperslab(&s, space);
    return s;
}

/* One virtual dataset being listed. */
struct listing {
    struct mpivf_context *ctx;
    mpivf_status (*visit)(void *arg, const struct mpivf_h5_mapping *mapping);
    void *arg;
    hsize_t extent[2]; /* of the virtual dataset */
    bool simple;
    struct mpivf_h5_mapping *mapping; /* owned; the one at hand */
};

/* What the two selections have in common as boxes; false when they are none of one shape. */
static bool
match(struct mpivf_h5_mapping *m, const struct selection *here, const struct selection *there)
{
    m->entire = there->entire;
    m->entire_size[0] = here->size[0];
    m->entire_size[1] = here->size[1];
    if (m->entire && here->box) /* until the source is seen */
        there = here;
    if (!here->box || !there->box)
        return false;
    m->lying = here->dims == 2 && there->dims == 1 && here->size[0] == 1 && here->size[1] > 1;
    hsize_t rows = m->lying ? 1 : there->size[0];
    hsize_t columns = m->lying ? there->size[0] : there->size[1];
    m->from_row = m->lying || m->entire ? 0 : there->start[0];
    m->from_column = m->entire ? 0 : m->lying ? there->start[0] : there->start[1];
    m->row = here->start[0];
    m->column = here->start[1];
    m->rows = here->size[0];
    m->columns = here->size[1];
    return rows == m->rows && columns == m->columns && columns != H5S_UNLIMITED;
}

/* Cut to the extent; rows without an end go to it, as far as the source has them. */
static void
cut(struct mpivf_h5_mapping *m, const hsize_t extent[2])
{
    hsize_t rows = m->row < extent[0] ? extent[0] - m->row : 0;
    hsize_t columns = m->column < extent[1] ? extent[1] - m->column : 0;
    m->growing = m->rows == H5S_UNLIMITED;
    m->rows = mpivf_smaller(m->rows, rows);
    m->columns = mpivf_smaller(m->columns, columns);
    hsize_t last_row = m->growing ? 0 : m->from_row + m->rows;
    m->min[0] = m->lying ? m->from_column + m->columns : last_row;
    m->min[1] = m->from_column + m->columns;
}

static mpivf_status
visit_one(struct listing *l, const struct selection *here, const struct selection *there)
{
    struct mpivf_h5_mapping *m = l->mapping;
    m->source_dims = H5Sget_simple_extent_ndims(m->source_space);
    m->simple = match(m, here, there);
    if (m->simple)
        cut(m, l->extent);
    l->simple = l->simple && m->simple;
    return l->visit ? l->visit(l->arg, m) : MPIVF_OK;
}

static bool
has_block_number(const char *pattern)
{
    for (const char *p = pattern; (p = strchr(p, '%')) != NULL; p += p[1] ? 2 : 1)
        if (p[1] == 'b')
            return true;
    return false;
}

static mpivf_status
visit_block(struct listing *l, const char *file, const char *object, uint64_t block,
            const struct selection *here, const struct selection *there)
{
    mpivf_status status = mpivf_h5_resolve_block(l->ctx, file, block, l->mapping->file);
    THEN(status, mpivf_h5_resolve_block(l->ctx, object, block, l->mapping->object));
    THEN(status, visit_one(l, here, there));
    return status;
}

/* Blocks without an end, each from a file or object of its own. */
static mpivf_status
visit_blocks(struct listing *l, const char *file, const char *object, struct selection here,
             const struct selection *there)
{
    mpivf_status status = MPIVF_OK;
    int d = here.size[0] == H5S_UNLIMITED ? 0 : 1;
    hsize_t step = here.stride[d] > 0 ? here.stride[d] : 1;
    here.size[d] = here.block[d];
    for (uint64_t block = 0; here.start[d] < l->extent[d] && status == MPIVF_OK; block++) {
        status = visit_block(l, file, object, block, &here, there);
        here.start[d] += step;
    }
    return status;
}

static mpivf_status
visit_mapping(struct listing *l, const char *file, const char *object)
{
    struct selection here = look_at(l->mapping->space), there = look_at(l->mapping->source_space);
    bool endless = here.size[0] == H5S_UNLIMITED || here.size[1] == H5S_UNLIMITED;
    if (here.box && endless && (has_block_number(file) || has_block_number(object)))
        return visit_blocks(l, file, object, here, &there);
    /* the ends of what grows by blocks that do not touch are HDF5's to find */
    here.box = here.box && (here.size[0] != H5S_UNLIMITED || here.stride[0] == here.block[0] ||
                            here.block[0] == H5S_UNLIMITED);
    there.box = there.box && (there.size[0] != H5S_UNLIMITED || there.stride[0] == there.block[0] ||
                              there.block[0] == H5S_UNLIMITED);
    return visit_block(l, file, object, 0, &here, &there);
}

/* The names of a mapping are as long as they are. */
static mpivf_status
list_mapping(struct listing *l, hid_t create, size_t i)
{
    ssize_t file_bytes = H5Pget_virtual_filename(create, i, NULL, 0);
    ssize_t object_bytes = H5Pget_virtual_dsetname(create, i, NULL, 0);
    if (file_bytes < 0 || object_bytes < 0)
        return mpivf_h5_fail(l->ctx, MPIVF_CORRUPT,
                             "cannot read the mappings of a virtual dataset");
    char *file = mpivf_alloc(l->ctx, "a name", (size_t)file_bytes + 1, 1);
    char *object = mpivf_alloc(l->ctx, "a name", (size_t)object_bytes + 1, 1);
    mpivf_status status = file && object ? MPIVF_OK : MPIVF_MEMORY;
    if (status == MPIVF_OK) {
        H5Pget_virtual_filename(create, i, file, (size_t)file_bytes + 1);
        H5Pget_virtual_dsetname(create, i, object, (size_t)object_bytes + 1);
        l->mapping->space = H5Pget_virtual_vspace(create, i);
        l->mapping->source_space = H5Pget_virtual_srcspace(create, i);
        status = visit_mapping(l, file, object);
        H5Sclose(l->mapping->source_space);
        H5Sclose(l->mapping->space);
    }
    mpivf_free(l->ctx, object);
    mpivf_free(l->ctx, file);
    return status;
}

mpivf_status
mpivf_h5_virtual_list(struct mpivf_context *ctx, hid_t dataset,
                      mpivf_status (*visit)(void *arg, const struct mpivf_h5_mapping *mapping),
                      void *arg, bool *simple)
{
    struct listing l = {.ctx = ctx, .visit = visit, .arg = arg, .extent = {0, 1}, .simple = true};
    hid_t create = H5Dget_create_plist(dataset), space = H5Dget_space(dataset);
    size_t mappings = 0;
    mpivf_status status = MPIVF_OK;
    if (H5Sget_simple_extent_ndims(space) > 2)
        l.simple = false;
    else
        H5Sget_simple_extent_dims(space, l.extent, NULL);
    if (H5Pget_virtual_count(create, &mappings) < 0)
        status = mpivf_h5_fail(ctx, MPIVF_CORRUPT, "cannot read the mappings of a virtual dataset");
    l.mapping = mpivf_alloc_zero(ctx, "a mapping", 1, sizeof *l.mapping);
    if (l.mapping == NULL)
        status = status ? status : MPIVF_MEMORY;
    for (size_t i = 0; i < mappings && status == MPIVF_OK; i++)
        status = list_mapping(&l, create, i);
    if (simple)
        *simple = l.simple;
    mpivf_free(ctx, l.mapping);
    H5Sclose(space);
    H5Pclose(create);
    return status;
}
