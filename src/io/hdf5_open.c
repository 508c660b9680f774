#include "io/hdf5_internal.h"

#include "base/fault.h"

/* What HDF5 keeps of an open file's metadata and of freed memory, whatever the file. */
enum { METADATA = 1 << 19, FREE_ALL = 1 << 18, FREE_LIST = 1 << 16 };

hid_t
mpivf_h5_file_access(void)
{
    H5set_free_list_limits(FREE_ALL, FREE_LIST, FREE_ALL, FREE_LIST, FREE_ALL, FREE_LIST);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5AC_cache_config_t config = {.version = H5AC__CURR_CACHE_CONFIG_VERSION};
    H5Pget_mdc_config(access, &config);
    config.set_initial_size = true;
    config.initial_size = config.max_size = METADATA;
    config.min_size = METADATA / 2;
    H5Pset_mdc_config(access, &config);
    H5Pset_cache(access, 0, 1, 0, 0); /* chunks of the sources of virtual datasets */
    return access;
}

hid_t
mpivf_h5_dataset_access(size_t chunk_cache)
{
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    H5Pset_chunk_cache(access, 1, chunk_cache, 0);
    return access;
}

mpivf_status
mpivf_h5_open_file(struct mpivf_context *ctx, const char *path, bool ours, hid_t *file)
{
    mpivf_h5_quiet();
    /* the system's own words for a missing or forbidden file are better than HDF5's */
    struct mpivf_file probe;
    mpivf_status status = mpivf_file_open(ctx, path, &probe);
    mpivf_file_drop(&probe);
    if (status)
        return status;
    if (H5Fis_hdf5(path) <= 0)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' is not an HDF5 file", path);
    hid_t access = mpivf_h5_file_access();
    if (ours)
        H5Pset_file_locking(access, false, true);
    *file = mpivf_fault(ctx, MPIVF_FAULT_HDF5_OPEN) ? -1 : H5Fopen(path, H5F_ACC_RDONLY, access);
    status = *file < 0 ? mpivf_h5_fail(ctx, MPIVF_IO, "cannot open '%s'", path) : MPIVF_OK;
    H5Pclose(access);
    return status;
}

/* An object that is there and cannot be opened as a dataset: what is it? */
static mpivf_status
tell_other(struct mpivf_context *ctx, hid_t file, const char *path, const char *object)
{
    hid_t id = H5Oopen(file, object, H5P_DEFAULT);
    H5I_type_t kind = id < 0 ? H5I_BADID : H5Iget_type(id);
    bool sparse = kind == H5I_GROUP && H5Lexists(id, "indptr", H5P_DEFAULT) > 0 &&
                  H5Lexists(id, "indices", H5P_DEFAULT) > 0;
    if (id >= 0)
        H5Oclose(id);
    H5Eclear2(H5E_DEFAULT);
    if (sparse)
        return mpivf_fail(ctx, MPIVF_INPUT,
                          "'%s:%s' is not a dataset but a sparse matrix: write it as a "
                          "dense one (toarray)",
                          path, object);
    char has[MPIVF_TEXT];
    mpivf_h5_contents(file, path, object, has, sizeof has);
    return mpivf_fail(ctx, MPIVF_INPUT, "'%s:%s' is not a dataset but a %s; %s", path, object,
                      kind == H5I_GROUP ? "group" : "type", has);
}

mpivf_status
mpivf_h5_open_object(struct mpivf_context *ctx, hid_t file, const char *path, const char *object,
                     hid_t *dataset)
{
    H5O_info_t info;
    mpivf_status status = mpivf_h5_link_check(ctx, file, path, object);
    if (status)
        return status;
    hid_t access = mpivf_h5_dataset_access(0);
    *dataset = H5Dopen2(file, object, access);
    if (*dataset < 0) {
        mpivf_status damaged =
            mpivf_h5_fail(ctx, MPIVF_CORRUPT, "cannot open '%s:%s'", path, object);
        bool is = H5Oget_info_by_name2(file, object, &info, H5O_INFO_BASIC, H5P_DEFAULT) >= 0 &&
                  info.type != H5O_TYPE_DATASET;
        H5Eclear2(H5E_DEFAULT);
        if (is)
            mpivf_clear_error(ctx);
        status = is ? tell_other(ctx, file, path, object) : damaged;
    }
    H5Pclose(access);
    return status;
}

mpivf_status
mpivf_h5_holder(struct mpivf_context *ctx, hid_t id, char path[MPIVF_PATH])
{
    ssize_t length = H5Fget_name(id, path, MPIVF_PATH);
    if (length < 0)
        return mpivf_h5_fail(ctx, MPIVF_IO, "cannot tell the file of a dataset");
    if (length >= MPIVF_PATH)
        return mpivf_fail(ctx, MPIVF_USAGE, "the path '%.60s...' is too long", path);
    return MPIVF_OK;
}
