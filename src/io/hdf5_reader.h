/*
 * hdf5_reader: an open dataset, for the files that read from it.
 *
 * Leaves are opened when they are needed, a few at a time, each in a slot with room for the chunks
 * that a row lies in. All memory is taken when the reader is made.
 */
#ifndef MPIVF_IO_HDF5_READER_H
#define MPIVF_IO_HDF5_READER_H

#include "io/hdf5_internal.h"

enum { MPIVF_H5_SLOTS = 8 }; /* leaves that are open at a time, at most */

/* A leaf that is open. */
struct mpivf_h5_slot {
    struct mpivf_h5_open open; /* leaf NULL: nothing is */
    hid_t file, dataset;       /* owned; -1 = not open */
    struct mpivf_file raw;     /* owned; of a direct one */
    char *band;                /* owned; room for the chunks that a row lies in, or NULL */
    uint64_t band_row;         /* the first row of those at hand; UINT64_MAX = none */
    uint64_t used;             /* when */
};

struct mpivf_h5_reader {
    struct mpivf_context *ctx;   /* not owned, and so are the next two */
    const struct mpivf_par *par; /* NULL unless collective */
    const struct mpivf_h5_layout *layout;
    uint64_t columns;
    size_t element;
    hid_t type, transfer; /* owned */
    size_t reserved;      /* of the budget, for HDF5's own memory */
    uint64_t clock;
    int slots;
    struct mpivf_h5_slot slot[MPIVF_H5_SLOTS];
};

/* ---- hdf5_slot ---- */

/* Take the memory of all slots and count what HDF5 takes itself. MPIVF_MEMORY. Local. */
mpivf_status
mpivf_h5_slot_memory(struct mpivf_h5_reader *reader);

/* Close what is open in a slot. Local. */
void
mpivf_h5_slot_close(struct mpivf_h5_slot *slot);

/* Open a leaf in a slot: its bytes, and by HDF5. Local. */
mpivf_status
mpivf_h5_slot_open(struct mpivf_h5_reader *reader, struct mpivf_h5_slot *slot,
                   const struct mpivf_h5_leaf *leaf);

/* The slot of a leaf, which is opened when it is not; the one longest unused gives way. Local. */
mpivf_status
mpivf_h5_slot_find(struct mpivf_h5_reader *reader, int64_t leaf, struct mpivf_h5_slot **found);

/* Fail with HDF5's error and the rows that cannot be read. Local. */
mpivf_status
mpivf_h5_slot_fail(struct mpivf_h5_reader *reader, const struct mpivf_h5_slot *slot,
                   const struct mpivf_h5_rectangle *part);

/* ---- hdf5_together ---- */

/*
 * Read by all ranks together: all do as many transfers as the one that has most. Collective, own
 * status.
 */
mpivf_status
mpivf_h5_together_read_each(struct mpivf_h5_reader *reader, const struct mpivf_range *range,
                            size_t ranges, char *data);

#endif
