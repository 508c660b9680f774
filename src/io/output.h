/* output: what the library does with the outputs of a command (mpivf/output.h has the protocol). */
#ifndef MPIVF_IO_OUTPUT_H
#define MPIVF_IO_OUTPUT_H

#include "io/file.h"
#include "io/place.h"

#include <mpivf/output.h>

enum { MPIVF_OUTPUT_ENDING = 1 + 16 + 8 }; /* bytes of .0123456789abcdef.partial */

enum mpivf_output_kind { MPIVF_OUTPUT_FILE, MPIVF_OUTPUT_REPORT, MPIVF_OUTPUT_FOLDER };

struct mpivf_output {
    struct mpivf_output *next; /* in the order they were named */
    enum mpivf_output_kind kind;
    char path[MPIVF_PATH];    /* of what is written */
    char partial[MPIVF_PATH]; /* of a file until it gets its name; every rank may open it */
    /* rank 0 only */
    char given[MPIVF_PATH];   /* as it was named, for messages */
    struct mpivf_place place; /* of path, when it was declared */
    struct mpivf_file file;   /* owned: the partial, open and held; -1 = none */
    uint64_t inode;           /* of the partial */
    uint64_t earlier;         /* inode of what is there, when a run of this work named it; else 0 */
    bool busy;                /* another process has a partial of it */
    bool replace;             /* may what is there be replaced? */
    bool named, kept;         /* the partial has its name, or stays as it is */
};

/* Check all names, as mpivf_outputs_declare_all does first. For rank 0. Local. */
mpivf_status
mpivf_outputs_check(struct mpivf_outputs *outputs, bool force);

/* What mpivf_outputs_declare_all does on rank 0. Local. */
mpivf_status
mpivf_outputs_declare(struct mpivf_outputs *outputs, bool force);

/* MPIVF_EXISTS when what is there may not be replaced. For rank 0. Local. */
mpivf_status
mpivf_output_check(struct mpivf_context *ctx, const struct mpivf_output *output);

/*
 * Look once more for one that was not there: a command that has just ended may have made it. As
 * mpivf_output_check. For rank 0. Local.
 */
mpivf_status
mpivf_output_again(struct mpivf_context *ctx, struct mpivf_output *output, bool force);

/* As mpivf_folder_space, where the output is written. Local. */
mpivf_status
mpivf_output_space(struct mpivf_context *ctx, const struct mpivf_output *output, uint64_t bytes,
                   const char *what);

/*
 * Sync the partial, which is whole, and give it its name. MPIVF_EXISTS when that would replace what
 * was not there, or was another, when the output was declared. Local, for rank 0.
 */
mpivf_status
mpivf_output_commit(struct mpivf_context *ctx, struct mpivf_output *output);

/*
 * Keep it under its partial name: others that belong to it could not get theirs. For rank 0. Local.
 */
void
mpivf_output_withdraw(struct mpivf_output *output);

/* Is `name` a partial of this output, by the exact pattern? Local. */
bool
mpivf_output_owns(const struct mpivf_output *output, const char *name);

/*
 * Remove NAME, a partial that an earlier run of this work left, unless it is none of these outputs'
 * or held. For rank 0. Local.
 */
mpivf_status
mpivf_outputs_tidy(const struct mpivf_outputs *outputs, const char *name);

#endif
