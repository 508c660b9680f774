/*
 * building: a build under way, and what is checked before its work (check.c): whose the work is,
 * whether the output may be written, and whether memory and disk will do. For build.c only.
 */
#ifndef MPIVF_BUILD_BUILDING_H
#define MPIVF_BUILD_BUILDING_H

#include "build/work.h"

#include <mpivf/build.h>

/* Everything that is set is the same on every rank. */
struct mpivf_building {
    const struct mpivf_par *par;
    const struct mpivf_build_options *options;
    const struct mpivf_build_files *files;
    struct mpivf_source source, ids;
    uint64_t source_fingerprint;
    struct mpivf_index model; /* options->model, or the trained one in the work folder */
    struct mpivf_coarse coarse;
    struct mpivf_work work;
    struct mpivf_range want; /* the rows that the result covers */
    bool in_vain;            /* there is no row to go on with: the work folder goes */
    bool damaged;            /* it was a file of the work folder that was damaged */
};

/*
 * Everything that shapes the bytes of the result, as JSON text of less than `size` bytes.
 * --bad-rows is not in it: work done under fail met no bad row and is good for skip; the other way
 * the merge refuses. Local.
 */
void
mpivf_build_identity(const struct mpivf_building *b, char *text, size_t size);

/* Is the set these very rows? A part that has none is covered by nothing. Local. */
bool
mpivf_build_covers(const struct mpivf_range *set, uint64_t ranges, struct mpivf_range want);

/*
 * Refuse an output that exists, unless an earlier run of this very command was killed between
 * giving the index its name and removing the work folder: then *finished. Local, for rank 0.
 */
mpivf_status
mpivf_build_check_output(const struct mpivf_building *b, const char *identity, bool *finished);

/* MPIVF_MEMORY when --memory is too small for a phase of the build on this rank. Local. */
mpivf_status
mpivf_build_check_memory(const struct mpivf_building *b);

/*
 * MPIVF_IO when what is still to be written (model, shards, index) does not fit on its disks.
 * Local.
 */
mpivf_status
mpivf_build_check_space(const struct mpivf_building *b);

#endif
