/*
 * hdf5: the only door to HDF5.
 *
 * Files of ours (index, shard, result) have contiguous datasets, allocated when created, whose
 * bytes are then read and written at their offsets without HDF5. Datasets of users are described
 * once, on one rank, with all that they stand on, and read as they lie: at the offset, in the file
 * that holds them, when that is possible, else by H5Dread with the serial driver or, collective,
 * MPI-IO.
 *
 * HDF5 is not thread safe here: one thread at a time. Errors carry HDF5's innermost message.
 */
#ifndef MPIVF_IO_HDF5_H
#define MPIVF_IO_HDF5_H

#include "io/matrix.h"

#include <mpivf/par.h>
#include <mpivf/range.h>

/* A dataset: asked for by name, described in the rest. */
struct mpivf_h5_dataset {
    const char *name;
    enum mpivf_type type;
    int dims;        /* 1 or 2 */
    uint64_t dim[2]; /* dim[1] is 1 for a 1-D dataset */
    uint64_t offset; /* of the first byte in the file; 0 for no bytes */
};

enum mpivf_h5_kind { MPIVF_H5_U64, MPIVF_H5_F64, MPIVF_H5_TEXT };

/*
 * A root attribute, `text` a buffer of 64. Text is variable-length UTF-8 in the file, as
 * ann-benchmarks has it; fixed-length when `sealed`, and then nothing else is read: HDF5 crashes on
 * damaged variable-length text, while fixed-length text lies under a checksum of its own.
 */
struct mpivf_h5_attribute {
    bool sealed;
    const char *name;
    enum mpivf_h5_kind kind;
    uint64_t number;
    double real;
    char text[64];
};

/*
 * Fill a new, empty file with these root attributes and datasets (contiguous, little endian,
 * allocated, not filled, aligned to 4096 bytes from that size on, without times) and fill in the
 * offsets. Equal arguments give equal bytes up to the datasets' content. Local.
 */
mpivf_status
mpivf_h5_create(struct mpivf_context *ctx, const struct mpivf_file *file,
                const struct mpivf_h5_attribute *attribute, int attributes,
                struct mpivf_h5_dataset *dataset, int datasets);

/*
 * Open one of our files and look up attributes and datasets by name. MPIVF_INPUT when one is
 * not there, MPIVF_CORRUPT when the file is damaged or a dataset is not contiguous little endian;
 * those before it are set then. Local.
 */
mpivf_status
mpivf_h5_describe(struct mpivf_context *ctx, const char *path, struct mpivf_h5_attribute *attribute,
                  int attributes, struct mpivf_h5_dataset *dataset, int datasets);

extern const struct mpivf_format mpivf_h5_format;

/* True when the file starts like an HDF5 file. Local. */
bool
mpivf_h5_is(const char *path);

/* The text of a root attribute, when there is such a string; false otherwise. Local. */
bool
mpivf_h5_text(const char *path, const char *name, char text[64]);

/*
 * A 1-D or 2-D dataset of numbers of any type and layout, read in runs of rows. Every number
 * becomes the 8 bytes of the type that holds all of its kind: MPIVF_I64, MPIVF_U64 or MPIVF_F64.
 */
struct mpivf_h5_table {
    const char *path, *object; /* not owned */
    enum mpivf_type type;
    uint64_t rows, columns; /* columns is 1 for a 1-D dataset */
    uint64_t size;          /* bytes of a number in the file */
    uint64_t largest;       /* number of its type, when that is unsigned; else 0 */
    uint64_t reading_bytes; /* of memory that reading takes, beside what is read */
};

/* Is there such an object, in a file that can be read? Local. */
bool
mpivf_h5_has(const char *path, const char *object);

/* Describe it. Local. */
mpivf_status
mpivf_h5_table_open(struct mpivf_context *ctx, const char *path, const char *object,
                    struct mpivf_h5_table *table);

/* Rows [first, first + n), n >= 1, into `data`, [n, columns] of 8 bytes each. Local. */
mpivf_status
mpivf_h5_table_read(struct mpivf_context *ctx, const struct mpivf_h5_table *table, uint64_t first,
                    uint64_t n, void *data);

/*
 * Call `visit` with every file that the dataset FILE:OBJECT stands on: FILE itself, the file a link
 * leads to, external raw data, the sources of a virtual dataset and what those stand on. A path may
 * come several times. MPIVF_INPUT when one is missing or too small. Local.
 */
mpivf_status
mpivf_h5_stands_on(struct mpivf_context *ctx, const char *path, const char *object,
                   mpivf_visit_file visit, void *arg);

/*
 * Where the rows of a dataset lie: pieces of other datasets, and rows that were never written.
 * Opaque; made by rank 0, broadcast to all. Memory: 96 bytes for each mapping of a virtual dataset,
 * and its names.
 */
struct mpivf_h5_layout;

/*
 * Describe FILE:OBJECT and all that it stands on; checks type, rank, that every filter is at hand,
 * that every file and source is there and as large as it has to be. Calls `visit`, unless that is
 * NULL, as mpivf_h5_stands_on does. *layout is the caller's to free. What a reader may not expect
 * is told in notes. Local.
 */
mpivf_status
mpivf_h5_matrix(struct mpivf_context *ctx, const char *path, const char *object,
                mpivf_visit_file visit, void *arg, struct mpivf_matrix *matrix,
                struct mpivf_h5_layout **layout);

/* Copy rank 0's layout to all. To be freed also after failure. Collective, agreed. */
mpivf_status
mpivf_h5_layout_bcast_all(const struct mpivf_par *par, struct mpivf_h5_layout **layout);

/* NULL inside is fine. Local. */
void
mpivf_h5_layout_free(struct mpivf_context *ctx, struct mpivf_h5_layout **layout);

/*
 * The rows of which a part was never written and reads as the fill value: chunks that do not exist,
 * rows that no source of a virtual dataset gives. Their number; `range` belongs to the layout.
 * Local.
 */
uint64_t
mpivf_h5_layout_unwritten_rows(const struct mpivf_h5_layout *layout,
                               const struct mpivf_range **range, size_t *ranges);

struct mpivf_h5_reader; /* an open dataset */

/*
 * Open a described dataset on every rank, with MPI-IO when `collective`. The layout, the same on
 * all ranks, stays the caller's and has to outlive the reader. All memory that reading takes,
 * HDF5's too, is taken here: MPIVF_MEMORY when the budget cannot give it. Release with
 * mpivf_h5_close_all. Collective, agreed.
 */
mpivf_status
mpivf_h5_open_all(const struct mpivf_par *par, const struct mpivf_matrix *matrix,
                  const struct mpivf_h5_layout *layout, bool collective,
                  struct mpivf_h5_reader **reader);

/*
 * Read ranges of rows, ascending and apart, one after the other into `data`, in the type and
 * byte order of the file. A chunk that has to be inflated whole is kept until another one is, so
 * that ascending reads inflate each once. Collective when opened so (of any number of ranges, 0
 * too), own status; else local.
 */
mpivf_status
mpivf_h5_read_each(struct mpivf_context *ctx, struct mpivf_h5_reader *reader,
                   const struct mpivf_range *range, size_t ranges, void *data);

/* NULL inside is fine. Collective, agreed, when opened so; else local. */
void
mpivf_h5_close_all(struct mpivf_context *ctx, struct mpivf_h5_reader **reader);

#endif
