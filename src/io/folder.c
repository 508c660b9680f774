#include "io/folder.h"

#include "base/fault.h"
#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

int
mpivf_folder_lock(const char *path)
{
    enum { TIMES = 200, PAUSE = 10000 }; /* microseconds: two seconds in all */
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < TIMES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return fd;
        if (errno != EWOULDBLOCK && errno != EINTR)
            break;
        usleep(PAUSE);
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

void
mpivf_folder_unlock(int lock)
{
    if (lock >= 0)
        close(lock);
}

void
mpivf_folder_sync(const char *path)
{
    char folder[MPIVF_PATH];
    mpivf_path_folder(path, folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) /* some file systems cannot sync a folder: the rename stands anyway */
        return;
    (void)fsync(fd);
    close(fd);
}

mpivf_status
mpivf_folder_create(struct mpivf_context *ctx, const char *path)
{
    if (mpivf_fault_system(ctx, MPIVF_FAULT_FOLDER_CREATE) ||
        (mkdir(path, 0777) < 0 && errno != EEXIST))
        return mpivf_file_fail(ctx, "make the folder", path);
    return MPIVF_OK;
}

mpivf_status
mpivf_folder_list(struct mpivf_context *ctx, const char *path,
                  mpivf_status (*visit)(struct mpivf_context *ctx, void *arg, const char *name),
                  void *arg)
{
    DIR *folder = mpivf_fault_system(ctx, MPIVF_FAULT_FOLDER_LIST) ? NULL : opendir(path);
    if (folder == NULL)
        return mpivf_file_fail(ctx, "list the folder", path);
    mpivf_status status = MPIVF_OK;
    for (struct dirent *entry; status == MPIVF_OK && (entry = readdir(folder)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = visit(ctx, arg, entry->d_name);
    closedir(folder);
    return status;
}

mpivf_status
mpivf_folder_remove(struct mpivf_context *ctx, const char *path)
{
    if (mpivf_fault_system(ctx, MPIVF_FAULT_FOLDER_REMOVE))
        return mpivf_file_fail(ctx, "remove the folder", path);
    if (rmdir(path) == 0 || errno == ENOENT)
        return MPIVF_OK;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return mpivf_file_fail(ctx, "remove the folder", path);
    mpivf_note(ctx, "the folder '%s' holds files of others and stays", path);
    return MPIVF_OK;
}

mpivf_status
mpivf_folder_space(struct mpivf_context *ctx, const char *folder, uint64_t bytes, const char *what)
{
    struct statvfs info;
    if (statvfs(folder, &info) < 0)
        return mpivf_file_fail(ctx, "look at the disk of", folder);
    uint64_t available = (uint64_t)info.f_bavail * info.f_frsize;
    if (mpivf_fault(ctx, MPIVF_FAULT_DISK_SPACE))
        available = 0;
    if (available >= bytes)
        return MPIVF_OK;
    return mpivf_fail(ctx, MPIVF_IO, "%s needs %.1f MiB in '%s', where %.1f MiB are free", what,
                      (double)bytes / 1048576, folder, (double)available / 1048576);
}
