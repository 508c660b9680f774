/* Datasets of HDF5 files: at their offset where they lie flat, by H5Dread otherwise. */
#include "source/backend.h"

#include <string.h>

struct mpivf_source_state {
    struct mpivf_h5_reader *reader; /* owned */
};

static mpivf_status
hdf5_describe(struct mpivf_context *ctx, struct mpivf_source_plan *plan)
{
    mpivf_status status = mpivf_h5_shape(ctx, plan->path, plan->object, &plan->shape);
    if (status)
        return status;
    if (plan->mode == MPIVF_READ_AUTO && !plan->shape.direct)
        plan->mode = MPIVF_READ_INDEPENDENT;
    if (plan->mode == MPIVF_READ_COLLECTIVE && !plan->shape.allocated) {
        /* a collective read of chunks that do not exist fails in HDF5 1.10 */
        plan->mode = MPIVF_READ_INDEPENDENT;
        mpivf_note(ctx, "'%s:%s' has chunks that were never written: reading independently",
                   plan->path, plan->object);
    }
    return MPIVF_OK;
}

static mpivf_status
hdf5_open_all(struct mpivf_source *source, const struct mpivf_source_plan *plan)
{
    if (plan->mode == MPIVF_READ_AUTO)
        return mpivf_source_flat_open_all(source, plan);
    struct mpivf_context *ctx = source->par->ctx;
    struct mpivf_source_state *state = mpivf_alloc_zero(ctx, "a reader", 1, sizeof *state);
    mpivf_status status = mpivf_agree_all(source->par, state ? MPIVF_OK : MPIVF_MEMORY);
    source->collective = plan->mode == MPIVF_READ_COLLECTIVE;
    if (status == MPIVF_OK)
        status = mpivf_h5_open_all(source->par, plan->path, plan->object, &plan->shape,
                                   source->collective, &state->reader);
    if (status)
        mpivf_free(ctx, state);
    else
        source->state = state;
    return status;
}

static mpivf_status
hdf5_read_all(struct mpivf_source *source, const struct mpivf_range *range, size_t ranges, void *raw)
{
    return mpivf_h5_read_all(source->par->ctx, source->state->reader, range, ranges, raw);
}

static void
hdf5_close_all(struct mpivf_source *source)
{
    struct mpivf_context *ctx = source->par->ctx;
    mpivf_h5_close_all(ctx, &source->state->reader);
    mpivf_free(ctx, source->state);
}

const struct mpivf_source_ops mpivf_source_hdf5 = {
    "hdf5", mpivf_h5_is, hdf5_describe, hdf5_open_all, hdf5_read_all, hdf5_close_all, NULL};
