#include "io/hdf5_internal.h"
#include "io/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One look after the other for a file. */
struct looking {
    char *path; /* [MPIVF_PATH], of the last place */
    int error;  /* the most telling one so far */
};

/* Is there an HDF5 file? A path too long for the system is one that HDF5 cannot open either. */
static bool
look(struct looking *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool
look(struct looking *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(l->path, MPIVF_PATH, format, args);
    va_end(args);
    int fd = length < MPIVF_PATH ? open(l->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    int error = length < MPIVF_PATH ? errno : ENAMETOOLONG;
    if (fd < 0) {
        l->error = error != ENOENT || l->error == 0 ? error : l->error;
        return false;
    }
    close(fd);
    bool is = H5Fis_hdf5(l->path) > 0;
    H5Eclear2(H5E_DEFAULT);
    if (!is)
        l->error = -1;
    return is;
}

/* The folder part of a path with its slash, as a length. */
static int
folder_length(const char *path)
{
    return (int)(mpivf_place_name(path) - path);
}

/* The folders of a variable, apart by colons. */
static bool
look_in_all(struct looking *l, const char *folders, const char *name)
{
    while (folders && *folders) {
        size_t length = strcspn(folders, ":");
        if (length > 0 && look(l, "%.*s/%s", (int)length, folders, name))
            return true;
        folders += length + (folders[length] == ':');
    }
    return false;
}

/* A prefix that may begin with ${ORIGIN}, the folder of the holder. */
static bool
look_in_prefix(struct looking *l, const char *prefix, const char *holder, const char *name)
{
    static const char origin[] = "${ORIGIN}";
    if (prefix == NULL || prefix[0] == '\0' || strcmp(prefix, ".") == 0)
        return false;
    if (strncmp(prefix, origin, sizeof origin - 1) == 0)
        return look(l, "%.*s./%s/%s", folder_length(holder), holder, prefix + sizeof origin - 1,
                    name);
    return look(l, "%s/%s", prefix, name);
}

/* The places in HDF5's order: as it is, the variable, beside the holder, here, beside the file that
 * a symbolic link to the holder names. */
static bool
look_everywhere(struct looking *l, const char *holder, enum mpivf_h5_reference kind,
                const char *name)
{
    const char *folders = getenv(kind == MPIVF_H5_VIRTUAL ? "HDF5_VDS_PREFIX" : "HDF5_EXT_PREFIX");
    if (name[0] == '/') {
        if (look(l, "%s", name))
            return true;
        name = mpivf_place_name(name);
    }
    if (look_in_all(l, folders, name))
        return true;
    if (kind == MPIVF_H5_VIRTUAL && look_in_prefix(l, folders, holder, name))
        return true;
    if (look(l, "%.*s%s", folder_length(holder), holder, name) || look(l, "%s", name))
        return true;
    char real[PATH_MAX];
    return realpath(holder, real) && look(l, "%.*s%s", folder_length(real), real, name);
}

bool
mpivf_h5_resolve(const char *holder, enum mpivf_h5_reference kind, const char *name,
                 char path[MPIVF_PATH], const char **why)
{
    struct looking l = {.path = path};
    if (look_everywhere(&l, holder, kind, name))
        return true;
    *why = l.error == -1 ? "it is not an HDF5 file" : strerror(l.error);
    return false;
}

mpivf_status
mpivf_h5_resolve_raw(struct mpivf_context *ctx, const char *holder, const char *name,
                     char path[MPIVF_PATH])
{
    static const char origin[] = "${ORIGIN}";
    const char *prefix = getenv("HDF5_EXTFILE_PREFIX");
    if (prefix == NULL || prefix[0] == '\0' || strcmp(prefix, ".") == 0 || name[0] == '/')
        return mpivf_path(ctx, path, "%s", name);
    if (strncmp(prefix, origin, sizeof origin - 1) == 0)
        return mpivf_path(ctx, path, "%.*s./%s/%s", folder_length(holder), holder,
                          prefix + sizeof origin - 1, name);
    return mpivf_path(ctx, path, "%s/%s", prefix, name);
}

mpivf_status
mpivf_h5_resolve_block(struct mpivf_context *ctx, const char *pattern, uint64_t block,
                       char name[MPIVF_PATH])
{
    size_t length = 0;
    for (const char *p = pattern; *p; p++) {
        char number[24] = {p[0]};
        if (p[0] == '%' && p[1] == 'b')
            snprintf(number, sizeof number, "%llu", (unsigned long long)block);
        if (p[0] == '%' && (p[1] == 'b' || p[1] == '%'))
            p++;
        size_t more = strlen(number);
        if (length + more >= MPIVF_PATH)
            return mpivf_fail(ctx, MPIVF_INPUT,
                              "the name '%.60s...' of a virtual dataset's source is "
                              "too long",
                              pattern);
        memcpy(name + length, number, more);
        length += more;
    }
    name[length] = '\0';
    return MPIVF_OK;
}
