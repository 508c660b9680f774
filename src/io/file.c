#define _GNU_SOURCE /* memfd_create, O_TMPFILE, F_OFD_*, fallocate, sync_file_range, SEEK_DATA */
#include "io/file.h"

#include "base/fault.h"
#include "base/then.h"
#include "io/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_CALL = 1 << 30 }; /* bytes of one system call */

mpivf_status
mpivf_file_fail(struct mpivf_context *ctx, const char *verb, const char *path)
{
    const char *cure = errno == EFBIG ? "; raise the limit of the shell (ulimit -f)" : "";
    return mpivf_fail(ctx, MPIVF_IO, "cannot %s '%s': %s%s", verb, path, strerror(errno), cure);
}

mpivf_status
mpivf_path(struct mpivf_context *ctx, char *path, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(path, MPIVF_PATH, format, args);
    va_end(args);
    if (length < 0 || length >= MPIVF_PATH)
        return mpivf_fail(ctx, MPIVF_USAGE, "the path '%.60s...' is too long", path);
    return MPIVF_OK;
}

/* What else than a regular file a name may stand for. */
static const char *
kind_of(mode_t mode)
{
    return S_ISDIR(mode)    ? "a folder"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
                            : "a device";
}

/*
 * Files are read at offsets, by every rank, more than once: only regular ones can be. To open a
 * pipe would be to wait for its writer, for ever if there is none.
 */
static mpivf_status
check_regular(struct mpivf_context *ctx, const char *path)
{
    struct stat info;
    char target[200];
    ssize_t length = -1;
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode))
        return MPIVF_OK;
    if (stat(path, &info) == 0)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' is %s, where a regular file is needed%s", path,
                          kind_of(info.st_mode),
                          S_ISFIFO(info.st_mode) ? "; write what it brings to a file first" : "");
    if (errno == ENOENT)
        length = readlink(path, target, sizeof target - 1);
    if (length < 0)
        return MPIVF_OK; /* opening it fails and says why */
    target[length] = '\0';
    return mpivf_fail(ctx, MPIVF_INPUT, "'%s' is a link to '%s', where there is no file", path,
                      target);
}

size_t
mpivf_path_file(const char *name)
{
    size_t all = strlen(name), length = all;
    char file[MPIVF_PATH];
    if (all >= sizeof file || mpivf_file_exists(name))
        return all;
    memcpy(file, name, all + 1);
    for (char *colon; (colon = strrchr(file, ':')) != NULL;) {
        *colon = '\0';
        length = length == all ? (size_t)(colon - file) : length;
        if (mpivf_file_exists(file))
            return (size_t)(colon - file);
    }
    return length;
}

static mpivf_status
open_as(struct mpivf_context *ctx, const char *path, int flags, const char *verb,
        enum mpivf_fault_site site, struct mpivf_file *file)
{
    file->path = path;
    file->fd = mpivf_fault_system(ctx, site) ? -1 : open(path, flags | O_CLOEXEC, 0666);
    return file->fd < 0 ? mpivf_file_fail(ctx, verb, path) : MPIVF_OK;
}

mpivf_status
mpivf_file_open(struct mpivf_context *ctx, const char *path, struct mpivf_file *file)
{
    *file = (struct mpivf_file){.fd = -1, .path = path};
    mpivf_status status = check_regular(ctx, path);
    if (status)
        return status;
    /* a pipe that takes the name just now does not block either */
    return open_as(ctx, path, O_RDONLY | O_NONBLOCK, "open", MPIVF_FAULT_FILE_OPEN, file);
}

bool
mpivf_file_regular(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

mpivf_status
mpivf_file_update(struct mpivf_context *ctx, const char *path, struct mpivf_file *file)
{
    return open_as(ctx, path, O_RDWR, "open", MPIVF_FAULT_FILE_OPEN, file);
}

mpivf_status
mpivf_file_create(struct mpivf_context *ctx, const char *path, struct mpivf_file *file)
{
    return open_as(ctx, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, "create",
                   MPIVF_FAULT_FILE_CREATE, file);
}

mpivf_status
mpivf_file_read(struct mpivf_context *ctx, const struct mpivf_file *file, void *data, size_t bytes,
                uint64_t offset)
{
    if (bytes > 0 && mpivf_fault_system(ctx, MPIVF_FAULT_FILE_READ))
        return mpivf_file_fail(ctx, "read", file->path);
    for (char *at = data; bytes > 0;) {
        ssize_t n = pread(file->fd, at, bytes < MAX_CALL ? bytes : MAX_CALL, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return mpivf_file_fail(ctx, "read", file->path);
        if (n == 0)
            return mpivf_fail(ctx, MPIVF_CORRUPT, "'%s' is truncated: it ends before byte %llu",
                              file->path, (unsigned long long)(offset + bytes));
        at += n;
        offset += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return MPIVF_OK;
}

void
mpivf_file_ahead(const struct mpivf_file *file, uint64_t offset, uint64_t bytes)
{
    (void)posix_fadvise(file->fd, (off_t)offset, (off_t)bytes, POSIX_FADV_WILLNEED); /* a hint */
}

mpivf_status
mpivf_file_write(struct mpivf_context *ctx, const struct mpivf_file *file, const void *data,
                 size_t bytes, uint64_t offset)
{
    if (bytes > 0 && mpivf_fault_system(ctx, MPIVF_FAULT_FILE_WRITE))
        return mpivf_file_fail(ctx, "write", file->path);
    for (const char *at = data; bytes > 0;) {
        ssize_t n = pwrite(file->fd, at, bytes < MAX_CALL ? bytes : MAX_CALL, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return mpivf_file_fail(ctx, "write", file->path);
        at += n;
        offset += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return MPIVF_OK;
}

void
mpivf_file_behind(const struct mpivf_file *file, uint64_t offset, uint64_t bytes)
{
    enum { PAGE = 4096 }; /* what the last one lacks comes with the next bytes, or the sync */
    uint64_t first = offset / PAGE * PAGE, end = (offset + bytes) / PAGE * PAGE;
    if (end > first) /* a hint: errors come back from the sync; no bytes would mean all there are */
        (void)sync_file_range(file->fd, (off_t)first, (off_t)(end - first), SYNC_FILE_RANGE_WRITE);
}

mpivf_status
mpivf_file_sync(struct mpivf_context *ctx, const struct mpivf_file *file)
{
    if (mpivf_fault_system(ctx, MPIVF_FAULT_FILE_SYNC) || fsync(file->fd) < 0)
        return mpivf_file_fail(ctx, "sync", file->path);
    return MPIVF_OK;
}

mpivf_status
mpivf_file_close(struct mpivf_context *ctx, struct mpivf_file *file)
{
    if (file->fd < 0)
        return MPIVF_OK;
    int result = close(file->fd);
    file->fd = -1;
    if (result < 0 || mpivf_fault_system(ctx, MPIVF_FAULT_FILE_CLOSE))
        return mpivf_file_fail(ctx, "close", file->path);
    return MPIVF_OK;
}

void
mpivf_file_drop(struct mpivf_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

/*
 * An open file in `folder` that has no name, or has lost it before anybody could meet it; -1 with
 * errno.
 */
static int
open_nameless(const char *folder)
{
    char path[MPIVF_PATH];
    int fd = open(folder, O_RDWR | O_TMPFILE | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    if (snprintf(path, sizeof path, "%s/mpivf-XXXXXX", folder) >= (int)sizeof path)
        return errno = ENAMETOOLONG, -1;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

mpivf_status
mpivf_file_memory(struct mpivf_context *ctx, char *path, struct mpivf_file *file)
{
    const char *folder = getenv("TMPDIR");
    folder = folder ? folder : "/tmp";
    bool fault = mpivf_fault_system(ctx, MPIVF_FAULT_FILE_CREATE);
    file->path = path;
    file->fd = fault ? -1 : memfd_create("mpivf", MFD_CLOEXEC);
    if (file->fd < 0 && !fault) /* an old kernel, or one that forbids it */
        file->fd = open_nameless(folder);
    if (file->fd < 0)
        return mpivf_fail(ctx, MPIVF_IO,
                          "cannot make a file in memory or in '%s': %s; set TMPDIR "
                          "to a folder that can be written",
                          folder, strerror(errno));
    return mpivf_path(ctx, path, "/proc/self/fd/%d", file->fd);
}

mpivf_status
mpivf_file_nameless(struct mpivf_context *ctx, const char *folder, struct mpivf_file *file)
{
    file->path = folder;
    file->fd = mpivf_fault_system(ctx, MPIVF_FAULT_FILE_CREATE) ? -1 : open_nameless(folder);
    return file->fd < 0 ? mpivf_file_fail(ctx, "create a file in", folder) : MPIVF_OK;
}

mpivf_status
mpivf_file_copy(struct mpivf_context *ctx, const struct mpivf_file *from,
                const struct mpivf_file *to)
{
    char piece[1 << 14];
    off_t size = lseek(from->fd, 0, SEEK_END), at = 0;
    if (size < 0 || ftruncate(to->fd, size) < 0)
        return mpivf_file_fail(ctx, "write", to->path);
    if (size > 0 && fallocate(to->fd, 0, 0, size) < 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return mpivf_file_fail(ctx, "write", to->path);
    mpivf_status status = MPIVF_OK;
    while (status == MPIVF_OK && (at = lseek(from->fd, at, SEEK_DATA)) >= 0) {
        off_t end = lseek(from->fd, at, SEEK_HOLE);
        if (end < 0)
            return mpivf_file_fail(ctx, "read", from->path);
        while (at < end && status == MPIVF_OK) {
            size_t n = end - at < (off_t)sizeof piece ? (size_t)(end - at) : sizeof piece;
            status = mpivf_file_read(ctx, from, piece, n, (uint64_t)at);
            THEN(status, mpivf_file_write(ctx, to, piece, n, (uint64_t)at));
            at += (off_t)n;
        }
    }
    if (status == MPIVF_OK && errno != ENXIO) /* that is how it says: no more data */
        status = mpivf_file_fail(ctx, "read", from->path);
    return status;
}

mpivf_status
mpivf_file_allowed(struct mpivf_context *ctx, const char *path, uint64_t bytes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur >= bytes)
        return MPIVF_OK;
    errno = EFBIG;
    return mpivf_file_fail(ctx, "write", path);
}

mpivf_status
mpivf_file_size(struct mpivf_context *ctx, const char *path, uint64_t *bytes)
{
    struct stat info;
    if (stat(path, &info) < 0)
        return mpivf_file_fail(ctx, "open", path);
    *bytes = (uint64_t)info.st_size;
    return MPIVF_OK;
}

void
mpivf_path_folder(const char *path, char *folder)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        strcpy(folder, ".");
    else
        snprintf(folder, MPIVF_PATH, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

mpivf_status
mpivf_file_commit(struct mpivf_context *ctx, const char *partial, const char *path)
{
    if (mpivf_fault_system(ctx, MPIVF_FAULT_FILE_RENAME) || rename(partial, path) < 0)
        return mpivf_file_fail(ctx, "give the final name to", path);
    mpivf_folder_sync(path);
    return MPIVF_OK;
}

mpivf_status
mpivf_file_finish(struct mpivf_context *ctx, struct mpivf_file *file, const char *path,
                  mpivf_status status)
{
    const char *partial = file->path;
    THEN(status, mpivf_file_sync(ctx, file));
    mpivf_status closed = mpivf_file_close(ctx, file);
    status = status ? status : closed;
    THEN(status, mpivf_file_commit(ctx, partial, path));
    if (status)
        (void)mpivf_file_remove(ctx, partial);
    return status;
}

mpivf_status
mpivf_file_save(struct mpivf_context *ctx, const char *path, const void *data, size_t bytes)
{
    char partial[MPIVF_PATH];
    struct mpivf_file file = {.fd = -1, .path = partial};
    mpivf_status status = mpivf_path(ctx, partial, "%s.partial", path);
    if (status)
        return status;
    status = mpivf_file_create(ctx, partial, &file);
    THEN(status, mpivf_file_write(ctx, &file, data, bytes, 0));
    return mpivf_file_finish(ctx, &file, path, status);
}

mpivf_status
mpivf_file_remove(struct mpivf_context *ctx, const char *path)
{
    if (mpivf_fault_system(ctx, MPIVF_FAULT_FILE_REMOVE) || (unlink(path) < 0 && errno != ENOENT))
        return mpivf_file_fail(ctx, "remove", path);
    return MPIVF_OK;
}

bool
mpivf_file_exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

mpivf_status
mpivf_file_expect(struct mpivf_context *ctx, const char *path)
{
    if (mpivf_file_exists(path))
        return MPIVF_OK;
    return mpivf_fail(ctx, MPIVF_INPUT, "there is no file '%s'", path);
}

bool
mpivf_file_hold(const struct mpivf_file *file)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(file->fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
}

bool
mpivf_file_held(const struct mpivf_file *file)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(file->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

mpivf_status
mpivf_file_lock(struct mpivf_context *ctx, const char *path, struct mpivf_file *file)
{
    mpivf_status status =
        open_as(ctx, path, O_RDWR | O_CREAT | O_NOFOLLOW, "create", MPIVF_FAULT_FILE_CREATE, file);
    if (status || mpivf_file_hold(file))
        return status;
    mpivf_file_drop(file);
    return mpivf_fail(ctx, MPIVF_EXISTS, "another process is at work on '%s'", path);
}

bool
mpivf_file_is(const struct mpivf_file *file, const char *path)
{
    struct stat here, there;
    return file->fd >= 0 && fstat(file->fd, &here) == 0 && stat(path, &there) == 0 &&
           here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}
