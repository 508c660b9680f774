#include <mpivf/shuffle.h>

#include "base/then.h"
#include "io/hdf5.h"
#include "io/output.h"
#include "par/root.h"
#include "source/order.h"
#include "source/scatter.h"

#include <string.h>

void
mpivf_shuffle_options_init(struct mpivf_shuffle_options *options)
{
    *options = (struct mpivf_shuffle_options){.seed = 1};
}

/* A shuffle from end to end. */
struct shuffle {
    struct mpivf_shuffling s;
    struct mpivf_source source;
    const struct mpivf_shuffle_options *options;
    const char *input;
    struct mpivf_output *output; /* not owned */
    char name[MPIVF_OBJECT];
};

/* The last part of the dataset's path, unless it is none or that of the ids. */
static void
name_rows(const char *object, char name[MPIVF_OBJECT])
{
    size_t end = strlen(object);
    while (end > 0 && object[end - 1] == '/')
        end--;
    size_t first = end;
    while (first > 0 && object[first - 1] != '/')
        first--;
    memcpy(name, object + first, end - first);
    name[end - first] = '\0';
    if (end == first || strcmp(name, ".") == 0 || strcmp(name, "id") == 0)
        strcpy(name, "train");
}

/* Rank 0: an empty output with room for all, and where its datasets begin. */
static mpivf_status
create(struct shuffle *x, uint64_t offset[2])
{
    const struct mpivf_source *source = &x->source;
    uint64_t rows = source->rows, dim = source->dim;
    struct mpivf_h5_attribute attribute[] = {
        {.name = "type", .kind = MPIVF_H5_TEXT, .text = "dense"},
        {.name = "dimension", .kind = MPIVF_H5_U64, .number = dim},
        {.name = "seed", .kind = MPIVF_H5_U64, .number = x->options->seed},
        {.name = "source_fingerprint", .kind = MPIVF_H5_U64, .number = source->fingerprint},
    };
    struct mpivf_h5_dataset dataset[] = {{x->name, source->type, 2, {rows, dim}, 0},
                                         {"id", MPIVF_I64, 1, {rows, 1}, 0}};
    uint64_t row_bytes = dim * mpivf_type_size(source->type);
    struct mpivf_context *ctx = x->s.par->ctx;
    mpivf_status status =
        mpivf_output_space(ctx, x->output, rows * (row_bytes + sizeof(int64_t)), "the file");
    THEN(status, mpivf_h5_create(ctx, &x->output->file, attribute, 4, dataset, 2));
    offset[0] = dataset[0].offset;
    offset[1] = dataset[1].offset;
    return status;
}

/* Look at all that can be looked at before any work; then make the file. */
static mpivf_status
begin_all(struct shuffle *x)
{
    struct mpivf_shuffling *s = &x->s;
    const struct mpivf_par *par = s->par;
    struct mpivf_source *source = &x->source;
    mpivf_memory_credit(par->ctx);
    mpivf_status status =
        mpivf_source_open_all(source, par, x->input, "train", x->options->reading);
    if (status) {
        mpivf_memory_settle(par->ctx);
        return status;
    }
    /* the same cut everywhere, for the rank that has least */
    size_t left = mpivf_min_u64_all(par, mpivf_memory_left(par->ctx));
    name_rows(source->object, x->name);
    status = mpivf_bucket_plan(par->ctx, source->rows, source->dim * mpivf_type_size(source->type),
                               left, par->size, &s->buckets);
    status = mpivf_agree_all(par, status);
    mpivf_memory_settle(par->ctx);
    uint64_t offset[2] = {0, 0};
    THEN(status, ROOT_ALL(par, create(x, offset)));
    mpivf_bcast_all(par, offset, sizeof offset);
    s->row_offset = offset[0];
    s->id_offset = offset[1];
    mpivf_random_order_init(&s->order, x->options->seed, MPIVF_FOR_SHUFFLE, source->rows);
    THEN(status, mpivf_agree_all(par, mpivf_file_update(par->ctx, x->output->partial, &s->file)));
    return status;
}

static mpivf_status
scatter_all(struct shuffle *x, struct mpivf_report *report)
{
    struct mpivf_progress progress;
    mpivf_phase_begin(&progress, x->s.par, report, "scatter", "rows", x->source.rows);
    mpivf_status status = mpivf_scatter_all(&x->s, &x->source, &progress);
    THEN(status, mpivf_source_unchanged_all(&x->source));
    mpivf_phase_end(&progress);
    return status;
}

/* Another node sees what this one wrote once it is on the disk and the file is opened anew. */
static mpivf_status
reopen_all(struct shuffle *x)
{
    const struct mpivf_par *par = x->s.par;
    struct mpivf_file *file = &x->s.file;
    if (par->node_size == par->size)
        return MPIVF_OK;
    mpivf_status status = mpivf_file_sync(par->ctx, file);
    mpivf_status closed = mpivf_file_close(par->ctx, file);
    status = mpivf_agree_all(par, status ? status : closed);
    THEN(status, mpivf_agree_all(par, mpivf_file_update(par->ctx, x->output->partial, file)));
    return status;
}

static mpivf_status
order_all(struct shuffle *x, struct mpivf_report *report)
{
    const struct mpivf_par *par = x->s.par;
    struct mpivf_progress progress;
    mpivf_phase_begin(&progress, par, report, "order", "rows", x->s.buckets.total);
    mpivf_status status = mpivf_order_all(&x->s, &progress);
    THEN(status, mpivf_agree_all(par, mpivf_file_sync(par->ctx, &x->s.file)));
    mpivf_phase_end(&progress);
    return status;
}

/* Close; the file gets its name when all is well. */
static mpivf_status
end_all(struct shuffle *x, mpivf_status status)
{
    const struct mpivf_par *par = x->s.par;
    mpivf_status closed = mpivf_file_close(par->ctx, &x->s.file);
    status = mpivf_agree_all(par, status ? status : closed);
    if (status == MPIVF_OK && par->rank == 0)
        status = mpivf_output_commit(par->ctx, x->output);
    return mpivf_agree_all(par, status);
}

mpivf_status
mpivf_shuffle_all(const struct mpivf_par *par, const char *input, struct mpivf_output *output,
                  const struct mpivf_shuffle_options *options, struct mpivf_report *report,
                  struct mpivf_shuffle_summary *summary)
{
    struct shuffle x = {.s = {.par = par, .file = {.fd = -1}},
                        .options = options,
                        .input = input,
                        .output = output};
    mpivf_status status = begin_all(&x);
    THEN(status, scatter_all(&x, report));
    mpivf_source_close_all(&x.source); /* what it holds of the budget is for the second pass */
    THEN(status, reopen_all(&x));
    THEN(status, order_all(&x, report));
    status = end_all(&x, status);
    if (status == MPIVF_OK) {
        *summary = (struct mpivf_shuffle_summary){.rows = x.source.rows,
                                                  .dim = x.source.dim,
                                                  .buckets = x.s.buckets.count,
                                                  .type = x.source.type};
        memcpy(summary->name, x.name, sizeof summary->name);
    }
    return status;
}
