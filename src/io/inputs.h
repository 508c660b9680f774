/*
 * inputs: the files that a run reads, as they were when they were opened.
 *
 * A file is known by its size and the time it was last modified. Ranks that see others under the
 * same name (a copy of a node's own, a stale mount) are told at the start, and a file that changes
 * while it is read is told at the end: either would mix two versions in one result.
 *
 * A copy that keeps the time (cp -p, rsync -t) is the same file. Some tools and file systems keep
 * whole seconds only, so a time without a fraction equals any time of that second.
 */
#ifndef MPIVF_IO_INPUTS_H
#define MPIVF_IO_INPUTS_H

#include "io/file.h"

#include <mpivf/par.h>

struct mpivf_input {
    char *path; /* owned */
    uint64_t bytes;
    int64_t modified; /* nanoseconds since 1970 */
};

struct mpivf_inputs {
    struct mpivf_input *file; /* owned, [room] */
    size_t files, room;
};

/* Take in a file as it is now; one that is in already stays as it was. MPIVF_IO. Local. */
mpivf_status
mpivf_inputs_add(struct mpivf_context *ctx, struct mpivf_inputs *inputs, const char *path);

void
mpivf_inputs_clear(struct mpivf_context *ctx, struct mpivf_inputs *inputs);

/*
 * Rank 0's files on every rank, with the sizes and times that rank 0 saw, after each rank has
 * looked for itself. MPIVF_INPUT names the first rank, with its host, that sees another file.
 * Collective, agreed.
 */
mpivf_status
mpivf_inputs_share_all(const struct mpivf_par *par, struct mpivf_inputs *inputs);

/* MPIVF_INPUT when one is no longer what it was, for any rank. Collective, agreed. */
mpivf_status
mpivf_inputs_unchanged_all(const struct mpivf_par *par, const struct mpivf_inputs *inputs);

/*
 * MPIVF_INPUT unless every rank brings the same mark of the content of `path`. Collective, agreed.
 */
mpivf_status
mpivf_inputs_content_all(const struct mpivf_par *par, const char *path, uint64_t mark);

/* Are these times of the same version? Local. */
bool
mpivf_inputs_same_time(int64_t a, int64_t b);

/* "2026-02-03 14:03:07.250", in local time. */
enum { MPIVF_TIME_TEXT = 32 };
void
mpivf_inputs_time_text(int64_t modified, char text[MPIVF_TIME_TEXT]);

#endif
