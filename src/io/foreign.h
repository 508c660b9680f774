/*
 * foreign: files of kinds that are not read, told apart by their first bytes, then by their names.
 *
 * Whoever has vectors has them in some file. One that this program does not read is named for what
 * it is, with the line that makes one that is read out of it.
 */
#ifndef MPIVF_IO_FOREIGN_H
#define MPIVF_IO_FOREIGN_H

#include "io/matrix.h"

/* What the file was to be, for the cure. */
enum mpivf_foreign_use {
    MPIVF_FOREIGN_ROWS,      /* vectors: .npy is the way */
    MPIVF_FOREIGN_NEIGHBOURS /* of queries: HDF5 is */
};

/*
 * Fail with what `path` is, a file or folder of none of the formats that are read, and the cure.
 * `object` is what was asked for in it, "" when nothing was. MPIVF_INPUT, or why it cannot be
 * opened. Local.
 */
mpivf_status
mpivf_foreign_refuse(struct mpivf_context *ctx, const char *path, const char *object,
                     enum mpivf_foreign_use use, const struct mpivf_format *const *format,
                     int formats);

#endif
