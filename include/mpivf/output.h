/*
 * output: everything that a command will write, told before anything is written.
 *
 * A command names its inputs and its outputs, then calls mpivf_outputs_declare_all, which on
 * rank 0, before any work,
 *   - follows symbolic links: what is written is what a link points to, there or not; the names
 *     that are made from an output's (report, work folder, other formats) are made from that;
 *   - refuses two names for one file, among outputs and between them and inputs, whatever the
 *     paths say (device and inode count, or the folder's and the name where no file is yet);
 *   - refuses a folder that is not there or cannot be written, a target that is a folder, a
 *     device or, unless `force`, there already, and a name to which nothing can be added;
 *   - makes, for each output, the file it will be written to, and holds it (below).
 * The same names then have the same meaning on every rank.
 *
 * The protocol. An output OUT is written to OUT.<16 random hex digits>.partial, which is made
 * exclusively and held locked by rank 0 until the end: the partial is the lock. Making it, locking
 * it and then looking for another locked partial of OUT is one step under a lock on the folder, so
 * of two commands that start in one instant one goes on, and the other says so at once. The lock
 * stays when the partial becomes OUT, until the command has removed its work folder and ends. Where
 * a folder cannot be locked both may be refused, never none: each locks its own before it looks.
 * A crash releases the locks; what it leaves has a name of its own and is in nobody's way. An empty
 * one is removed by the next command with that output, one that a work folder's manifest lists by
 * the command that goes on there (io/claim.h); of others a note tells.
 *
 * An output gets its name when it is whole and synced, without replacing anything (renameat2 or
 * link) but, with `force`, the very file that was there when it was declared. Where locks do not
 * work this is what keeps two commands apart. A whole file that cannot get its name stays under the
 * partial one, and the error says so.
 */
#ifndef MPIVF_OUTPUT_H
#define MPIVF_OUTPUT_H

#include <mpivf/api.h>
#include <mpivf/par.h>

MPIVF_API_BEGIN

struct mpivf_output;
struct mpivf_place;

struct mpivf_outputs {
    const struct mpivf_par *par;       /* not owned */
    struct mpivf_output *first, *last; /* owned list */
    struct mpivf_place *input;         /* owned, grows; rank 0 only */
    size_t inputs, room;
    mpivf_status status; /* of what was named so far */
};

/* Nothing named yet. End with mpivf_outputs_end. Local. */
void
mpivf_outputs_init(struct mpivf_outputs *outputs, const struct mpivf_par *par);

/*
 * Name an input, FILE[:OBJECT]; NULL is fine. The text is kept. This and the next are for every
 * rank, in the same order, and local; what fails is told by mpivf_outputs_declare_all.
 */
void
mpivf_outputs_read(struct mpivf_outputs *outputs, const char *name);

/* Name a file to be written. NULL when it failed. Local. */
struct mpivf_output *
mpivf_outputs_write(struct mpivf_outputs *outputs, const char *path);

/*
 * The report of an output, given by mpivf_output_path. One that is there is replaced when it is a
 * report of ours, else, like any output, with `force` only. Local.
 */
struct mpivf_output *
mpivf_outputs_report(struct mpivf_outputs *outputs, const char *of);

/* The work folder of an output, NAME.KIND, in `scratch` or, when that is NULL, beside it. Local. */
struct mpivf_output *
mpivf_outputs_folder(struct mpivf_outputs *outputs, const char *of, const char *scratch,
                     const char *kind);

/*
 * Check everything and make the partial files. MPIVF_USAGE for names that collide or are too long,
 * MPIVF_EXISTS for an output that is there or that another process is at work on, MPIVF_IO. When a
 * work folder shows that an earlier run of this very command may have been about to end, outputs
 * that are there are let through: whoever goes on there decides (mpivf_output_check).
 * Collective, agreed.
 */
mpivf_status
mpivf_outputs_declare_all(struct mpivf_outputs *outputs, bool force);

/* Remove the partials of outputs that did not get their names, and let all go. Local. */
void
mpivf_outputs_end(struct mpivf_outputs *outputs);

/*
 * Where it is written, links followed: on rank 0; once declared, on every rank. NULL gives "".
 * Local.
 */
const char *
mpivf_output_path(const struct mpivf_output *output);

MPIVF_API_END

#endif
