/*
 * hdf5_survey: what is gathered about a dataset, from it and from all that it stands on.
 *
 * A virtual dataset is followed to its sources, and they to theirs. Whatever is missing or too
 * small ends the survey with its name; the rest becomes the table of where rows lie.
 */
#ifndef MPIVF_IO_HDF5_SURVEY_H
#define MPIVF_IO_HDF5_SURVEY_H

#include "io/hdf5_internal.h"

struct mpivf_h5_survey {
    struct mpivf_context *ctx;
    mpivf_visit_file visit; /* each file; may be NULL */
    void *arg;
    struct mpivf_h5_layout *layout; /* not owned; to be filled */
    hid_t type;                     /* not owned; of the elements wanted */
    bool unwritten;                 /* look for chunks that were never written, one by one */
};

/* An open dataset on the way down. */
struct mpivf_h5_level {
    struct mpivf_h5_survey *survey;
    const struct mpivf_h5_level *above;
    int depth;
    const char *path, *object; /* as they were asked for */
    char holder[MPIVF_PATH];   /* the file it is in */
    hid_t root, id;            /* not owned; the file that was opened, and the dataset */
    unsigned long file;        /* with the address: which dataset it is */
    haddr_t address;
    const struct mpivf_h5_rectangle *want; /* of this dataset; NULL: only a look at all of it */
    uint64_t to_row, to_column;            /* where that goes */
    bool lying;                            /* 1-D, along a row of what it is for */
    struct mpivf_h5_cover cover;           /* of a virtual one */
    char last_path[MPIVF_PATH];            /* the source file that is open */
    hid_t last;
    bool surprised; /* a source has another shape than was to be expected */
};

/* Look at an open dataset and all that it stands on. Local. */
mpivf_status
mpivf_h5_survey_whole(struct mpivf_h5_survey *survey, hid_t file, const char *path,
                      const char *object, hid_t id, const struct mpivf_h5_rectangle *want);

/* ---- hdf5_stored ---- */

/* Look at a dataset that is not virtual. Local. */
mpivf_status
mpivf_h5_stored_survey(struct mpivf_h5_level *level, hid_t create);

/* What is wanted of a dataset is read from it as it is. Local. */
mpivf_status
mpivf_h5_stored_add(struct mpivf_h5_level *level, hid_t create);

/* Rows of the dataset that nobody wrote, as far as they are wanted. Local. */
mpivf_status
mpivf_h5_stored_unwritten(void *level, uint64_t row, uint64_t rows);

#endif
