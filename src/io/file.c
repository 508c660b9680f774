#define _GNU_SOURCE /* mkostemp, fallocate, sync_file_range, SEEK_DATA */
#include "io/file.h"

#include "base/fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { MOST = 1 << 30 }; /* bytes of one system call */

/* Fail as the system would when the fault is armed. */
static bool
faulty(const struct mpivf_context *ctx, enum mpivf_fault_site site)
{
    if (!mpivf_fault(ctx, site))
        return false;
    errno = EIO;
    return true;
}

static mpivf_status
fail(struct mpivf_context *ctx, const char *verb, const char *path)
{
    return mpivf_fail(ctx, MPIVF_IO, "cannot %s '%s': %s", verb, path, strerror(errno));
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
    file->fd = faulty(ctx, site) ? -1 : open(path, flags | O_CLOEXEC, 0666);
    return file->fd < 0 ? fail(ctx, verb, path) : MPIVF_OK;
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
    return open_as(ctx, path, O_RDWR | O_CREAT | O_TRUNC, "create", MPIVF_FAULT_FILE_CREATE, file);
}

mpivf_status
mpivf_file_read(struct mpivf_context *ctx, const struct mpivf_file *file, void *data, size_t bytes,
                uint64_t offset)
{
    if (bytes > 0 && faulty(ctx, MPIVF_FAULT_FILE_READ))
        return fail(ctx, "read", file->path);
    for (char *at = data; bytes > 0;) {
        ssize_t n = pread(file->fd, at, bytes < MOST ? bytes : MOST, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(ctx, "read", file->path);
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
    if (bytes > 0 && faulty(ctx, MPIVF_FAULT_FILE_WRITE))
        return fail(ctx, "write", file->path);
    for (const char *at = data; bytes > 0;) {
        ssize_t n = pwrite(file->fd, at, bytes < MOST ? bytes : MOST, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(ctx, "write", file->path);
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
    if (faulty(ctx, MPIVF_FAULT_FILE_SYNC) || fsync(file->fd) < 0)
        return fail(ctx, "sync", file->path);
    return MPIVF_OK;
}

mpivf_status
mpivf_file_close(struct mpivf_context *ctx, struct mpivf_file *file)
{
    if (file->fd < 0)
        return MPIVF_OK;
    int result = close(file->fd);
    file->fd = -1;
    if (result < 0 || faulty(ctx, MPIVF_FAULT_FILE_CLOSE))
        return fail(ctx, "close", file->path);
    return MPIVF_OK;
}

void
mpivf_file_drop(struct mpivf_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

/* A new file in `folder` under a name of its own, into `path`; the caller tells of a failure. */
static mpivf_status
create_some(struct mpivf_context *ctx, const char *folder, char *path, struct mpivf_file *file)
{
    mpivf_status status = mpivf_path(ctx, path, "%s/mpivf-XXXXXX", folder);
    if (status == MPIVF_OK)
        file->fd = faulty(ctx, MPIVF_FAULT_FILE_CREATE) ? -1 : mkostemp(path, O_CLOEXEC);
    return status;
}

mpivf_status
mpivf_file_memory(struct mpivf_context *ctx, char *path, struct mpivf_file *file)
{
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    mpivf_status status = create_some(ctx, folder ? folder : "/tmp", path, file);
    file->path = path;
    if (status)
        return status;
    return file->fd < 0 ? fail(ctx, "create", path) : MPIVF_OK;
}

mpivf_status
mpivf_file_nameless(struct mpivf_context *ctx, const char *folder, struct mpivf_file *file)
{
    char path[MPIVF_PATH];
    mpivf_status status = create_some(ctx, folder, path, file);
    file->path = folder;
    if (status)
        return status;
    if (file->fd < 0)
        return fail(ctx, "create a file in", folder);
    return unlink(path) < 0 ? fail(ctx, "remove", path) : MPIVF_OK;
}

mpivf_status
mpivf_file_copy(struct mpivf_context *ctx, const struct mpivf_file *from, const struct mpivf_file *to)
{
    char piece[1 << 14];
    off_t size = lseek(from->fd, 0, SEEK_END), at = 0;
    if (size < 0 || ftruncate(to->fd, size) < 0)
        return fail(ctx, "write", to->path);
    if (size > 0 && fallocate(to->fd, 0, 0, size) < 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return fail(ctx, "write", to->path);
    mpivf_status status = MPIVF_OK;
    while (status == MPIVF_OK && (at = lseek(from->fd, at, SEEK_DATA)) >= 0) {
        off_t end = lseek(from->fd, at, SEEK_HOLE);
        if (end < 0)
            return fail(ctx, "read", from->path);
        while (at < end && status == MPIVF_OK) {
            size_t n = end - at < (off_t)sizeof piece ? (size_t)(end - at) : sizeof piece;
            status = mpivf_file_read(ctx, from, piece, n, (uint64_t)at);
            if (status == MPIVF_OK)
                status = mpivf_file_write(ctx, to, piece, n, (uint64_t)at);
            at += (off_t)n;
        }
    }
    if (status == MPIVF_OK && errno != ENXIO) /* that is how it says: no more data */
        status = fail(ctx, "read", from->path);
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
    return fail(ctx, "write", path);
}

mpivf_status
mpivf_file_size(struct mpivf_context *ctx, const char *path, uint64_t *bytes)
{
    struct stat info;
    if (stat(path, &info) < 0)
        return fail(ctx, "open", path);
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
    if (faulty(ctx, MPIVF_FAULT_FILE_RENAME) || rename(partial, path) < 0)
        return fail(ctx, "give the final name to", path);
    char name[MPIVF_PATH];
    mpivf_path_folder(path, name);
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) { /* some file systems cannot sync a folder: the rename stands anyway */
        (void)fsync(fd);
        close(fd);
    }
    return MPIVF_OK;
}

mpivf_status
mpivf_file_finish(struct mpivf_context *ctx, struct mpivf_file *file, const char *path,
                  mpivf_status status)
{
    const char *partial = file->path;
    if (status == MPIVF_OK)
        status = mpivf_file_sync(ctx, file);
    mpivf_status closed = mpivf_file_close(ctx, file);
    status = status ? status : closed;
    if (status == MPIVF_OK)
        status = mpivf_file_commit(ctx, partial, path);
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
    if (status == MPIVF_OK)
        status = mpivf_file_write(ctx, &file, data, bytes, 0);
    return mpivf_file_finish(ctx, &file, path, status);
}

mpivf_status
mpivf_file_remove(struct mpivf_context *ctx, const char *path)
{
    if (faulty(ctx, MPIVF_FAULT_FILE_REMOVE) || (unlink(path) < 0 && errno != ENOENT))
        return fail(ctx, "remove", path);
    return MPIVF_OK;
}

bool
mpivf_file_exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

mpivf_status
mpivf_file_writable(struct mpivf_context *ctx, const char *path, bool force)
{
    struct stat info;
    bool there = stat(path, &info) == 0;
    if (there && S_ISDIR(info.st_mode))
        return mpivf_fail(ctx, MPIVF_EXISTS, "'%s' is a folder, not a file to write", path);
    if (there && !S_ISREG(info.st_mode))
        return mpivf_fail(ctx, MPIVF_EXISTS, "'%s' is not a regular file and is not replaced", path);
    if (there && !force)
        return mpivf_fail(ctx, MPIVF_EXISTS, "'%s' exists; --force replaces it", path);
    char folder[MPIVF_PATH];
    mpivf_path_folder(path, folder);
    if (stat(folder, &info) < 0 || !S_ISDIR(info.st_mode))
        return mpivf_fail(ctx, MPIVF_IO, "cannot write '%s': there is no folder '%s'", path, folder);
    if (access(folder, W_OK | X_OK) < 0)
        return fail(ctx, "write", path);
    return MPIVF_OK;
}

/* Would both be the same file, if they were there? */
static bool
same_place(const char *a, const char *b)
{
    struct stat folder[2];
    const char *path[2] = {a, b}, *name[2];
    for (int i = 0; i < 2; i++) {
        char parent[MPIVF_PATH];
        const char *slash = strrchr(path[i], '/');
        name[i] = slash ? slash + 1 : path[i];
        snprintf(parent, sizeof parent, "%.*s.", (int)(name[i] - path[i]), path[i]);
        if (stat(parent, &folder[i]) < 0)
            return false;
    }
    return folder[0].st_dev == folder[1].st_dev && folder[0].st_ino == folder[1].st_ino &&
           strcmp(name[0], name[1]) == 0;
}

mpivf_status
mpivf_file_distinct(struct mpivf_context *ctx, const char *output, const char *input)
{
    struct stat out, in;
    char file[MPIVF_PATH];
    snprintf(file, sizeof file, "%.*s", (int)mpivf_path_file(input), input);
    bool there = stat(output, &out) == 0 && stat(file, &in) == 0;
    if (there ? out.st_dev != in.st_dev || out.st_ino != in.st_ino : !same_place(output, file))
        return MPIVF_OK;
    return mpivf_fail(ctx, MPIVF_USAGE, "the output '%s' is also an input", output);
}

mpivf_status
mpivf_file_lock(struct mpivf_context *ctx, const char *path, struct mpivf_file *file)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    file->path = path;
    file->fd = faulty(ctx, MPIVF_FAULT_FILE_CREATE) ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file->fd < 0)
        return fail(ctx, "create", path);
    if (fcntl(file->fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES))
        return MPIVF_OK;
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

mpivf_status
mpivf_folder_create(struct mpivf_context *ctx, const char *path)
{
    if (faulty(ctx, MPIVF_FAULT_FOLDER_CREATE) || (mkdir(path, 0777) < 0 && errno != EEXIST))
        return fail(ctx, "make the folder", path);
    return MPIVF_OK;
}

mpivf_status
mpivf_folder_list(struct mpivf_context *ctx, const char *path,
                  mpivf_status (*visit)(struct mpivf_context *ctx, void *arg, const char *name),
                  void *arg)
{
    DIR *folder = faulty(ctx, MPIVF_FAULT_FOLDER_LIST) ? NULL : opendir(path);
    if (folder == NULL)
        return fail(ctx, "list the folder", path);
    mpivf_status status = MPIVF_OK;
    for (struct dirent *entry; status == MPIVF_OK && (entry = readdir(folder)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = visit(ctx, arg, entry->d_name);
    closedir(folder);
    return status;
}

struct removal {
    const char *folder, *last;
    bool (*ours)(const char *name);
};

static mpivf_status
remove_entry(struct mpivf_context *ctx, void *arg, const char *name)
{
    const struct removal *removal = arg;
    char path[MPIVF_PATH];
    if ((removal->ours && !removal->ours(name)) || (removal->last && strcmp(name, removal->last) == 0))
        return MPIVF_OK;
    mpivf_status status = mpivf_path(ctx, path, "%s/%s", removal->folder, name);
    return status ? status : mpivf_file_remove(ctx, path);
}

mpivf_status
mpivf_folder_remove(struct mpivf_context *ctx, const char *path, bool (*ours)(const char *name),
                    const char *last)
{
    struct removal removal = {path, last, ours};
    char last_path[MPIVF_PATH];
    if (!mpivf_file_exists(path))
        return MPIVF_OK;
    mpivf_status status = mpivf_folder_list(ctx, path, remove_entry, &removal);
    if (status == MPIVF_OK && last)
        status = mpivf_path(ctx, last_path, "%s/%s", path, last);
    if (status == MPIVF_OK && last)
        status = mpivf_file_remove(ctx, last_path);
    if (status == MPIVF_OK && rmdir(path) < 0) {
        if (errno != ENOTEMPTY && errno != EEXIST)
            return fail(ctx, "remove the folder", path);
        mpivf_note(ctx, "the folder '%s' holds files of others and stays", path);
    }
    return status;
}

mpivf_status
mpivf_folder_space(struct mpivf_context *ctx, const char *folder, uint64_t bytes, const char *what)
{
    struct statvfs info;
    if (statvfs(folder, &info) < 0)
        return fail(ctx, "look at the disk of", folder);
    uint64_t available = (uint64_t)info.f_bavail * info.f_frsize;
    if (mpivf_fault(ctx, MPIVF_FAULT_DISK_SPACE))
        available = 0;
    if (available >= bytes)
        return MPIVF_OK;
    return mpivf_fail(ctx, MPIVF_IO, "%s needs %.1f MiB in '%s', where %.1f MiB are free", what,
                      (double)bytes / 1048576, folder, (double)available / 1048576);
}
