/* Rows one after the other from an offset of a file: .npy and contiguous HDF5. */
#include "source/backend.h"

struct mpivf_source_state {
    char path[MPIVF_PATH];
    struct mpivf_file file; /* owned */
    uint64_t offset;
    size_t row_bytes;
};

static void
flat_close_all(struct mpivf_source *source)
{
    struct mpivf_context *ctx = source->par->ctx;
    mpivf_file_drop(&source->state->file);
    mpivf_free(ctx, source->state);
}

static void
flat_ahead(struct mpivf_source *source, const struct mpivf_range *range, size_t ranges)
{
    const struct mpivf_source_state *state = source->state;
    for (size_t i = 0; i < ranges; i++)
        mpivf_file_ahead(&state->file, state->offset + range[i].row * state->row_bytes,
                         range[i].rows * state->row_bytes);
}

/* What a source becomes whose rows can be read at their offsets. */
static const struct mpivf_source_ops flat = {.name = "flat",
                                             .read_each = mpivf_source_flat_read_each,
                                             .close_all = flat_close_all,
                                             .ahead = flat_ahead};

mpivf_status
mpivf_source_flat_open_all(struct mpivf_source *source, struct mpivf_source_plan *plan)
{
    struct mpivf_context *ctx = source->par->ctx;
    struct mpivf_source_state *state = mpivf_alloc_zero(ctx, "a reader", 1, sizeof *state);
    mpivf_status status =
        state ? mpivf_path(ctx, state->path, "%s", plan->matrix.file) : MPIVF_MEMORY;
    if (state)
        state->file.fd = -1;
    if (status == MPIVF_OK) {
        state->offset = plan->matrix.offset;
        state->row_bytes = plan->matrix.dim * mpivf_type_size(plan->matrix.type);
        status = mpivf_file_open(ctx, state->path, &state->file);
    }
    source->ops = &flat;
    source->state = state;
    status = mpivf_agree_all(source->par, status);
    if (status && state)
        flat_close_all(source);
    if (status)
        source->state = NULL;
    return status;
}

mpivf_status
mpivf_source_flat_read_each(struct mpivf_source *source, const struct mpivf_range *range,
                            size_t ranges, void *raw)
{
    const struct mpivf_source_state *state = source->state;
    mpivf_status status = MPIVF_OK;
    for (size_t i = 0; i < ranges && status == MPIVF_OK; i++) {
        size_t bytes = range[i].rows * state->row_bytes;
        status = mpivf_file_read(source->par->ctx, &state->file, raw, bytes,
                                 state->offset + range[i].row * state->row_bytes);
        raw = (char *)raw + bytes;
    }
    return status;
}
