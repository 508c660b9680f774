/*
 * folder: folders by their names: made, listed, locked, removed, and the room on their disks.
 *
 * Every function is local.
 */
#ifndef MPIVF_IO_FOLDER_H
#define MPIVF_IO_FOLDER_H

#include <mpivf/context.h>

#include <stdint.h>

/*
 * Hold a folder for as long as a look at it and a change of it take: the lock, to be given back
 * with mpivf_folder_unlock; -1 when there is none to be had within two seconds. Who goes on with -1
 * has to be right all the same, if less well told. Local.
 */
int
mpivf_folder_lock(const char *path);
void
mpivf_folder_unlock(int lock);

/* Make last what has happened in the folder of `path`, where the file system can. Local. */
void
mpivf_folder_sync(const char *path);

/* Make a folder; one that is there is fine. Local. */
mpivf_status
mpivf_folder_create(struct mpivf_context *ctx, const char *path);

/* Call `visit` with each entry but . and .., in no order; the first failure ends it. Local. */
mpivf_status
mpivf_folder_list(struct mpivf_context *ctx, const char *path,
                  mpivf_status (*visit)(struct mpivf_context *ctx, void *arg, const char *name),
                  void *arg);

/* Remove a folder unless something is in it: a note says so. Not there is fine. Local. */
mpivf_status
mpivf_folder_remove(struct mpivf_context *ctx, const char *path);

/*
 * MPIVF_IO when the file system of `folder` has fewer than `bytes` free; `what` needs them. Local.
 */
mpivf_status
mpivf_folder_space(struct mpivf_context *ctx, const char *folder, uint64_t bytes, const char *what);

#endif
