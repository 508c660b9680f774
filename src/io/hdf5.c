#include "io/hdf5_internal.h"

#include "base/fault.h"
#include "base/then.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- files of ours ---- */

static hid_t
create_file(const char *path)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_stdio(access); /* the default driver looks for a file behind a descriptor's name */
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
    hid_t type = mpivf_h5_type_of(dataset->type, false);
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

/* Make the file `path` with HDF5; `name` is for messages. */
static mpivf_status
create_in(struct mpivf_context *ctx, const char *path, const char *name,
          const struct mpivf_h5_attribute *attribute, int attributes,
          struct mpivf_h5_dataset *dataset, int datasets)
{
    mpivf_h5_quiet();
    hid_t file = mpivf_fault(ctx, MPIVF_FAULT_HDF5_CREATE) ? -1 : create_file(path);
    if (file < 0)
        return mpivf_h5_fail(ctx, MPIVF_IO, "cannot create '%s'", name);
    mpivf_status status = MPIVF_OK;
    for (int i = 0; i < datasets && status == MPIVF_OK; i++)
        if (create_dataset(file, &dataset[i]) < 0)
            status = mpivf_h5_fail(ctx, MPIVF_IO, "cannot make the datasets of '%s'", name);
    for (int i = 0; i < attributes && status == MPIVF_OK; i++)
        if (mpivf_fault(ctx, MPIVF_FAULT_HDF5_WRITE) || write_attribute(file, &attribute[i]) < 0)
            status = mpivf_h5_fail(ctx, MPIVF_IO, "cannot write the attributes of '%s'", name);
    if ((H5Fclose(file) < 0 || mpivf_fault(ctx, MPIVF_FAULT_HDF5_CLOSE)) && status == MPIVF_OK)
        status = mpivf_h5_fail(ctx, MPIVF_IO, "cannot close '%s'", name);
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
mpivf_h5_create(struct mpivf_context *ctx, const struct mpivf_file *file,
                const struct mpivf_h5_attribute *attribute, int attributes,
                struct mpivf_h5_dataset *dataset, int datasets)
{
    char temporary[MPIVF_PATH];
    struct mpivf_file memory = {.fd = -1};
    mpivf_status status = mpivf_file_allowed(ctx, file->path, total_bytes(dataset, datasets));
    THEN(status, mpivf_file_memory(ctx, temporary, &memory));
    THEN(status, create_in(ctx, temporary, file->path, attribute, attributes, dataset, datasets));
    THEN(status, mpivf_file_copy(ctx, &memory, file));
    mpivf_file_drop(&memory);
    return status;
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

static enum lookup
find_dataset(hid_t file, struct mpivf_h5_dataset *dataset)
{
    htri_t there = mpivf_h5_exists(file, dataset->name);
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
        mpivf_h5_type_ours(type, &dataset->type, &swapped) && !swapped) {
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
    return mpivf_fail(ctx, MPIVF_CORRUPT, "the %s '%s' of '%s' is damaged or not as it should be",
                      kind, name, path);
}

mpivf_status
mpivf_h5_describe(struct mpivf_context *ctx, const char *path, struct mpivf_h5_attribute *attribute,
                  int attributes, struct mpivf_h5_dataset *dataset, int datasets)
{
    hid_t file;
    enum lookup found;
    mpivf_status status = mpivf_h5_open_file(ctx, path, true, &file);
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

const struct mpivf_format mpivf_h5_format = {"an HDF5 file", {".h5", ".hdf5", ".h5ad", ".hdf"}};

bool
mpivf_h5_is(const char *path)
{
    mpivf_h5_quiet();
    bool is = mpivf_file_regular(path) && H5Fis_hdf5(path) > 0; /* to open a pipe is to wait */
    H5Eclear2(H5E_DEFAULT);
    return is;
}

bool
mpivf_h5_text(const char *path, const char *name, char text[64])
{
    mpivf_h5_quiet();
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

bool
mpivf_h5_has(const char *path, const char *object)
{
    if (!mpivf_h5_is(path))
        return false;
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    bool has = file >= 0 && mpivf_h5_exists(file, object) > 0;
    if (file >= 0)
        H5Fclose(file);
    H5Eclear2(H5E_DEFAULT);
    return has;
}
