/*
 * backend: what a kind of file has to offer to be a source.
 *
 * A backend is chosen and asked to describe the file on rank 0 alone; the description is plain
 * data, copied to all ranks, which then open. To add a format: write these functions and put
 * the struct into the table in source.c.
 */
#ifndef MPIVF_SOURCE_BACKEND_H
#define MPIVF_SOURCE_BACKEND_H

#include "io/file.h"
#include "io/hdf5.h"

#include <mpivf/source.h>

/* Plain data, the same on all ranks. */
struct mpivf_source_plan {
    int ops; /* position in the table of backends */
    char path[MPIVF_PATH], object[MPIVF_OBJECT];
    struct mpivf_h5_shape shape;    /* of any format: a matrix is a matrix */
    struct mpivf_h5_layout *layout; /* owned; of HDF5, and on rank 0 only until it is opened */
    struct mpivf_reading reading;
};

struct mpivf_source_ops {
    const char *name;

    /* Is `path` a file of this kind? Local, rank 0. */
    bool (*is)(const char *path);

    /*
     * Fill plan->shape from plan->path and plan->object ("" = none given), and call `visit` with
     * each file beside plan->path that the rows lie in. Local, rank 0.
     */
    mpivf_status (*describe)(struct mpivf_context *ctx, struct mpivf_source_plan *plan,
                             mpivf_h5_visit_file visit, void *arg);

    /*
     * Open on every rank, setting source->state on success; may take from the plan. Collective,
     * agreed.
     */
    mpivf_status (*open_all)(struct mpivf_source *source, struct mpivf_source_plan *plan);

    /* Raw elements of ascending ranges, one after the other. Collective, own status. */
    mpivf_status (*read_each)(struct mpivf_source *source, const struct mpivf_range *range,
                              size_t ranges, void *raw);

    /* Release source->state. Collective, agreed. */
    void (*close_all)(struct mpivf_source *source);

    /* As mpivf_source_ahead; NULL = cannot. Local. */
    void (*ahead)(struct mpivf_source *source, const struct mpivf_range *range, size_t ranges);
};

extern const struct mpivf_source_ops mpivf_source_npy, mpivf_source_hdf5;

/*
 * Two functions for every format whose rows lie one after the other in a file. Collective, agreed;
 * and collective, own status.
 */
mpivf_status
mpivf_source_flat_open_all(struct mpivf_source *source, struct mpivf_source_plan *plan);
mpivf_status
mpivf_source_flat_read_each(struct mpivf_source *source, const struct mpivf_range *range,
                            size_t ranges, void *raw);

#endif
