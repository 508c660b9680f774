/* matrix: rows of numbers in a file, whatever its format, and the formats that are read. */
#ifndef MPIVF_IO_MATRIX_H
#define MPIVF_IO_MATRIX_H

#include "io/file.h"

#include <mpivf/type.h>

#include <stdbool.h>
#include <stdint.h>

/* What a matrix is and where it lies. Plain data: copied between ranks. */
struct mpivf_matrix {
    enum mpivf_type type;
    uint64_t rows, dim;    /* dim is 1 for a list of numbers */
    uint64_t chunk_rows;   /* reads should begin at multiples of it; 0 = anywhere */
    uint64_t offset;       /* of the first row, when direct */
    bool swapped;          /* big endian */
    bool direct;           /* all rows lie one after the other in `file`, from the offset on */
    bool together;         /* can be read by all ranks together (MPI-IO) */
    char file[MPIVF_PATH]; /* that the rows lie in, when direct: where links have led */
};

/* How messages name a format, and how the names of its files end. */
struct mpivf_format {
    const char *title;     /* "an HDF5 file" */
    const char *ending[8]; /* NULL after the last */
};

/* Is called with the path of a file; not MPIVF_OK ends what calls it. */
typedef mpivf_status (*mpivf_visit_file)(struct mpivf_context *ctx, void *arg, const char *path);

#endif
