#include "io/hdf5_internal.h"

#include "base/fault.h"

#include <string.h>

/* What HDF5 keeps of an open file's metadata and of freed memory, whatever the file. */
enum { METADATA = 2 << 20, FREE_ALL = 1 << 20, FREE_LIST = 1 << 18 };

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
mpivf_h5_open_file(struct mpivf_context *ctx, const char *path, hid_t *file)
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
    *file = mpivf_fault(ctx, MPIVF_FAULT_HDF5_OPEN) ? -1 : H5Fopen(path, H5F_ACC_RDONLY, access);
    status = *file < 0 ? mpivf_h5_fail(ctx, MPIVF_IO, "cannot open '%s'", path) : MPIVF_OK;
    H5Pclose(access);
    return status;
}

/* The length of the object's path up to the end of the next step; 0 behind the last. */
static size_t
next_step(const char *object, size_t at)
{
    at += strspn(object + at, "/");
    size_t step = strcspn(object + at, "/");
    return step > 0 ? at + step : 0;
}

/*
 * The first step of the path that is no link, or a link that leads nowhere, into `step` (of
 * strlen(object) + 1 bytes): 0 and its path; 1 when all are there; negative on damage.
 */
static htri_t
missing_step(hid_t file, const char *object, char *step)
{
    for (size_t end = 0; (end = next_step(object, end)) > 0;) {
        memcpy(step, object, end);
        step[end] = '\0';
        htri_t there = H5Lexists(file, step, H5P_DEFAULT);
        if (there <= 0)
            return there;
        H5L_info_t info;
        if (H5Lget_info(file, step, &info, H5P_DEFAULT) < 0)
            return -1;
        if (info.type != H5L_TYPE_HARD && H5Oexists_by_name(file, step, H5P_DEFAULT) <= 0)
            return 0;
    }
    return 1;
}

htri_t
mpivf_h5_exists(struct mpivf_context *ctx, hid_t file, const char *object)
{
    char *step = mpivf_alloc(ctx, "a name", strlen(object) + 1, 1);
    if (step == NULL)
        return -1;
    htri_t there = missing_step(file, object, step);
    mpivf_free(ctx, step);
    H5Eclear2(H5E_DEFAULT);
    return there;
}

/* Why the file an external link leads to does not give the object. */
static mpivf_status
tell_external(struct mpivf_context *ctx, const char *path, const char *step, const char *to,
              const char *object)
{
    char found[MPIVF_PATH];
    const char *why;
    if (!mpivf_h5_resolve(path, MPIVF_H5_LINKED, to, found, &why))
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s:%s' is a link to '%s:%s', which cannot be opened: %s",
                          path, step, to, object, why);
    hid_t file = H5Fopen(found, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0)
        return mpivf_h5_fail(ctx, MPIVF_IO, "'%s:%s' is a link to '%s:%s', which cannot be opened",
                             path, step, to, object);
    H5Fclose(file);
    return mpivf_fail(ctx, MPIVF_INPUT, "'%s:%s' is a link to '%s:%s', and there is no such object; "
                      "h5ls -r lists what '%s' has", path, step, to, object, found);
}

/* What is wrong with a link that leads nowhere. */
static mpivf_status
tell_link(struct mpivf_context *ctx, hid_t file, const char *path, const char *step)
{
    H5L_info_t info;
    if (H5Lget_info(file, step, &info, H5P_DEFAULT) < 0)
        return mpivf_h5_fail(ctx, MPIVF_CORRUPT, "cannot read the link '%s:%s'", path, step);
    char *value = mpivf_alloc_zero(ctx, "a link", info.u.val_size + 1, 1);
    const char *to = NULL, *object = NULL;
    unsigned flags;
    mpivf_status status = value ? MPIVF_OK : MPIVF_MEMORY;
    if (value == NULL)
        return status;
    if (H5Lget_val(file, step, value, info.u.val_size, H5P_DEFAULT) < 0)
        status = mpivf_h5_fail(ctx, MPIVF_CORRUPT, "cannot read the link '%s:%s'", path, step);
    else if (info.type == H5L_TYPE_SOFT)
        status = mpivf_fail(ctx, MPIVF_INPUT, "'%s:%s' is a link to '%s', and there is no such object; "
                            "h5ls -r lists what '%s' has", path, step, value, path);
    else if (info.type == H5L_TYPE_EXTERNAL &&
             H5Lunpack_elink_val(value, info.u.val_size, &flags, &to, &object) >= 0)
        status = tell_external(ctx, path, step, to, object);
    else
        status = mpivf_fail(ctx, MPIVF_INPUT, "'%s:%s' is a link of a kind that is not followed", path,
                            step);
    mpivf_free(ctx, value);
    return status;
}

/* The last link found missing: not there at all, or leading nowhere. */
static mpivf_status
tell_missing(struct mpivf_context *ctx, hid_t file, const char *path, const char *object,
             const char *step)
{
    if (H5Lexists(file, step, H5P_DEFAULT) > 0)
        return tell_link(ctx, file, path, step);
    H5Eclear2(H5E_DEFAULT);
    return mpivf_fail(ctx, MPIVF_INPUT, "'%s' has no object '%s'; h5ls -r lists what it has", path,
                      object);
}

mpivf_status
mpivf_h5_open_object(struct mpivf_context *ctx, hid_t file, const char *path, const char *object,
                     hid_t *dataset)
{
    char *step = mpivf_alloc_zero(ctx, "a name", strlen(object) + 1, 1);
    if (step == NULL)
        return MPIVF_MEMORY;
    mpivf_status status = MPIVF_OK;
    htri_t there = missing_step(file, object, step);
    if (there < 0)
        status = mpivf_h5_fail(ctx, MPIVF_CORRUPT, "cannot look up '%s:%s'", path, object);
    else if (there == 0)
        status = tell_missing(ctx, file, path, object, step);
    mpivf_free(ctx, step);
    if (status)
        return status;
    hid_t access = mpivf_h5_dataset_access(0);
    *dataset = H5Dopen2(file, object, access);
    if (*dataset < 0) {
        H5Eclear2(H5E_DEFAULT);
        status = mpivf_fail(ctx, MPIVF_INPUT,
                            "'%s:%s' is not a dataset (a sparse matrix or a group?)", path, object);
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
