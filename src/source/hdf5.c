/* Datasets of HDF5 files: at their offset where they lie flat, piece by piece otherwise. */
#include "base/then.h"
#include "io/hdf5.h"
#include "source/backend.h"

#include <string.h>

struct mpivf_source_state {
    struct mpivf_h5_reader *reader; /* owned */
    struct mpivf_h5_layout *layout; /* owned */
};

/* Rows that nobody wrote are told once. */
static void
note_unwritten(struct mpivf_context *ctx, const struct mpivf_source_plan *plan)
{
    const struct mpivf_range *range;
    size_t ranges;
    uint64_t rows = mpivf_h5_layout_unwritten_rows(plan->more, &range, &ranges);
    if (rows > 0)
        mpivf_note(ctx, "%llu of %llu rows of '%s:%s' were never written in full and %s",
                   (unsigned long long)rows, (unsigned long long)plan->matrix.rows, plan->path,
                   plan->object,
                   plan->reading.unwritten_is_bad
                       ? "count as bad rows"
                       : "read as the fill value; --unwritten bad makes them bad rows");
}

static mpivf_status
hdf5_describe(struct mpivf_context *ctx, struct mpivf_source_plan *plan, mpivf_visit_file visit,
              void *arg)
{
    struct mpivf_h5_layout *layout = NULL;
    mpivf_status status =
        mpivf_h5_matrix(ctx, plan->path, plan->object, visit, arg, &plan->matrix, &layout);
    plan->more = layout;
    if (status)
        return status;
    note_unwritten(ctx, plan);
    enum mpivf_read_mode *mode = &plan->reading.mode;
    if (*mode == MPIVF_READ_AUTO && !plan->matrix.direct)
        *mode = MPIVF_READ_INDEPENDENT;
    if (*mode == MPIVF_READ_COLLECTIVE && !plan->matrix.together) {
        *mode = MPIVF_READ_INDEPENDENT;
        mpivf_note(ctx,
                   "'%s:%s' cannot be read by all ranks together (compressed or narrow chunks, "
                   "parts never written or in other files): reading independently",
                   plan->path, plan->object);
    }
    return MPIVF_OK;
}

static mpivf_status
hdf5_open_all(struct mpivf_source *source, struct mpivf_source_plan *plan)
{
    if (plan->reading.mode == MPIVF_READ_AUTO)
        return mpivf_source_flat_open_all(source, plan);
    const struct mpivf_par *par = source->par;
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_source_state *state = mpivf_alloc_zero(ctx, "a reader", 1, sizeof *state);
    mpivf_status status = mpivf_agree_all(par, state ? MPIVF_OK : MPIVF_MEMORY);
    source->collective = plan->reading.mode == MPIVF_READ_COLLECTIVE;
    struct mpivf_h5_layout *layout = plan->more;
    THEN(status, mpivf_h5_layout_bcast_all(par, &layout));
    plan->more = layout;
    THEN(status, mpivf_h5_open_all(par, &plan->matrix, layout, source->collective, &state->reader));
    if (status) {
        mpivf_free(ctx, state);
        return status;
    }
    source->state = state;
    state->layout = layout;
    plan->more = NULL;
    if (plan->reading.unwritten_is_bad)
        mpivf_h5_layout_unwritten_rows(state->layout, &source->unwritten,
                                       &source->unwritten_ranges);
    return MPIVF_OK;
}

static mpivf_status
hdf5_read_each(struct mpivf_source *source, const struct mpivf_range *range, size_t ranges,
               void *raw)
{
    return mpivf_h5_read_each(source->par->ctx, source->state->reader, range, ranges, raw);
}

static void
hdf5_close_all(struct mpivf_source *source)
{
    struct mpivf_context *ctx = source->par->ctx;
    mpivf_h5_close_all(ctx, &source->state->reader);
    mpivf_h5_layout_free(ctx, &source->state->layout);
    mpivf_free(ctx, source->state);
    source->unwritten = NULL;
    source->unwritten_ranges = 0;
}

static void
hdf5_forget(struct mpivf_context *ctx, struct mpivf_source_plan *plan)
{
    struct mpivf_h5_layout *layout = plan->more;
    mpivf_h5_layout_free(ctx, &layout);
    plan->more = NULL;
}

const struct mpivf_source_ops mpivf_source_hdf5 = {.name = "hdf5",
                                                   .format = &mpivf_h5_format,
                                                   .objects = true,
                                                   .forget = hdf5_forget,
                                                   .is = mpivf_h5_is,
                                                   .describe = hdf5_describe,
                                                   .open_all = hdf5_open_all,
                                                   .read_each = hdf5_read_each,
                                                   .close_all = hdf5_close_all};
