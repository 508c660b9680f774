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

static void
lay_out(struct mpivf_reader *reader, struct mpivf_pool *pool, const struct mpivf_source *source,
        const struct mpivf_source *ids)
{
    size_t rows = reader->batch_rows;
    reader->aside = is_aside(source, ids);
    reader->after = mpivf_pool_take(pool, RANGES, sizeof *reader->after);
    for (int i = 0; i < (reader->aside ? 2 : 1); i++) {
        struct mpivf_batch *batch = &reader->batch[i];
        batch->row = mpivf_pool_take(pool, rows, raw_bytes(source, reader->f64));
        batch->lost =
            source->type == MPIVF_F64 ? mpivf_pool_take(pool, rows, sizeof *batch->lost) : NULL;
        batch->id = mpivf_pool_take(pool, rows, sizeof *batch->id);
        batch->range = mpivf_pool_take(pool, RANGES, sizeof *batch->range);
    }
}

size_t
mpivf_reader_bytes(const struct mpivf_source *source, const struct mpivf_source *ids, bool f64,
                   size_t batch_rows)
{
    struct mpivf_reader reader = {.batch_rows = batch_rows, .f64 = f64};
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(&reader, &pool, source, ids);
    return pool.bytes;
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
                                    .f64 = f64};
    reader->pool = mpivf_pool_taking(reader->ctx, "the read buffer");
    lay_out(reader, &reader->pool, source, ids);
    return mpivf_pool_status(&reader->pool);
}

void
mpivf_reader_clear(struct mpivf_reader *reader)
{
    if (reader->ctx == NULL)
        return;
    (void)mpivf_reader_wait(reader); /* whoever gives up has told why */
    mpivf_pool_clear(&reader->pool);
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
