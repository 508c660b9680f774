#include "io/hdf5.h"

#include "base/fault.h"
#include "io/file.h"

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What HDF5 caches unasked, and slots for more: a prime, as it asks for. */
enum { CACHE_USUAL = 1 << 20, CACHE_SLOTS = 12421 };

enum { PIECE = 1 << 30 }; /* HDF5 1.10.8 cannot read more than 2 GiB in one independent call */

/* ---- errors ---- */

struct innermost {
    char text[200];
    bool truncated;
};

static herr_t
keep_innermost(unsigned n, const H5E_error2_t *error, void *arg)
{
    struct innermost *cause = arg;
    if (n == 0 && error->desc)
        snprintf(cause->text, sizeof cause->text, "%s", error->desc);
    if (error->desc && strstr(error->desc, "truncated"))
        cause->truncated = true;
    return 0;
}

static mpivf_status
fail(struct mpivf_context *ctx, mpivf_status status, const char *verb, const char *path)
{
    struct innermost cause = {"unknown cause", false};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, &cause);
    H5Eclear2(H5E_DEFAULT);
    if (cause.truncated)
        return mpivf_fail(ctx, MPIVF_CORRUPT, "cannot %s '%s': the file is truncated", verb, path);
    return mpivf_fail(ctx, status, "cannot %s '%s': HDF5 says: %s", verb, path, cause.text);
}

static void
quiet(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* ---- types ---- */

static hid_t
half_float(bool big_endian)
{
    hid_t type = H5Tcopy(big_endian ? H5T_IEEE_F32BE : H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
}

/* The type in a file; to be closed. */
static hid_t
file_type(enum mpivf_type type, bool big_endian)
{
    switch (type) {
    case MPIVF_F16:
        return half_float(big_endian);
    case MPIVF_F32:
        return H5Tcopy(big_endian ? H5T_IEEE_F32BE : H5T_IEEE_F32LE);
    case MPIVF_F64:
        return H5Tcopy(big_endian ? H5T_IEEE_F64BE : H5T_IEEE_F64LE);
    case MPIVF_U8:
        return H5Tcopy(H5T_STD_U8LE);
    case MPIVF_I8:
        return H5Tcopy(H5T_STD_I8LE);
    case MPIVF_I32:
        return H5Tcopy(big_endian ? H5T_STD_I32BE : H5T_STD_I32LE);
    case MPIVF_U32:
        return H5Tcopy(big_endian ? H5T_STD_U32BE : H5T_STD_U32LE);
    case MPIVF_I64:
        return H5Tcopy(big_endian ? H5T_STD_I64BE : H5T_STD_I64LE);
    case MPIVF_U64:
        return H5Tcopy(big_endian ? H5T_STD_U64BE : H5T_STD_U64LE);
    case MPIVF_TYPES:
        break;
    }
    return -1;
}

/* Which of our types a file's type is; false when none. */
static bool
our_type(hid_t type, enum mpivf_type *ours, bool *swapped)
{
    bool big = H5Tget_size(type) > 1 && H5Tget_order(type) == H5T_ORDER_BE;
    for (int t = 0; t < MPIVF_TYPES; t++) {
        hid_t candidate = file_type((enum mpivf_type)t, big);
        bool same = H5Tequal(candidate, type) > 0;
        H5Tclose(candidate);
        if (same) {
            *ours = (enum mpivf_type)t;
            *swapped = big;
            return true;
        }
    }
    return false;
}

static const char *
class_name(hid_t type)
{
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        return "integers";
    case H5T_FLOAT:
        return "floating-point numbers";
    case H5T_STRING:
        return "strings";
    case H5T_COMPOUND:
        return "compounds";
    case H5T_ENUM:
        return "enumerations or booleans";
    case H5T_VLEN:
        return "variable-length lists";
    default:
        return "an unusual type";
    }
}

/* ---- files of ours ---- */

static hid_t
create_file(const char *path)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18); /* checksummed metadata */
    H5Pset_alignment(access, 4096, 4096);
    hid_t create = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_attr_phase_change(create, 64, 32); /* all attributes in the object header */
    H5Pset_obj_track_times(create, false);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, create, access);
    H5Pclose(create);
    H5Pclose(access);
    return file;
}

static herr_t
write_attribute(hid_t file, const struct mpivf_h5_attribute *attribute)
{
    hid_t type;
    const char *text = attribute->text;
    const void *value = &text;
    if (attribute->kind == MPIVF_H5_U64) {
        type = H5Tcopy(H5T_STD_U64LE);
        value = &attribute->number;
    } else if (attribute->kind == MPIVF_H5_F64) {
        type = H5Tcopy(H5T_IEEE_F64LE);
        value = &attribute->real;
    } else {
        type = H5Tcopy(H5T_C_S1);
        H5Tset_size(type, attribute->sealed ? strlen(text) + 1 : H5T_VARIABLE);
        H5Tset_cset(type, H5T_CSET_UTF8);
        value = attribute->sealed ? (const void *)text : &text;
    }
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t id = H5Acreate2(file, attribute->name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    herr_t result = id < 0 ? -1 : H5Awrite(id, type, value);
    if (id >= 0 && H5Aclose(id) < 0)
        result = -1;
    H5Sclose(space);
    H5Tclose(type);
    return result;
}

static herr_t
create_dataset(hid_t file, struct mpivf_h5_dataset *dataset)
{
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_layout(create, H5D_CONTIGUOUS);
    H5Pset_alloc_time(create, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(create, H5D_FILL_TIME_NEVER);
    H5Pset_obj_track_times(create, false);
    hsize_t dim[2] = {dataset->dim[0], dataset->dim[1]};
    hid_t space = H5Screate_simple(dataset->dims, dim, NULL);
    hid_t type = file_type(dataset->type, false);
    hid_t id = H5Dcreate2(file, dataset->name, type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    haddr_t offset = id < 0 ? HADDR_UNDEF : H5Dget_offset(id);
    bool empty = dataset->dim[0] == 0 || (dataset->dims == 2 && dataset->dim[1] == 0);
    herr_t result = id < 0 || (offset == HADDR_UNDEF && !empty) ? -1 : 0;
    dataset->offset = offset == HADDR_UNDEF ? 0 : offset;
    if (id >= 0 && H5Dclose(id) < 0)
        result = -1;
    H5Tclose(type);
    H5Sclose(space);
    H5Pclose(create);
    return result;
}

/* Make the file `path` with HDF5 and take the path away; `name` is for messages. */
static mpivf_status
create_in(struct mpivf_context *ctx, const char *path, const char *name,
          const struct mpivf_h5_attribute *attribute, int attributes,
          struct mpivf_h5_dataset *dataset, int datasets)
{
    quiet();
    hid_t file = mpivf_fault(ctx, MPIVF_FAULT_HDF5_CREATE) ? -1 : create_file(path);
    (void)unlink(path); /* goes when it is closed, however this ends */
    if (file < 0)
        return fail(ctx, MPIVF_IO, "create", name);
    mpivf_status status = MPIVF_OK;
    for (int i = 0; i < datasets && status == MPIVF_OK; i++)
        if (create_dataset(file, &dataset[i]) < 0)
            status = fail(ctx, MPIVF_IO, "make the datasets of", name);
    for (int i = 0; i < attributes && status == MPIVF_OK; i++)
        if (mpivf_fault(ctx, MPIVF_FAULT_HDF5_WRITE) || write_attribute(file, &attribute[i]) < 0)
            status = fail(ctx, MPIVF_IO, "write the attributes of", name);
    if ((H5Fclose(file) < 0 || mpivf_fault(ctx, MPIVF_FAULT_HDF5_CLOSE)) && status == MPIVF_OK)
        status = fail(ctx, MPIVF_IO, "close", name);
    return status;
}

/* Attributes and headers, with room to spare. */
static uint64_t
total_bytes(const struct mpivf_h5_dataset *dataset, int datasets)
{
    uint64_t bytes = 64 << 10;
    for (int i = 0; i < datasets; i++)
        bytes += dataset[i].dim[0] * dataset[i].dim[1] * mpivf_type_size(dataset[i].type) + 4096;
    return bytes;
}

/*
 * HDF5 1.10 crashes at exit after it could not close a file because the disk was full. So it
 * writes to memory, where the datasets are holes, and its few pages are copied to the disk.
 */
mpivf_status
mpivf_h5_create(struct mpivf_context *ctx, const char *path,
                const struct mpivf_h5_attribute *attribute, int attributes,
                struct mpivf_h5_dataset *dataset, int datasets)
{
    char temporary[MPIVF_PATH];
    struct mpivf_file memory = {.fd = -1}, file = {.fd = -1};
    mpivf_status status = mpivf_file_allowed(ctx, path, total_bytes(dataset, datasets));
    if (status == MPIVF_OK)
        status = mpivf_file_memory(ctx, temporary, &memory);
    if (status == MPIVF_OK)
        status = create_in(ctx, temporary, path, attribute, attributes, dataset, datasets);
    if (status == MPIVF_OK)
        status = mpivf_file_create(ctx, path, &file);
    if (status == MPIVF_OK)
        status = mpivf_file_copy(ctx, &memory, &file);
    mpivf_status closed = mpivf_file_close(ctx, &file);
    mpivf_file_drop(&memory);
    return status ? status : closed;
}

/* Open for reading by this process alone. */
static mpivf_status
open_serial(struct mpivf_context *ctx, const char *path, hid_t *file)
{
    quiet();
    /* the system's own words for a missing or forbidden file are better than HDF5's */
    struct mpivf_file probe;
    mpivf_status status = mpivf_file_open(ctx, path, &probe);
    mpivf_file_drop(&probe);
    if (status)
        return status;
    if (H5Fis_hdf5(path) <= 0)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' is not an HDF5 file", path);
    *file = mpivf_fault(ctx, MPIVF_FAULT_HDF5_OPEN) ? -1
                                                    : H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    return *file < 0 ? fail(ctx, MPIVF_CORRUPT, "open", path) : MPIVF_OK;
}

/* A text attribute into 64 bytes; of either string kind unless sealed. */
static herr_t
read_text(hid_t id, bool sealed, char text[64])
{
    hid_t stored = H5Aget_type(id);
    herr_t result = -1;
    text[0] = '\0';
    bool variable = H5Tget_class(stored) == H5T_STRING && H5Tis_variable_str(stored) > 0;
    if (variable && sealed) {
        result = -1;
    } else if (variable) {
        char *value = NULL;
        result = H5Aread(id, stored, &value);
        if (result >= 0 && value)
            snprintf(text, 64, "%s", value);
        if (value)
            H5free_memory(value);
    } else if (H5Tget_class(stored) == H5T_STRING && H5Tget_size(stored) < 64) {
        memset(text, 0, 64);
        result = H5Aread(id, stored, text);
    }
    H5Tclose(stored);
    return result;
}

/* What looking something up comes to. */
enum lookup { FOUND, ABSENT, DAMAGED };

static enum lookup
read_attribute(hid_t file, struct mpivf_h5_attribute *attribute)
{
    htri_t there = H5Aexists(file, attribute->name);
    hid_t id = there > 0 ? H5Aopen(file, attribute->name, H5P_DEFAULT) : -1;
    if (id < 0)
        return there == 0 ? ABSENT : DAMAGED;
    herr_t result;
    if (attribute->kind == MPIVF_H5_U64)
        result = H5Aread(id, H5T_NATIVE_UINT64, &attribute->number);
    else if (attribute->kind == MPIVF_H5_F64)
        result = H5Aread(id, H5T_NATIVE_DOUBLE, &attribute->real);
    else
        result = read_text(id, attribute->sealed, attribute->text);
    H5Aclose(id);
    return result < 0 ? DAMAGED : FOUND;
}

/* Positive when there is such a link, 0 when not, negative when the file is damaged. */
static htri_t
dataset_exists(hid_t file, const char *name)
{
    /* every step of the path has to be a link */
    char path[512];
    snprintf(path, sizeof path, "%s", name);
    for (char *slash = path; (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
        *slash = '\0';
        htri_t there = path[0] == '\0' ? 1 : H5Lexists(file, path, H5P_DEFAULT);
        if (there <= 0)
            return there;
    }
    return H5Lexists(file, path, H5P_DEFAULT);
}

static enum lookup
find_dataset(hid_t file, struct mpivf_h5_dataset *dataset)
{
    htri_t there = dataset_exists(file, dataset->name);
    hid_t id = there > 0 ? H5Dopen2(file, dataset->name, H5P_DEFAULT) : -1;
    if (id < 0)
        return there == 0 ? ABSENT : DAMAGED;
    hid_t space = H5Dget_space(id), type = H5Dget_type(id);
    hsize_t dim[2] = {0, 1};
    bool swapped;
    enum lookup result = DAMAGED;
    dataset->dims = H5Sget_simple_extent_ndims(space);
    if ((dataset->dims == 1 || dataset->dims == 2) &&
        H5Sget_simple_extent_dims(space, dim, NULL) >= 0 &&
        our_type(type, &dataset->type, &swapped) && !swapped) {
        haddr_t offset = H5Dget_offset(id);
        dataset->dim[0] = dim[0];
        dataset->dim[1] = dim[1];
        dataset->offset = offset == HADDR_UNDEF ? 0 : offset;
        result = offset == HADDR_UNDEF && dim[0] > 0 && dim[1] > 0 ? DAMAGED : FOUND;
    }
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(id);
    return result;
}

/* The failure of a lookup, with the error HDF5 has at hand. */
static mpivf_status
not_found(struct mpivf_context *ctx, enum lookup found, const char *path, const char *kind,
          const char *name)
{
    if (found == ABSENT)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' has no %s '%s'", path, kind, name);
    H5Eclear2(H5E_DEFAULT);
    return mpivf_fail(ctx, MPIVF_CORRUPT, "the %s '%s' of '%s' is damaged or not as it should be", kind,
                      name, path);
}

mpivf_status
mpivf_h5_describe(struct mpivf_context *ctx, const char *path,
                  struct mpivf_h5_attribute *attribute, int attributes,
                  struct mpivf_h5_dataset *dataset, int datasets)
{
    hid_t file;
    enum lookup found;
    mpivf_status status = open_serial(ctx, path, &file);
    if (status)
        return status;
    for (int i = 0; i < attributes && status == MPIVF_OK; i++)
        if ((found = read_attribute(file, &attribute[i])) != FOUND)
            status = not_found(ctx, found, path, "attribute", attribute[i].name);
    for (int i = 0; i < datasets && status == MPIVF_OK; i++)
        if ((found = find_dataset(file, &dataset[i])) != FOUND)
            status = not_found(ctx, found, path, "dataset", dataset[i].name);
    H5Fclose(file);
    H5Eclear2(H5E_DEFAULT);
    return status;
}

bool
mpivf_h5_is(const char *path)
{
    quiet();
    bool is = mpivf_file_regular(path) && H5Fis_hdf5(path) > 0; /* to open a pipe is to wait */
    H5Eclear2(H5E_DEFAULT);
    return is;
}

bool
mpivf_h5_text(const char *path, const char *name, char text[64])
{
    quiet();
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0)
        return false;
    struct mpivf_h5_attribute attribute = {.name = name, .kind = MPIVF_H5_TEXT};
    bool found = read_attribute(file, &attribute) == FOUND;
    memcpy(text, attribute.text, sizeof attribute.text);
    H5Fclose(file);
    H5Eclear2(H5E_DEFAULT);
    return found;
}

/* ---- datasets of users ---- */

static mpivf_status
open_object(struct mpivf_context *ctx, hid_t file, const char *path, const char *object, hid_t *id)
{
    if (dataset_exists(file, object) <= 0)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' has no object '%s'; h5ls -r lists what it has", path,
                          object);
    *id = H5Dopen2(file, object, H5P_DEFAULT);
    if (*id < 0) {
        H5Eclear2(H5E_DEFAULT);
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s:%s' is not a dataset (a sparse matrix or a group?)",
                          path, object);
    }
    return MPIVF_OK;
}

/* The filters that are not part of HDF5 but seen in the wild (registered numbers). */
static const char *
filter_name(H5Z_filter_t id)
{
    static const struct {
        H5Z_filter_t id;
        const char *name;
    } known[] = {{4, "szip"},      {307, "bzip2"},        {32000, "lzf"},  {32001, "blosc"},
                 {32004, "lz4"},   {32008, "bitshuffle"}, {32013, "zfp"},  {32015, "zstd"},
                 {32026, "blosc2"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].id == id)
            return known[i].name;
    return "unknown";
}

static mpivf_status
check_filters(struct mpivf_context *ctx, hid_t create, const char *path, const char *object)
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
        return mpivf_fail(ctx, MPIVF_INPUT,
                          "'%s:%s' is compressed with HDF5 filter %d (%s), which is not installed; "
                          "set HDF5_PLUGIN_PATH to its plugin or rewrite with h5repack -f GZIP=1",
                          path, object, (int)id, filter_name(id));
    }
    return MPIVF_OK;
}

bool
mpivf_h5_has(const char *path, const char *object)
{
    if (!mpivf_h5_is(path))
        return false;
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    bool has = file >= 0 && dataset_exists(file, object) > 0;
    if (file >= 0)
        H5Fclose(file);
    H5Eclear2(H5E_DEFAULT);
    return has;
}

/* The type that holds every number of a kind. */
static enum mpivf_type
widest(hid_t type)
{
    if (H5Tget_class(type) == H5T_FLOAT)
        return MPIVF_F64;
    return H5Tget_sign(type) == H5T_SGN_NONE ? MPIVF_U64 : MPIVF_I64;
}

mpivf_status
mpivf_h5_table_open(struct mpivf_context *ctx, const char *path, const char *object,
                    struct mpivf_h5_table *table)
{
    hid_t file, id = -1;
    mpivf_status status = open_serial(ctx, path, &file);
    if (status)
        return status;
    status = open_object(ctx, file, path, object, &id);
    if (status) {
        H5Fclose(file);
        return status;
    }
    hid_t space = H5Dget_space(id), type = H5Dget_type(id), create = H5Dget_create_plist(id);
    H5T_class_t class = H5Tget_class(type);
    hsize_t dim[2] = {0, 1}, chunk[2] = {1, 1};
    int dims = H5Sget_simple_extent_ndims(space);
    if ((dims != 1 && dims != 2) || (class != H5T_INTEGER && class != H5T_FLOAT)) {
        status = mpivf_fail(ctx, MPIVF_INPUT, "'%s:%s' is not a 1-D or 2-D dataset of numbers", path,
                            object);
    } else {
        H5Sget_simple_extent_dims(space, dim, NULL);
        *table = (struct mpivf_h5_table){.path = path,
                                         .object = object,
                                         .type = widest(type),
                                         .rows = dim[0],
                                         .columns = dim[1],
                                         .size = H5Tget_size(type)};
        if (table->type == MPIVF_U64)
            table->largest = UINT64_MAX >> (64 - 8 * table->size);
        if (H5Pget_layout(create) == H5D_CHUNKED && H5Pget_chunk(create, 2, chunk) > 0)
            table->chunk_bytes = chunk[0] * chunk[1] * table->size;
        status = check_filters(ctx, create, path, object);
    }
    H5Pclose(create);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(id);
    H5Fclose(file);
    return status;
}

mpivf_status
mpivf_h5_table_read(struct mpivf_context *ctx, const struct mpivf_h5_table *table,
                    uint64_t first, uint64_t n, void *data)
{
    hid_t file, id = -1;
    mpivf_status status = open_serial(ctx, table->path, &file);
    if (status)
        return status;
    status = open_object(ctx, file, table->path, table->object, &id);
    if (status == MPIVF_OK) {
        hid_t space = H5Dget_space(id);
        int dims = H5Sget_simple_extent_ndims(space);
        hsize_t start[2] = {first, 0}, count[2] = {n, table->columns};
        hid_t memory = H5Screate_simple(dims, count, NULL);
        hid_t native = table->type == MPIVF_F64   ? H5T_NATIVE_DOUBLE
                       : table->type == MPIVF_U64 ? H5T_NATIVE_UINT64
                                                  : H5T_NATIVE_INT64;
        if (H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0 ||
            mpivf_fault(ctx, MPIVF_FAULT_HDF5_READ) ||
            H5Dread(id, native, memory, space, H5P_DEFAULT, data) < 0)
            status = fail(ctx, MPIVF_IO, "read", table->path);
        H5Sclose(memory);
        H5Sclose(space);
        H5Dclose(id);
    }
    H5Fclose(file);
    return status;
}

/* From the size of a chunk to that of the chunks a row lies in. */
static void
set_chunks(struct mpivf_h5_shape *shape, const hsize_t *chunk, int dims)
{
    uint64_t columns = dims == 2 ? chunk[1] : 1, across = (shape->dim + columns - 1) / columns;
    shape->chunk_rows = chunk[0];
    if (__builtin_mul_overflow(chunk[0] * columns * mpivf_type_size(shape->type), across,
                               &shape->chunk_band))
        shape->chunk_band = UINT64_MAX;
}

static mpivf_status
shape_of(struct mpivf_context *ctx, hid_t id, const char *path, const char *object,
         struct mpivf_h5_shape *shape)
{
    mpivf_status status = MPIVF_OK;
    hid_t space = H5Dget_space(id), type = H5Dget_type(id), create = H5Dget_create_plist(id);
    hsize_t dim[2] = {0, 1}, chunk[2];
    int dims = H5Sget_simple_extent_ndims(space);
    if (dims != 1 && dims != 2) {
        status = mpivf_fail(ctx, MPIVF_INPUT, "'%s:%s' has %d dimensions; rows of vectors have 2",
                            path, object, dims);
    } else if (!our_type(type, &shape->type, &shape->swapped)) {
        status = mpivf_fail(ctx, MPIVF_INPUT,
                            "'%s:%s' holds %s of %zu bytes; f16 f32 f64 u8 i8 are read", path,
                            object, class_name(type), H5Tget_size(type));
    } else {
        H5Sget_simple_extent_dims(space, dim, NULL);
        shape->rows = dim[0];
        shape->dim = dim[1];
        H5D_space_status_t allocated = H5D_SPACE_STATUS_NOT_ALLOCATED;
        H5Dget_space_status(id, &allocated);
        shape->allocated = allocated == H5D_SPACE_STATUS_ALLOCATED;
        H5D_layout_t layout = H5Pget_layout(create);
        if (layout == H5D_CHUNKED && H5Pget_chunk(create, 2, chunk) > 0)
            set_chunks(shape, chunk, dims);
        haddr_t offset = layout == H5D_CONTIGUOUS ? H5Dget_offset(id) : HADDR_UNDEF;
        shape->direct = offset != HADDR_UNDEF && H5Pget_external_count(create) == 0;
        shape->offset = shape->direct ? offset : 0;
        status = check_filters(ctx, create, path, object);
    }
    H5Pclose(create);
    H5Tclose(type);
    H5Sclose(space);
    return status;
}

mpivf_status
mpivf_h5_shape(struct mpivf_context *ctx, const char *path, const char *object,
               struct mpivf_h5_shape *shape)
{
    hid_t file, id = -1;
    mpivf_status status = open_serial(ctx, path, &file);
    if (status)
        return status;
    status = open_object(ctx, file, path, object, &id);
    if (status == MPIVF_OK) {
        struct mpivf_h5_shape found = {0};
        status = shape_of(ctx, id, path, object, &found);
        if (status == MPIVF_OK)
            *shape = found;
        H5Dclose(id);
    }
    H5Fclose(file);
    H5Eclear2(H5E_DEFAULT);
    return status;
}

struct mpivf_h5_reader {
    size_t reserved; /* of the budget, for HDF5's own buffers */
    hid_t file, dataset, type, transfer; /* owned */
    uint64_t dim;
    size_t row_bytes;
    int dims;
    bool collective;
    char path[MPIVF_PATH];
};

static mpivf_status
open_reader(struct mpivf_context *ctx, const struct mpivf_par *par, const char *object,
            struct mpivf_h5_reader *reader)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (reader->collective)
        H5Pset_fapl_mpio(access, par->comm, MPI_INFO_NULL);
    reader->file = H5Fopen(reader->path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    hid_t cache = H5Pcreate(H5P_DATASET_ACCESS);
    if (reader->reserved > 0)
        H5Pset_chunk_cache(cache, CACHE_SLOTS, reader->reserved / 2, 1.0);
    if (reader->file >= 0)
        reader->dataset = H5Dopen2(reader->file, object, cache);
    H5Pclose(cache);
    if (reader->dataset < 0)
        return fail(ctx, MPIVF_IO, "open", reader->path);
    hid_t space = H5Dget_space(reader->dataset);
    reader->dims = H5Sget_simple_extent_ndims(space);
    H5Sclose(space);
    reader->transfer = H5Pcreate(H5P_DATASET_XFER);
    if (reader->collective)
        H5Pset_dxpl_mpio(reader->transfer, H5FD_MPIO_COLLECTIVE);
    return MPIVF_OK;
}

/*
 * A chunk that is not kept is read and inflated again for every piece of it, so the chunks that
 * a row lies in are cached; as much again is for inflating. Both come out of the budget.
 */
static mpivf_status
reserve_chunks(struct mpivf_context *ctx, struct mpivf_h5_reader *reader,
               const struct mpivf_h5_shape *shape, const char *object)
{
    if (shape->chunk_rows == 0 || shape->chunk_band <= CACHE_USUAL)
        return MPIVF_OK;
    if (shape->chunk_band > mpivf_memory_left(ctx) / 3)
        return mpivf_fail(ctx, MPIVF_MEMORY, "the chunks of '%s:%s' need %.1f MiB, too much for the "
                          "budget; raise --memory or rewrite with h5repack -l %s:CHUNK=1000x%llu",
                          reader->path, object, (double)shape->chunk_band / (1048576 / 2), object,
                          (unsigned long long)shape->dim);
    reader->reserved = 2 * shape->chunk_band;
    return mpivf_memory_reserve(ctx, "the chunk cache", reader->reserved);
}

mpivf_status
mpivf_h5_open_all(const struct mpivf_par *par, const char *path, const char *object,
                  const struct mpivf_h5_shape *shape, bool collective,
                  struct mpivf_h5_reader **reader)
{
    struct mpivf_context *ctx = par->ctx;
    quiet();
    struct mpivf_h5_reader *r = mpivf_alloc_zero(ctx, "an HDF5 reader", 1, sizeof *r);
    mpivf_status status = r ? mpivf_path(ctx, r->path, "%s", path) : MPIVF_MEMORY;
    if (r)
        r->file = r->dataset = r->type = r->transfer = -1;
    if (status == MPIVF_OK && mpivf_fault(ctx, MPIVF_FAULT_HDF5_OPEN))
        status = fail(ctx, MPIVF_IO, "open", path);
    if (status == MPIVF_OK)
        status = reserve_chunks(ctx, r, shape, object);
    struct mpivf_file probe = {.fd = -1};
    if (status == MPIVF_OK)
        status = mpivf_file_open(ctx, path, &probe);
    mpivf_file_drop(&probe);
    status = mpivf_agree_all(par, status); /* so that nobody is missing from a collective open */
    if (status == MPIVF_OK) {
        r->type = file_type(shape->type, shape->swapped);
        r->dim = shape->dim;
        r->row_bytes = shape->dim * mpivf_type_size(shape->type);
        r->collective = collective;
        status = mpivf_agree_all(par, open_reader(ctx, par, object, r));
    }
    if (status)
        mpivf_h5_close_all(ctx, &r);
    else
        *reader = r;
    return status;
}

/* Both sides of a transfer; in collective mode every rank has to come here, with rows or without. */
static herr_t
transfer(struct mpivf_h5_reader *reader, hid_t space, uint64_t rows, void *data)
{
    hsize_t count[2] = {rows, reader->dim};
    hid_t memory = H5Screate_simple(reader->dims, count, NULL);
    if (rows == 0)
        H5Sselect_none(memory);
    herr_t result =
        H5Dread(reader->dataset, reader->type, memory, space, reader->transfer, data);
    H5Sclose(memory);
    return result;
}

static herr_t
select_rows(struct mpivf_h5_reader *reader, hid_t space, H5S_seloper_t how, uint64_t row,
            uint64_t rows)
{
    hsize_t start[2] = {row, 0}, count[2] = {rows, reader->dim};
    return H5Sselect_hyperslab(space, how, start, NULL, count, NULL);
}

/* One transfer for all ranges. A rank that cannot select joins with nothing. */
static herr_t
read_collective(struct mpivf_h5_reader *reader, hid_t space, const struct mpivf_range *range,
                size_t ranges, void *data)
{
    uint64_t rows = 0;
    herr_t selected = 0;
    for (size_t i = 0; i < ranges && selected >= 0; i++, rows += range[i - 1].rows)
        selected = select_rows(reader, space, i == 0 ? H5S_SELECT_SET : H5S_SELECT_OR, range[i].row,
                               range[i].rows);
    if (selected < 0) {
        H5Sselect_none(space);
        rows = 0;
    }
    herr_t read = transfer(reader, space, rows, data);
    return selected < 0 ? selected : read;
}

/* A transfer for each range, or several for a long one. */
static herr_t
read_independent(struct mpivf_h5_reader *reader, hid_t space, const struct mpivf_range *range,
                 size_t ranges, void *data)
{
    herr_t result = 0;
    uint64_t most = PIECE / (reader->row_bytes ? reader->row_bytes : 1);
    most = most > 0 ? most : 1;
    for (size_t i = 0; i < ranges; i++)
        for (uint64_t at = 0; at < range[i].rows && result >= 0; at += most) {
            uint64_t rows = range[i].rows - at < most ? range[i].rows - at : most;
            result = select_rows(reader, space, H5S_SELECT_SET, range[i].row + at, rows);
            if (result >= 0)
                result = transfer(reader, space, rows, data);
            data = (char *)data + rows * reader->row_bytes;
        }
    return result;
}

mpivf_status
mpivf_h5_read_all(struct mpivf_context *ctx, struct mpivf_h5_reader *reader,
                  const struct mpivf_range *range, size_t ranges, void *data)
{
    quiet(); /* an HDF5 with threads keeps that for each of them */
    hid_t space = H5Dget_space(reader->dataset);
    H5Sselect_none(space);
    herr_t result = reader->collective ? read_collective(reader, space, range, ranges, data)
                                       : read_independent(reader, space, range, ranges, data);
    H5Sclose(space);
    if (result < 0 || (ranges > 0 && mpivf_fault(ctx, MPIVF_FAULT_HDF5_READ)))
        return fail(ctx, MPIVF_IO, "read", reader->path);
    return MPIVF_OK;
}

void
mpivf_h5_close_all(struct mpivf_context *ctx, struct mpivf_h5_reader **reader)
{
    struct mpivf_h5_reader *r = *reader;
    *reader = NULL;
    if (r == NULL)
        return;
    if (r->transfer >= 0)
        H5Pclose(r->transfer);
    if (r->type >= 0)
        H5Tclose(r->type);
    if (r->dataset >= 0)
        H5Dclose(r->dataset);
    if (r->file >= 0)
        H5Fclose(r->file);
    mpivf_memory_release(ctx, r->reserved);
    mpivf_free(ctx, r);
}
