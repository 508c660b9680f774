#include "base/then.h"
#include "io/hdf5_survey.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* The filters that are not part of HDF5 but seen in the wild (registered numbers). */
static const char *
filter_name(H5Z_filter_t id)
{
    static const struct {
        H5Z_filter_t id;
        const char *name;
    } known[] = {{4, "szip"},      {307, "bzip2"},  {32000, "lzf"},
                 {32001, "blosc"}, {32004, "lz4"},  {32008, "bitshuffle"},
                 {32013, "zfp"},   {32015, "zstd"}, {32026, "blosc2"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].id == id)
            return known[i].name;
    return "unknown";
}

static mpivf_status
check_filters(const struct mpivf_h5_level *l, hid_t create)
{
    int filters = H5Pget_nfilters(create);
    for (int i = 0; i < filters; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t id =
            H5Pget_filter2(create, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
        if (H5Zfilter_avail(id) > 0)
            continue;
        H5Eclear2(H5E_DEFAULT);
        return mpivf_fail(l->survey->ctx, MPIVF_INPUT,
                          "'%s:%s' is compressed with HDF5 filter %d (%s), which is not installed; "
                          "set HDF5_PLUGIN_PATH to its plugin or rewrite with h5repack -f GZIP=1",
                          l->path, l->object, (int)id, filter_name(id));
    }
    return MPIVF_OK;
}

/* A file of raw data, with all the bytes that are to be in it. */
static mpivf_status
check_raw_file(struct mpivf_h5_level *l, const char *name, uint64_t min)
{
    struct mpivf_context *ctx = l->survey->ctx;
    char path[MPIVF_PATH];
    struct stat about;
    mpivf_status status = mpivf_h5_resolve_raw(ctx, l->holder, name, path);
    if (status)
        return status;
    struct mpivf_file probe = {.fd = -1};
    errno = 0;
    if (stat(path, &about) < 0 || mpivf_file_open(ctx, path, &probe)) {
        const char *why = errno ? strerror(errno) : "it is not a regular file";
        mpivf_clear_error(ctx);
        return mpivf_fail(ctx, MPIVF_INPUT,
                          "'%s:%s' needs '%s', which cannot be opened: %s; "
                          "HDF5_EXTFILE_PREFIX is the folder of such files, ${ORIGIN} that of '%s'",
                          l->path, l->object, path, why, l->path);
    }
    mpivf_file_drop(&probe);
    if ((uint64_t)about.st_size < min)
        return mpivf_fail(ctx, MPIVF_INPUT,
                          "'%s:%s' needs %llu bytes of '%s', which has %llu: copy it "
                          "again",
                          l->path, l->object, (unsigned long long)min, path,
                          (unsigned long long)about.st_size);
    return l->survey->visit ? l->survey->visit(ctx, l->survey->arg, path) : MPIVF_OK;
}

/* Each external file has its part of the bytes, the last one what is left. */
static mpivf_status
check_raw_files(struct mpivf_h5_level *l, hid_t create, int files, uint64_t bytes)
{
    struct mpivf_context *ctx = l->survey->ctx;
    mpivf_status status = MPIVF_OK;
    for (int i = 0; i < files && bytes > 0 && status == MPIVF_OK; i++) {
        char name[MPIVF_PATH] = "";
        off_t offset = 0;
        hsize_t size = 0;
        if (H5Pget_external(create, (unsigned)i, sizeof name, name, &offset, &size) < 0)
            return mpivf_h5_fail(ctx, MPIVF_CORRUPT, "cannot read the external files of '%s:%s'",
                                 l->path, l->object);
        if (memchr(name, '\0', sizeof name) == NULL)
            return mpivf_fail(ctx, MPIVF_INPUT, "an external file of '%s:%s' has too long a name",
                              l->path, l->object);
        uint64_t here = size == H5F_UNLIMITED || size > bytes ? bytes : size;
        status = check_raw_file(l, name, (uint64_t)offset + here);
        bytes -= here;
    }
    return status;
}

/* Rows at an offset that the file does not reach. */
static mpivf_status
check_length(struct mpivf_h5_level *l, uint64_t offset, uint64_t bytes)
{
    uint64_t size;
    mpivf_status status = mpivf_file_size(l->survey->ctx, l->holder, &size);
    if (status == MPIVF_OK && (offset > size || bytes > size - offset))
        status = mpivf_fail(l->survey->ctx, MPIVF_CORRUPT,
                            "the file of '%s:%s' is truncated: it ends "
                            "%llu bytes before the last row; copy it again",
                            l->path, l->object, (unsigned long long)(offset + bytes - size));
    return status;
}

/* How elements lie, of a stored dataset or of one that HDF5 has to put together. */
static void
set_leaf(struct mpivf_h5_level *l, hid_t create, struct mpivf_h5_leaf *leaf)
{
    hid_t space = H5Dget_space(l->id), type = H5Dget_type(l->id);
    hsize_t dim[H5S_MAX_RANK] = {0, 1}, chunk[H5S_MAX_RANK] = {0, 1};
    H5D_layout_t layout = H5Pget_layout(create);
    leaf->flat = H5Sget_simple_extent_ndims(space) == 1;
    H5Sget_simple_extent_dims(space, dim, NULL);
    leaf->lying = l->lying;
    leaf->rows = l->lying ? 1 : dim[0];
    leaf->columns = l->lying ? dim[0] : dim[1];
    if (layout == H5D_CHUNKED && H5Pget_chunk(create, H5S_MAX_RANK, chunk) > 0) {
        leaf->chunk_rows = l->lying ? 1 : chunk[0];
        leaf->chunk_columns = l->lying ? chunk[0] : chunk[1];
        leaf->filtered = H5Pget_nfilters(create) > 0;
        leaf->whole = leaf->filtered || (leaf->chunk_columns != leaf->columns && !l->lying);
    }
    haddr_t offset = layout == H5D_CONTIGUOUS ? H5Dget_offset(l->id) : HADDR_UNDEF;
    leaf->direct = offset != HADDR_UNDEF && H5Pget_external_count(create) == 0 &&
                   H5Tequal(type, l->survey->type) > 0;
    leaf->offset = leaf->direct ? offset : 0;
    H5Tclose(type);
    H5Sclose(space);
}

/* HDF5 will read chunks that are not in the table. */
static void
note_hidden_chunk(struct mpivf_h5_level *l, hid_t create)
{
    struct mpivf_h5_leaf leaf = {0};
    hid_t type = H5Dget_type(l->id);
    set_leaf(l, create, &leaf);
    uint64_t bytes = leaf.filtered ? mpivf_h5_layout_chunk(&leaf, H5Tget_size(type)) : 0;
    if (l->survey->layout && bytes > l->survey->layout->hidden_chunk)
        l->survey->layout->hidden_chunk = bytes;
    H5Tclose(type);
}

/* Add a leaf, unless it is the last one again. */
static mpivf_status
add_leaf(struct mpivf_h5_level *l, struct mpivf_h5_leaf *leaf, int64_t *number)
{
    struct mpivf_h5_layout *layout = l->survey->layout;
    if (layout->leaves > 0) {
        struct mpivf_h5_leaf *last = &layout->leaf[layout->leaves - 1];
        *number = (int64_t)layout->leaves - 1;
        if (strcmp(layout->name + last->path, l->path) == 0 && last->lying == leaf->lying &&
            strcmp(layout->name + last->object, l->object) == 0)
            return MPIVF_OK;
    }
    mpivf_status status = mpivf_h5_layout_name(l->survey->ctx, layout, l->path, &leaf->path);
    THEN(status, mpivf_h5_layout_name(l->survey->ctx, layout, l->object, &leaf->object));
    THEN(status, mpivf_h5_layout_name(l->survey->ctx, layout, l->holder, &leaf->holder));
    THEN(status, mpivf_h5_layout_leaf(l->survey->ctx, layout, leaf, number));
    return status;
}

/* Rows of what is wanted of a dataset, as rows of the whole. */
mpivf_status
mpivf_h5_stored_unwritten(void *arg, uint64_t row, uint64_t rows)
{
    struct mpivf_h5_level *l = arg;
    const struct mpivf_h5_rectangle *want = l->want;
    uint64_t first = row > want->row ? row : want->row;
    uint64_t end = row + rows < want->row + want->rows ? row + rows : want->row + want->rows;
    if (first >= end)
        return MPIVF_OK;
    return mpivf_h5_layout_unwritten(l->survey->ctx, l->survey->layout,
                                     l->to_row + first - want->row, end - first);
}

/* What is wanted of a dataset is read from it as it is. */
mpivf_status
mpivf_h5_stored_add(struct mpivf_h5_level *l, hid_t create)
{
    struct mpivf_h5_leaf leaf = {0};
    struct mpivf_h5_piece piece = {.row = l->to_row,
                                   .rows = l->want->rows,
                                   .column = l->to_column,
                                   .columns = l->want->columns,
                                   .from_row = l->want->row,
                                   .from_column = l->want->column};
    set_leaf(l, create, &leaf);
    mpivf_status status = add_leaf(l, &leaf, &piece.leaf);
    THEN(status, mpivf_h5_layout_piece(l->survey->ctx, l->survey->layout, &piece));
    if (status == MPIVF_OK && H5Pget_layout(create) != H5D_VIRTUAL && l->survey->unwritten)
        status = mpivf_h5_unwritten_chunks(l->survey->ctx, l->id, &leaf, l->want,
                                           mpivf_h5_stored_unwritten, l);
    return status;
}

mpivf_status
mpivf_h5_stored_survey(struct mpivf_h5_level *l, hid_t create)
{
    hid_t space = H5Dget_space(l->id), type = H5Dget_type(l->id);
    uint64_t bytes = (uint64_t)H5Sget_simple_extent_npoints(space) * H5Tget_size(type);
    int external = H5Pget_external_count(create);
    H5Tclose(type);
    H5Sclose(space);
    mpivf_status status = check_filters(l, create);
    if (status == MPIVF_OK && external > 0)
        status = check_raw_files(l, create, external, bytes);
    if (status == MPIVF_OK && external <= 0 && H5Pget_layout(create) == H5D_CONTIGUOUS &&
        H5Dget_offset(l->id) != HADDR_UNDEF)
        status = check_length(l, H5Dget_offset(l->id), bytes);
    if (status == MPIVF_OK && l->want)
        status = mpivf_h5_stored_add(l, create);
    else if (status == MPIVF_OK)
        note_hidden_chunk(l, create);
    return status;
}
