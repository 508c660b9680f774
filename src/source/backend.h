/*
 * backend: what a kind of file has to offer to be a source.
 *
 * A backend is chosen and asked to describe the file on rank 0 alone; the description is plain
 * data, copied to all ranks, which then open. To add a format: write these functions and put
 * the struct into the table in source.c; messages and the splitting of FILE:OBJECT go by the table.
 */
#ifndef MPIVF_SOURCE_BACKEND_H
#define MPIVF_SOURCE_BACKEND_H

#include "io/matrix.h"

#include <mpivf/source.h>

/* Plain data, the same on all ranks. */
struct mpivf_source_plan {
    int ops; /* position in the table of backends */
    char path[MPIVF_PATH], object[MPIVF_OBJECT];
    struct mpivf_matrix matrix;
    struct mpivf_reading reading;
    void *more; /* what else the backend found out; on rank 0 only, until it is opened */
};

struct mpivf_source_ops {
    const char *name;
    const struct mpivf_format *format;
    bool objects; /* a file has several matrices, by name: FILE:OBJECT */

    /* Is `path` a file of this kind? Local, rank 0. */
    bool (*is)(const char *path);

    /*
     * Fill plan->matrix from plan->path and plan->object ("" = none given), and call `visit` with
     * each file beside plan->path that the rows lie in. Local, rank 0.
     */
    mpivf_status (*describe)(struct mpivf_context *ctx, struct mpivf_source_plan *plan,
                             mpivf_visit_file visit, void *arg);

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

    /* Release plan->more; NULL = it is never set. Local. */
    void (*forget)(struct mpivf_context *ctx, struct mpivf_source_plan *plan);

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
