/*
 * file: files by their names, with errors that say which one and why.
 *
 * Nothing half-written ever carries its final name: in a folder of ours a file is written as
 * NAME.partial, synced, and renamed when whole (mpivf_file_commit also syncs the folder); the files
 * that a user names are the affair of io/output.h. Every function is local.
 */
#ifndef MPIVF_IO_FILE_H
#define MPIVF_IO_FILE_H

#include <mpivf/context.h>

#include <stdbool.h>

enum { MPIVF_PATH = 3072 }; /* bytes of a path, with its end */

struct mpivf_file {
    int fd;           /* -1 = not open */
    const char *path; /* borrowed, for messages */
};

/*
 * How many bytes of FILE[:OBJECT] are the name of the file: up to the last colon before which there
 * is one, for both names may have colons; up to the last colon when there is no such file. Local.
 */
size_t
mpivf_path_file(const char *name);

/*
 * Join text to a path of MPIVF_PATH bytes by a printf format; MPIVF_USAGE when it is too long.
 * Local.
 */
mpivf_status
mpivf_path(struct mpivf_context *ctx, char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The failure that errno tells, MPIVF_IO: cannot VERB 'PATH'. Local. */
mpivf_status
mpivf_file_fail(struct mpivf_context *ctx, const char *verb, const char *path);

/*
 * For reading. Never waits: what is not a regular file (a pipe, a device, a folder) is MPIVF_INPUT,
 * and so is a link to nothing. Local.
 */
mpivf_status
mpivf_file_open(struct mpivf_context *ctx, const char *path, struct mpivf_file *file);

/*
 * Is it a regular file, or a link to one? To be asked before a library opens it, which may wait.
 * Local.
 */
bool
mpivf_file_regular(const char *path);

/* For writing into a file that is there, at any offset. Local. */
mpivf_status
mpivf_file_update(struct mpivf_context *ctx, const char *path, struct mpivf_file *file);

/* A new, empty file; MPIVF_IO when something has the name, be it a link. Local. */
mpivf_status
mpivf_file_create(struct mpivf_context *ctx, const char *path, struct mpivf_file *file);

/* All of the bytes or an error; the end of the file is MPIVF_CORRUPT. Local. */
mpivf_status
mpivf_file_read(struct mpivf_context *ctx, const struct mpivf_file *file, void *data, size_t bytes,
                uint64_t offset);

/* Ask the system to fetch bytes that will be read soon. Local. */
void
mpivf_file_ahead(const struct mpivf_file *file, uint64_t offset, uint64_t bytes);

mpivf_status
mpivf_file_write(struct mpivf_context *ctx, const struct mpivf_file *file, const void *data,
                 size_t bytes, uint64_t offset);

/* Ask the system to begin writing these bytes to the disk; they are final. Local. */
void
mpivf_file_behind(const struct mpivf_file *file, uint64_t offset, uint64_t bytes);

/* Wait until the disk has it. Local. */
mpivf_status
mpivf_file_sync(struct mpivf_context *ctx, const struct mpivf_file *file);

/* Close; the status counts for a written file. A file that is not open is fine. Local. */
mpivf_status
mpivf_file_close(struct mpivf_context *ctx, struct mpivf_file *file);

/* The size in bytes. Local. */
mpivf_status
mpivf_file_size(struct mpivf_context *ctx, const char *path, uint64_t *bytes);

/*
 * Give a file of a folder of ours its final name, whatever had it, and make that last. What a user
 * names goes by mpivf_output_commit. Local.
 */
mpivf_status
mpivf_file_commit(struct mpivf_context *ctx, const char *partial, const char *path);

/*
 * The end of writing a file under a partial name (file->path): when `status` is good, sync,
 * close and give it its name; otherwise close and remove it. The first failure. Local.
 */
mpivf_status
mpivf_file_finish(struct mpivf_context *ctx, struct mpivf_file *file, const char *path,
                  mpivf_status status);

/* Write a small file, whole or not at all. Local. */
mpivf_status
mpivf_file_save(struct mpivf_context *ctx, const char *path, const void *data, size_t bytes);

/* Close a file that was only read: nothing can be lost. A file that is not open is fine. Local. */
void
mpivf_file_drop(struct mpivf_file *file);

/*
 * A file in memory, else one without a name in TMPDIR; holes take no room, and it goes when it is
 * closed or the process ends. `path`, of MPIVF_PATH bytes, is what this process can open it by.
 * Local.
 */
mpivf_status
mpivf_file_memory(struct mpivf_context *ctx, char *path, struct mpivf_file *file);

/*
 * An empty file in `folder` without a name: it goes when it is closed or the process ends. `folder`
 * is kept for messages. Local.
 */
mpivf_status
mpivf_file_nameless(struct mpivf_context *ctx, const char *folder, struct mpivf_file *file);

/*
 * Make `to` (empty) what `from` is: the same size and the bytes of its extents that are not
 * holes. The disk room of the whole is reserved where the file system can. Local.
 */
mpivf_status
mpivf_file_copy(struct mpivf_context *ctx, const struct mpivf_file *from,
                const struct mpivf_file *to);

/* MPIVF_IO when this process may not write files of so many bytes (ulimit -f). Local. */
mpivf_status
mpivf_file_allowed(struct mpivf_context *ctx, const char *path, uint64_t bytes);

/* Remove; a file that is not there is fine. Local. */
mpivf_status
mpivf_file_remove(struct mpivf_context *ctx, const char *path);

bool
mpivf_file_exists(const char *path);

/* MPIVF_INPUT when there is no file of this name. Local. */
mpivf_status
mpivf_file_expect(struct mpivf_context *ctx, const char *path);

/*
 * Hold an open, written file locked until it is closed or the process ends; false when another
 * process holds it. Where the file system knows no locks nothing is held, and that is true. Local.
 */
bool
mpivf_file_hold(const struct mpivf_file *file);

/* Does another process, or another opening of this file, hold it? Local. */
bool
mpivf_file_held(const struct mpivf_file *file);

/*
 * Make or open `path` and hold it locked until it is closed or the process ends. MPIVF_EXISTS
 * when another process holds it; where the file system knows no locks nothing is held. Local.
 */
mpivf_status
mpivf_file_lock(struct mpivf_context *ctx, const char *path, struct mpivf_file *file);

/* Does `path` still name this open file? Local. */
bool
mpivf_file_is(const struct mpivf_file *file, const char *path);

/* The folder part of a path into `folder` (MPIVF_PATH bytes); "." when there is none. Local. */
void
mpivf_path_folder(const char *path, char *folder);

#endif
