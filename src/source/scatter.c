#include "source/scatter.h"

#include "base/then.h"
#include "source/decode.h"

#include <string.h>

enum { FEW = 1024, BLOCK = 256 }; /* rows not worth a second thread; rows of a step of one */

/* Records of one kind on their way: a buffer for each bucket, and where it will be written. */
struct lane {
    size_t bytes, slots; /* of a record; of a buffer */
    uint64_t offset;     /* of the dataset */
    char *buffer;        /* owned, [buckets, slots] records */
    int64_t *next;       /* owned, [buckets]: the place of the first record in the buffer */
    uint32_t *fill;      /* owned, [buckets] */
};

struct scattering {
    const struct mpivf_shuffling *s;
    struct mpivf_source *source;
    struct mpivf_range left; /* what this rank has to read yet */
    size_t batch_rows;
    char *row;        /* owned, [batch_rows] */
    uint32_t *bucket; /* owned, [batch_rows] */
    struct lane rows, ids;
    uint64_t bytes_written;
};

/* ---- lanes ---- */

static bool
lane_init(struct mpivf_context *ctx, struct lane *lane, uint64_t buckets)
{
    lane->buffer = mpivf_alloc(ctx, "buffers to shuffle", buckets * lane->slots, lane->bytes);
    lane->fill = mpivf_alloc_zero(ctx, "buffers to shuffle", buckets, sizeof *lane->fill);
    return lane->buffer && lane->fill;
}

static void
lane_clear(struct mpivf_context *ctx, struct lane *lane)
{
    mpivf_free(ctx, lane->buffer);
    mpivf_free(ctx, lane->next);
    mpivf_free(ctx, lane->fill);
}

static mpivf_status
flush(struct scattering *w, struct lane *lane, uint64_t bucket)
{
    size_t bytes = lane->fill[bucket] * lane->bytes;
    uint64_t at = lane->offset + (uint64_t)lane->next[bucket] * lane->bytes;
    lane->next[bucket] += lane->fill[bucket];
    lane->fill[bucket] = 0;
    w->bytes_written += bytes;
    return mpivf_file_write(w->s->par->ctx, &w->s->file,
                            lane->buffer + bucket * lane->slots * lane->bytes, bytes, at);
}

static mpivf_status
put(struct scattering *w, struct lane *lane, uint64_t bucket, const void *record)
{
    uint64_t slot = bucket * lane->slots + lane->fill[bucket]++;
    memcpy(lane->buffer + slot * lane->bytes, record, lane->bytes);
    return lane->fill[bucket] == lane->slots ? flush(w, lane, bucket) : MPIVF_OK;
}

/* ---- where rows go ---- */

/* The bucket of each row of the next batch. */
static void
find_buckets(struct scattering *w, uint64_t row, uint64_t rows)
{
    const struct mpivf_shuffling *s = w->s;
#pragma omp parallel for num_threads(s->par->ctx->threads) if (rows > FEW)
    for (uint64_t first = 0; first < rows; first += BLOCK) {
        uint64_t place[BLOCK], n = rows - first < BLOCK ? rows - first : BLOCK;
        for (uint64_t i = 0; i < n; i++)
            place[i] = row + first + i;
        mpivf_random_order_places(&s->order, place, n);
        for (uint64_t i = 0; i < n; i++)
            w->bucket[first + i] = (uint32_t)(place[i] / s->buckets.rows);
    }
}

static void
count_rows(struct scattering *w, int64_t *count)
{
    struct mpivf_range left = w->left;
    while (left.rows > 0) {
        uint64_t rows = left.rows < w->batch_rows ? left.rows : w->batch_rows;
        find_buckets(w, left.row, rows);
        for (uint64_t i = 0; i < rows; i++)
            count[w->bucket[i]]++;
        left = (struct mpivf_range){left.row + rows, left.rows - rows};
    }
}

static size_t
at_most(size_t slots, int64_t rows)
{
    return slots < (uint64_t)rows ? slots : rows > 0 ? (size_t)rows : 1;
}

/* From rows per bucket to this rank's regions; buffers are no longer than those. */
static void
find_regions_all(struct scattering *w)
{
    const struct mpivf_buckets *b = &w->s->buckets;
    int64_t *next = w->rows.next, max = 0;
    for (uint64_t i = 0; i < b->count; i++)
        max = next[i] > max ? next[i] : max;
    w->rows.slots = at_most(b->row_slots, max);
    w->ids.slots = at_most(b->id_slots, max);
    mpivf_exscan_all(w->s->par, next, b->count);
    for (uint64_t i = 0; i < b->count; i++)
        next[i] += (int64_t)(i * b->rows);
    memcpy(w->ids.next, next, b->count * sizeof *next);
}

static mpivf_status
scattering_init_all(struct scattering *w)
{
    const struct mpivf_par *par = w->s->par;
    const struct mpivf_buckets *b = &w->s->buckets;
    struct mpivf_context *ctx = par->ctx;
    uint64_t chunk = w->source->chunk_rows;
    /* whole blocks, so that no chunk is read twice */
    w->left = mpivf_source_share(w->source, par->rank, par->size);
    w->batch_rows = b->batch_rows;
    if (chunk > 0 && w->batch_rows > chunk)
        w->batch_rows -= w->batch_rows % chunk;
    w->row = mpivf_alloc(ctx, "the read buffer", w->batch_rows, b->row_bytes);
    w->bucket = mpivf_alloc(ctx, "the read buffer", w->batch_rows, sizeof *w->bucket);
    w->rows.next = mpivf_alloc_zero(ctx, "buffers to shuffle", b->count, sizeof *w->rows.next);
    w->ids.next = mpivf_alloc(ctx, "buffers to shuffle", b->count, sizeof *w->ids.next);
    bool all = w->row && w->bucket && w->rows.next && w->ids.next;
    mpivf_status status = mpivf_agree_all(par, all ? MPIVF_OK : MPIVF_MEMORY);
    if (status)
        return status;
    count_rows(w, w->rows.next);
    find_regions_all(w);
    all = lane_init(ctx, &w->rows, b->count) && lane_init(ctx, &w->ids, b->count);
    return mpivf_agree_all(par, all ? MPIVF_OK : MPIVF_MEMORY);
}

static void
scattering_clear(struct scattering *w)
{
    struct mpivf_context *ctx = w->s->par->ctx;
    mpivf_free(ctx, w->row);
    mpivf_free(ctx, w->bucket);
    lane_clear(ctx, &w->rows);
    lane_clear(ctx, &w->ids);
}

/* ---- the pass ---- */

static struct mpivf_range
next_batch(const struct scattering *w)
{
    uint64_t rows = w->left.rows < w->batch_rows ? w->left.rows : w->batch_rows;
    return (struct mpivf_range){w->left.row, rows};
}

/* Read the next batch, which may be empty, and have the one behind it fetched. */
static mpivf_status
read_batch_each(struct scattering *w, struct mpivf_range *batch)
{
    *batch = next_batch(w);
    mpivf_status status = mpivf_source_read_raw_each(w->source, batch, batch->rows > 0, w->row);
    w->left = (struct mpivf_range){batch->row + batch->rows, w->left.rows - batch->rows};
    struct mpivf_range ahead = next_batch(w);
    mpivf_source_ahead(w->source, &ahead, ahead.rows > 0);
    return status;
}

static void
swap_batch(const struct scattering *w, uint64_t rows)
{
    size_t row_bytes = w->s->buckets.row_bytes;
#pragma omp parallel for num_threads(w->s->par->ctx->threads) if (rows > FEW)
    for (uint64_t i = 0; i < rows; i++)
        mpivf_decode_swap(w->source->type, w->row + i * row_bytes, w->source->dim);
}

static mpivf_status
scatter_batch(struct scattering *w, struct mpivf_range batch)
{
    const struct mpivf_buckets *b = &w->s->buckets;
    mpivf_status status = MPIVF_OK;
    if (w->source->swapped)
        swap_batch(w, batch.rows);
    find_buckets(w, batch.row, batch.rows);
    for (uint64_t i = 0; i < batch.rows && status == MPIVF_OK; i++) {
        int64_t id = (int64_t)(batch.row + i);
        status = put(w, &w->rows, w->bucket[i], w->row + i * b->row_bytes);
        THEN(status, put(w, &w->ids, w->bucket[i], &id));
    }
    for (uint64_t i = 0; w->left.rows == 0 && i < b->count && status == MPIVF_OK; i++) {
        status = flush(w, &w->rows, i);
        THEN(status, flush(w, &w->ids, i));
    }
    return status;
}

mpivf_status
mpivf_scatter_all(const struct mpivf_shuffling *shuffling, struct mpivf_source *source,
                  struct mpivf_progress *progress)
{
    const struct mpivf_buckets *b = &shuffling->buckets;
    struct scattering w = {.s = shuffling,
                           .source = source,
                           .rows = {.bytes = b->row_bytes, .offset = shuffling->row_offset},
                           .ids = {.bytes = sizeof(int64_t), .offset = shuffling->id_offset}};
    uint64_t read_before = source->bytes_read;
    mpivf_status status = scattering_init_all(&w);
    for (bool more = status == MPIVF_OK; more;) {
        struct mpivf_range batch;
        status = read_batch_each(&w, &batch);
        THEN(status, scatter_batch(&w, batch));
        progress->phase->rows += batch.rows;
        status = mpivf_round_all(progress, status, batch.rows, w.left.rows > 0, &more);
    }
    progress->phase->bytes_read = source->bytes_read - read_before;
    progress->phase->bytes_written = w.bytes_written;
    scattering_clear(&w);
    return status;
}
