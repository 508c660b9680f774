#include "source/reader.h"

#include "source/decode.h"

#include <string.h>

enum { RANGES = 1024 }; /* of a batch, at most */

/* Is such a source read ahead? Then a row takes twice the room. */
static bool
is_aside(const struct mpivf_source *source, const struct mpivf_source *ids)
{
    return source->par->aside && !source->collective && !(ids && ids->collective);
}

static size_t
raw_bytes(const struct mpivf_source *source, bool f64)
{
    return f64 ? source->dim * sizeof(double) : mpivf_source_row_bytes(source);
}

size_t
mpivf_reader_row_bytes(const struct mpivf_source *source, const struct mpivf_source *ids, bool f64)
{
    size_t row = raw_bytes(source, f64) + sizeof(int64_t);
    row += source->type == MPIVF_F64 ? sizeof(double) : 0;
    return is_aside(source, ids) ? 2 * row : row;
}

size_t
mpivf_reader_fixed_bytes(void)
{
    return 3 * RANGES * sizeof(struct mpivf_range) + 4096;
}

static mpivf_status
batch_init(struct mpivf_reader *reader, struct mpivf_batch *batch)
{
    static const char what[] = "the read buffer";
    struct mpivf_context *ctx = reader->ctx;
    bool lossy = reader->source->type == MPIVF_F64;
    batch->row = mpivf_alloc(ctx, what, reader->batch_rows, raw_bytes(reader->source, reader->f64));
    batch->lost = lossy ? mpivf_alloc(ctx, what, reader->batch_rows, sizeof *batch->lost) : NULL;
    batch->id = mpivf_alloc(ctx, what, reader->batch_rows, sizeof *batch->id);
    batch->range = mpivf_alloc(ctx, what, RANGES, sizeof *batch->range);
    return batch->row && batch->id && batch->range && (batch->lost || !lossy) ? MPIVF_OK
                                                                              : MPIVF_MEMORY;
}

mpivf_status
mpivf_reader_init(struct mpivf_reader *reader, struct mpivf_source *source,
                  struct mpivf_source *ids, struct mpivf_slab *slab, size_t batch_rows, bool f64)
{
    *reader = (struct mpivf_reader){.ctx = source->par->ctx,
                                    .source = source,
                                    .ids = ids,
                                    .slab = slab,
                                    .batch_rows = batch_rows,
                                    .f64 = f64,
                                    .aside = is_aside(source, ids)};
    reader->after = mpivf_alloc(reader->ctx, "ranges", RANGES, sizeof *reader->after);
    mpivf_status status = reader->after ? MPIVF_OK : MPIVF_MEMORY;
    for (int i = 0; i < (reader->aside ? 2 : 1) && status == MPIVF_OK; i++)
        status = batch_init(reader, &reader->batch[i]);
    return status;
}

void
mpivf_reader_clear(struct mpivf_reader *reader)
{
    struct mpivf_context *ctx = reader->ctx;
    if (ctx == NULL)
        return;
    (void)mpivf_reader_wait(reader); /* whoever gives up has told why */
    for (int i = 0; i < 2; i++) {
        mpivf_free(ctx, reader->batch[i].row);
        mpivf_free(ctx, reader->batch[i].lost);
        mpivf_free(ctx, reader->batch[i].id);
        mpivf_free(ctx, reader->batch[i].range);
    }
    mpivf_free(ctx, reader->after);
    memset(reader, 0, sizeof *reader);
}

/* What to read, and what the disk may fetch behind that. */
static void
take(struct mpivf_reader *reader, struct mpivf_batch *batch)
{
    batch->ranges =
        mpivf_slab_next(reader->slab, reader->batch_rows, batch->range, RANGES, &batch->rows);
    reader->afters = mpivf_slab_peek(reader->slab, reader->batch_rows, reader->after, RANGES);
}

static mpivf_status
read_rows_each(struct mpivf_reader *reader, struct mpivf_batch *batch)
{
    struct mpivf_source *source = reader->source;
    if (reader->f64)
        return mpivf_source_read_f64_each(source, batch->range, batch->ranges,
                                          (double *)(void *)batch->row);
    if (batch->lost)
        return mpivf_source_read_measured_each(source, batch->range, batch->ranges, batch->row,
                                               batch->lost);
    return mpivf_source_read_each(source, batch->range, batch->ranges, batch->row);
}

static mpivf_status
read_each(struct mpivf_reader *reader, struct mpivf_batch *batch)
{
    mpivf_status status = read_rows_each(reader, batch);
    mpivf_source_ahead(reader->source, reader->after, reader->afters);
    if (reader->ids == NULL) {
        mpivf_slab_rows(batch->range, batch->ranges, (uint64_t *)batch->id);
        return status;
    }
    mpivf_status ids =
        mpivf_source_read_ids_each(reader->ids, batch->range, batch->ranges, batch->id);
    return status ? status : ids;
}

static void *
read_aside(void *arg)
{
    struct mpivf_reader *reader = arg;
    reader->status = read_each(reader, &reader->batch[1]);
    return NULL;
}

mpivf_status
mpivf_reader_next_each(struct mpivf_reader *reader, struct mpivf_batch **batch)
{
    mpivf_status status = mpivf_reader_wait(reader);
    *batch = &reader->batch[0];
    if (reader->ready) {
        struct mpivf_batch done = reader->batch[0];
        reader->batch[0] = reader->batch[1];
        reader->batch[1] = done;
        reader->ready = false;
        return status;
    }
    take(reader, *batch);
    return read_each(reader, *batch);
}

void
mpivf_reader_narrow(struct mpivf_reader *reader)
{
    struct mpivf_batch *batch = &reader->batch[0];
    const double *wide = (const double *)(const void *)batch->row;
    mpivf_decode_narrow(wide, batch->rows, reader->source->dim, batch->row, batch->lost);
}

void
mpivf_reader_ahead(struct mpivf_reader *reader)
{
    if (!reader->aside || reader->ready || !mpivf_reader_more(reader))
        return;
    take(reader, &reader->batch[1]);
    reader->ready = true;
    reader->running = pthread_create(&reader->thread, NULL, read_aside, reader) == 0;
    if (!reader->running) /* then without */
        read_aside(reader);
}

mpivf_status
mpivf_reader_wait(struct mpivf_reader *reader)
{
    if (reader->running)
        pthread_join(reader->thread, NULL);
    reader->running = false;
    return reader->ready ? reader->status : MPIVF_OK;
}

bool
mpivf_reader_more(const struct mpivf_reader *reader)
{
    return reader->ready || reader->slab->next < reader->slab->pieces;
}
