/*
 * fault: a failure on demand at every place where something can fail.
 *
 * MPIVF_FAULT=site:rank:nth makes the nth pass (from 1) of that rank through the site fail;
 * with a fourth field, site:rank:nth:kill, the process is killed there (SIGKILL) instead, and with
 * site:rank:nth:run the shell command MPIVF_FAULT_RUN is run there and the pass goes on.
 * MPIVF_FAULT_LOG=FILE appends a line "site rank" for every pass, to learn what a run reaches.
 * MPIVF_FAULT_TAKEN=KIB is counted as what the program takes itself, whatever that is: the same
 * --memory then leaves the buffers the same in every run, and a run makes the same passes again.
 * Only in builds with -DMPIVF_FAULTS=ON; elsewhere a site is the constant false.
 */
#ifndef MPIVF_BASE_FAULT_H
#define MPIVF_BASE_FAULT_H

#include <mpivf/context.h>

#include <errno.h>
#include <stdbool.h>

#define MPIVF_FAULT_SITES(X)                                                                       \
    X(ALLOC, "alloc")                                                                              \
    X(FILE_OPEN, "file-open")                                                                      \
    X(FILE_CREATE, "file-create")                                                                  \
    X(FILE_READ, "file-read")                                                                      \
    X(FILE_WRITE, "file-write")                                                                    \
    X(FILE_SYNC, "file-sync")                                                                      \
    X(FILE_CLOSE, "file-close")                                                                    \
    X(FILE_RENAME, "file-rename")                                                                  \
    X(FILE_REMOVE, "file-remove")                                                                  \
    X(FOLDER_CREATE, "folder-create")                                                              \
    X(FOLDER_LIST, "folder-list")                                                                  \
    X(FOLDER_REMOVE, "folder-remove")                                                              \
    X(DISK_SPACE, "disk-space")                                                                    \
    X(HDF5_OPEN, "hdf5-open")                                                                      \
    X(HDF5_READ, "hdf5-read")                                                                      \
    X(HDF5_CREATE, "hdf5-create")                                                                  \
    X(HDF5_WRITE, "hdf5-write")                                                                    \
    X(HDF5_CLOSE, "hdf5-close")                                                                    \
    X(JSON_READ, "json-read")                                                                      \
    X(JSON_WRITE, "json-write")

enum mpivf_fault_site {
#define X(site, name) MPIVF_FAULT_##site,
    MPIVF_FAULT_SITES(X)
#undef X
        MPIVF_FAULT_COUNT
};

#ifdef MPIVF_FAULTS
/* Does this pass of the site fail? Local. */
bool
mpivf_fault(const struct mpivf_context *ctx, enum mpivf_fault_site site);

/* The bytes of MPIVF_FAULT_TAKEN; `measured` without it. Local. */
size_t
mpivf_fault_taken(size_t measured);
#else
static inline bool
mpivf_fault(const struct mpivf_context *ctx, enum mpivf_fault_site site)
{
    (void)ctx;
    (void)site;
    return false;
}

static inline size_t
mpivf_fault_taken(size_t measured)
{
    return measured;
}
#endif

/* The same for a system call: errno is then set as if that had failed. */
static inline bool
mpivf_fault_system(const struct mpivf_context *ctx, enum mpivf_fault_site site)
{
    if (!mpivf_fault(ctx, site))
        return false;
    errno = EIO;
    return true;
}

#endif
