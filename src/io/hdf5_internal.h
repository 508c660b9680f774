/*
 * hdf5_internal: what the files of src/io/hdf5* share, and nobody else sees.
 *
 *   hdf5_type       element types both ways
 *   hdf5_error      what HDF5 says of a failure, with a cure
 *   hdf5_open       FILE:OBJECT to an open dataset, with words for what is there instead
 *   hdf5_link       links on the way to an object, and where they lead
 *   hdf5_resolve    names of other files, as HDF5 looks for them
 *   hdf5            files of ours
 *   hdf5_describe   what a user's dataset is
 *   hdf5_survey     all that it stands on (hdf5_survey.h)
 *   hdf5_stored     what is not virtual, in the survey
 *   hdf5_virtual    the mappings of a virtual dataset
 *   hdf5_unwritten  rows that nobody wrote
 *   hdf5_layout     the table of where rows lie, and its way to all ranks
 *   hdf5_chunk      chunks to elements
 *   hdf5_read       rows from all of that (hdf5_reader.h)
 *   hdf5_slot       the leaves that are open, and their memory
 *   hdf5_together   reading by all ranks together
 */
#ifndef MPIVF_IO_HDF5_INTERNAL_H
#define MPIVF_IO_HDF5_INTERNAL_H

#include "io/file.h"
#include "io/hdf5.h"

#include <hdf5.h>

/* ---- hdf5_type ---- */

/* The type in a file; to be closed. Local. */
hid_t
mpivf_h5_type_of(enum mpivf_type type, bool big_endian);

/* Which of our types a file's type is; false when none. Local. */
bool
mpivf_h5_type_ours(hid_t type, enum mpivf_type *ours, bool *swapped);

/* "integers", "strings"... Local. */
const char *
mpivf_h5_type_class(hid_t type);

/* ---- hdf5_error ---- */

/* HDF5 prints nothing by itself; for each thread that uses it. Local. */
void
mpivf_h5_quiet(void);

/*
 * Fail with `what` (a sentence without its end) and the innermost words of HDF5's error stack, or
 * a cure where the cause is a known one. The next HDF5 call clears the stack: call this first, and
 * close what is open afterwards. MPIVF_CORRUPT instead of `status` when the file is damaged. Local.
 */
mpivf_status
mpivf_h5_fail(struct mpivf_context *ctx, mpivf_status status, const char *what, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- hdf5_open ---- */

/* Access lists for reading: caches that stay small. To be closed with H5Pclose. Local. */
hid_t
mpivf_h5_file_access(void);
hid_t
mpivf_h5_dataset_access(size_t chunk_cache);

/*
 * Open a file for reading by this process alone; a file of ours without HDF5's lock, which on a
 * network file system would meet the one that is held on it while it is written (io/output.h).
 * Local.
 */
mpivf_status
mpivf_h5_open_file(struct mpivf_context *ctx, const char *path, bool ours, hid_t *file);

/* Open a dataset; fails with what is there instead, or with where a link leads. Local. */
mpivf_status
mpivf_h5_open_object(struct mpivf_context *ctx, hid_t file, const char *path, const char *object,
                     hid_t *dataset);

/* The path of the file that holds an open object, which links may have led to. Local. */
mpivf_status
mpivf_h5_holder(struct mpivf_context *ctx, hid_t id, char path[MPIVF_PATH]);

/* ---- hdf5_contents ---- */

/*
 * Which datasets of numbers an open file has, in words, for one who asked for `object` and did not
 * find it; and which is meant, where only one could hold what "train" (rows) or "id" (ids) does.
 * Local.
 */
void
mpivf_h5_contents(hid_t file, const char *path, const char *object, char *text, size_t size);

/* ---- hdf5_link ---- */

/*
 * Positive when the path leads to an object, 0 when not or when it is MPIVF_PATH bytes long, which
 * no object has that is read; negative when the file is damaged. Local.
 */
htri_t
mpivf_h5_exists(hid_t file, const char *object);

/* The same as a failure that says which step is not there, or where a link leads. Local. */
mpivf_status
mpivf_h5_link_check(struct mpivf_context *ctx, hid_t file, const char *path, const char *object);

/* Call `visit` with each file that links lead to on the way to the object. Local. */
mpivf_status
mpivf_h5_link_files(struct mpivf_context *ctx, hid_t file, const char *path, const char *object,
                    mpivf_visit_file visit, void *arg);

/* ---- hdf5_resolve ---- */

enum mpivf_h5_reference { MPIVF_H5_VIRTUAL, MPIVF_H5_LINKED };

/*
 * The path of the HDF5 file that `name`, in a mapping or a link of `holder`, means. False when
 * there is none, and *why says why. Local.
 */
bool
mpivf_h5_resolve(const char *holder, enum mpivf_h5_reference kind, const char *name,
                 char path[MPIVF_PATH], const char **why);

/* The path of external raw data; MPIVF_INPUT when it is too long. Local. */
mpivf_status
mpivf_h5_resolve_raw(struct mpivf_context *ctx, const char *holder, const char *name,
                     char path[MPIVF_PATH]);

/* The name of block number `block` of a mapping: %b is that number, %% is %. Local. */
mpivf_status
mpivf_h5_resolve_block(struct mpivf_context *ctx, const char *pattern, uint64_t block,
                       char name[MPIVF_PATH]);

/* ---- hdf5_layout ---- */

/* A dataset that rows are read from. */
struct mpivf_h5_leaf {
    uint64_t path, object;              /* as HDF5 opens it; positions in the names */
    uint64_t holder;                    /* the file that has its bytes; likewise */
    uint64_t rows, columns;             /* a 1-D dataset that lies along a row has one row */
    uint64_t chunk_rows, chunk_columns; /* 0 = not in chunks */
    uint64_t offset;                    /* of the first row in the file, when direct */
    bool direct; /* rows lie at their offset in the holder, as they are wanted */
    bool whole;  /* chunks are read whole: filtered, or narrower than a row */
    bool filtered;
    bool lying; /* 1-D, along a row */
    bool flat;  /* 1-D */
};

/* A rectangle of a leaf. */
struct mpivf_h5_rectangle {
    uint64_t row, rows, column, columns;
};

enum { MPIVF_H5_NOWHERE = -1 }; /* the leaf of a piece that is fill value */

/* A rectangle of the dataset and where its elements are. Later pieces lie over earlier ones. */
struct mpivf_h5_piece {
    uint64_t row, rows, column, columns;
    uint64_t from_row, from_column; /* in the leaf */
    int64_t leaf;
    unsigned char fill[8]; /* an element as in the file, when nowhere */
};

/* Where the rows of a dataset lie. */
struct mpivf_h5_layout {
    uint64_t leaves, pieces, names, unwrittens; /* counts; names in bytes */
    uint64_t leaf_room, piece_room, name_room, unwritten_room;
    struct mpivf_h5_leaf *leaf; /* owned, and the next three */
    struct mpivf_h5_piece *piece;
    char *name;
    struct mpivf_range *unwritten; /* ascending and apart when described */
    bool ascending;                /* pieces, by their first and by their last row */
    uint64_t hidden_chunk;         /* bytes of the largest chunk behind what HDF5 puts together */
};

/* Sort what was gathered, once all of it is there. Local. */
void
mpivf_h5_layout_finish(struct mpivf_h5_layout *layout);

mpivf_status
mpivf_h5_layout_name(struct mpivf_context *ctx, struct mpivf_h5_layout *layout, const char *name,
                     uint64_t *at);
mpivf_status
mpivf_h5_layout_leaf(struct mpivf_context *ctx, struct mpivf_h5_layout *layout,
                     const struct mpivf_h5_leaf *leaf, int64_t *number);
mpivf_status
mpivf_h5_layout_piece(struct mpivf_context *ctx, struct mpivf_h5_layout *layout,
                      const struct mpivf_h5_piece *piece);
mpivf_status
mpivf_h5_layout_unwritten(struct mpivf_context *ctx, struct mpivf_h5_layout *layout, uint64_t row,
                          uint64_t rows);

/* Bytes of one chunk (clipped to the dataset) and of the chunks that a row lies in. Local. */
uint64_t
mpivf_h5_layout_chunk(const struct mpivf_h5_leaf *leaf, size_t element);
uint64_t
mpivf_h5_layout_band(const struct mpivf_h5_leaf *leaf, size_t element);

/* ---- hdf5_virtual ---- */

/*
 * A mapping of a virtual dataset: elements, and where they come from. A simple one is a box of
 * rows and columns here and there.
 */
struct mpivf_h5_mapping {
    char file[MPIVF_PATH], object[MPIVF_PATH]; /* as it is written there, %b replaced */
    int source_dims;                           /* 0 = whatever the source has */
    hsize_t min[2]; /* extents that the source has to have; of a simple one */
    bool simple;
    bool entire; /* all of the source, which has to be of this size: */
    hsize_t entire_size[2];
    bool growing; /* as many of the rows as the source has */
    bool lying;   /* the source is 1-D and lies along a row */
    hsize_t row, rows, column, columns, from_row, from_column; /* of a simple one */
    hid_t space;        /* not owned; selected: the elements here */
    hid_t source_space; /* not owned; selected: the elements there */
};

/*
 * Call `visit` with each mapping of a virtual dataset, block by block where names have a %b. The
 * first failure ends it. *simple tells, when not NULL, whether all are simple; `visit` may be NULL.
 * Local.
 */
mpivf_status
mpivf_h5_virtual_list(struct mpivf_context *ctx, hid_t dataset,
                      mpivf_status (*visit)(void *arg, const struct mpivf_h5_mapping *mapping),
                      void *arg, bool *simple);

/* ---- hdf5_unwritten ---- */

typedef mpivf_status (*mpivf_h5_visit_rows)(void *arg, uint64_t row, uint64_t rows);

/* Call `visit` with runs of rows of `part` of which a part lies in chunks never written. Local. */
mpivf_status
mpivf_h5_unwritten_chunks(struct mpivf_context *ctx, hid_t dataset,
                          const struct mpivf_h5_leaf *leaf, const struct mpivf_h5_rectangle *part,
                          mpivf_h5_visit_rows visit, void *arg);

/* What the mappings of a virtual dataset cover. */
struct mpivf_h5_cover {
    hid_t space; /* owned; selected: what is covered */
    hsize_t rows, columns;
};

/* Begin with nothing; add the rectangle of a mapping. Local. */
void
mpivf_h5_cover_begin(struct mpivf_h5_cover *cover, hid_t dataset);
mpivf_status
mpivf_h5_cover_add(struct mpivf_context *ctx, struct mpivf_h5_cover *cover,
                   const struct mpivf_h5_mapping *mapping);

/* Call `visit` with runs of rows of which a part is not covered; *holes: are there any? Local. */
mpivf_status
mpivf_h5_cover_holes(struct mpivf_context *ctx, const struct mpivf_h5_cover *cover,
                     mpivf_h5_visit_rows visit, void *arg, bool *holes);
void
mpivf_h5_cover_end(struct mpivf_h5_cover *cover);

/* ---- hdf5_chunk ---- */

/* An open leaf and how its elements are wanted. */
struct mpivf_h5_open {
    const struct mpivf_h5_leaf *leaf;
    hid_t dataset, type, transfer; /* not owned */
    size_t element;                /* bytes of one in memory */
};

/*
 * Rows and columns that one transfer takes at most, `rows` whole chunks where there are any: few
 * enough chunks for the memory that HDF5 spends on each. Local.
 */
void
mpivf_h5_chunk_step(const struct mpivf_h5_leaf *leaf, size_t element, uint64_t *rows,
                    uint64_t *columns);

/* Bytes that HDF5 takes itself for transfers from such a leaf. Local. */
uint64_t
mpivf_h5_chunk_memory(const struct mpivf_h5_leaf *leaf, size_t element);

/* Bytes that reading such a layout takes, beside what is read. Local. */
uint64_t
mpivf_h5_reading_bytes(const struct mpivf_h5_layout *layout, size_t element);

/* Bytes of chunks that HDF5 has to keep for transfers of whole chunks. Local. */
size_t
mpivf_h5_chunk_cache(const struct mpivf_h5_leaf *leaf, size_t element);

/*
 * One transfer into rows that are `stride` elements apart; NULL takes part in a collective one
 * without an element. Negative on failure, with HDF5's error at hand. Collective, own status, in
 * files opened by all ranks; else local.
 */
herr_t
mpivf_h5_chunk_transfer(const struct mpivf_h5_open *open, const struct mpivf_h5_rectangle *part,
                        void *data, uint64_t stride);

/* ---- hdf5_read ---- */

/* Read rows of a described dataset as elements of `type`, by this process alone. Local. */
mpivf_status
mpivf_h5_read_local(struct mpivf_context *ctx, const struct mpivf_h5_layout *layout, hid_t type,
                    uint64_t columns, struct mpivf_range rows, void *data);

#endif
