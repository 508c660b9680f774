#include "source/order.h"

#include "base/then.h"

#include <string.h>

enum { FEW = 1024, BLOCK = 256 }; /* rows not worth a second thread; rows of a step of one */

/* The bucket in memory. */
struct ordering {
    const struct mpivf_shuffling *s;
    struct mpivf_range places;
    char *row;      /* owned, [bucket rows], as scattered */
    int64_t *id;    /* owned, [bucket rows], as scattered */
    uint32_t *from; /* owned, [bucket rows]: which of them comes first, second... */
    char *row_out;  /* owned, [piece rows], in order */
    int64_t *id_out;
};

static mpivf_status
ordering_init(struct ordering *w)
{
    const struct mpivf_buckets *b = &w->s->buckets;
    struct mpivf_context *ctx = w->s->par->ctx;
    w->row = mpivf_alloc(ctx, "a bucket", b->rows, b->row_bytes);
    w->id = mpivf_alloc(ctx, "a bucket", b->rows, sizeof *w->id);
    w->from = mpivf_alloc(ctx, "a bucket", b->rows, sizeof *w->from);
    w->row_out = mpivf_alloc(ctx, "the write buffer", b->piece_rows, b->row_bytes);
    w->id_out = mpivf_alloc(ctx, "the write buffer", b->piece_rows, sizeof *w->id_out);
    return w->row && w->id && w->from && w->row_out && w->id_out ? MPIVF_OK : MPIVF_MEMORY;
}

static void
ordering_clear(struct ordering *w)
{
    struct mpivf_context *ctx = w->s->par->ctx;
    mpivf_free(ctx, w->row);
    mpivf_free(ctx, w->id);
    mpivf_free(ctx, w->from);
    mpivf_free(ctx, w->row_out);
    mpivf_free(ctx, w->id_out);
}

static struct mpivf_range
places_of(const struct mpivf_buckets *b, uint64_t bucket)
{
    uint64_t first = bucket * b->rows, left = b->total - first;
    return (struct mpivf_range){first, left < b->rows ? left : b->rows};
}

static mpivf_status
read_bucket(struct ordering *w)
{
    const struct mpivf_shuffling *s = w->s;
    struct mpivf_context *ctx = s->par->ctx;
    size_t row_bytes = s->buckets.row_bytes;
    mpivf_status status = mpivf_file_read(ctx, &s->file, w->row, w->places.rows * row_bytes,
                                          s->row_offset + w->places.row * row_bytes);
    if (status)
        return status;
    return mpivf_file_read(ctx, &s->file, w->id, w->places.rows * sizeof *w->id,
                           s->id_offset + w->places.row * sizeof *w->id);
}

/* Enter n of the bucket's ids, from number i on. How many are not of this bucket. */
static uint64_t
enter(const struct ordering *w, uint64_t i, uint64_t n)
{
    const struct mpivf_shuffling *s = w->s;
    uint64_t place[BLOCK], strange = 0;
    for (uint64_t j = 0; j < n; j++) {
        uint64_t id = (uint64_t)w->id[i + j];
        place[j] = id < s->buckets.total ? id : 0;
        strange += id >= s->buckets.total;
    }
    mpivf_random_order_places(&s->order, place, n);
    for (uint64_t j = 0; j < n; j++) {
        uint64_t at = place[j] - w->places.row;
        if (at < w->places.rows)
            w->from[at] = (uint32_t)(i + j);
        else
            strange++;
    }
    return strange;
}

/* From ids to `from`. Ids that are not all of this bucket's, once, were not written by us. */
static mpivf_status
find_order(struct ordering *w)
{
    const struct mpivf_shuffling *s = w->s;
    uint64_t rows = w->places.rows, strange = 0;
    memset(w->from, 0xff, rows * sizeof *w->from);
#pragma omp parallel for num_threads(s->par->ctx->threads) if (rows > FEW) reduction(+ : strange)
    for (uint64_t i = 0; i < rows; i += BLOCK)
        strange += enter(w, i, rows - i < BLOCK ? rows - i : BLOCK);
    for (uint64_t i = 0; i < rows; i++)
        strange += w->from[i] == UINT32_MAX;
    if (strange == 0)
        return MPIVF_OK;
    return mpivf_fail(s->par->ctx, MPIVF_CORRUPT, "'%s' was changed by others while it was written",
                      s->file.path);
}

/* Copy rows [first, first + rows) of the bucket's order behind each other and write them. */
static mpivf_status
write_piece(struct ordering *w, uint64_t first, uint64_t rows)
{
    const struct mpivf_shuffling *s = w->s;
    struct mpivf_context *ctx = s->par->ctx;
    size_t row_bytes = s->buckets.row_bytes;
#pragma omp parallel for num_threads(ctx->threads) if (rows > FEW)
    for (uint64_t i = 0; i < rows; i++) {
        uint32_t from = w->from[first + i];
        memcpy(w->row_out + i * row_bytes, w->row + from * row_bytes, row_bytes);
        w->id_out[i] = w->id[from];
    }
    uint64_t place = w->places.row + first;
    mpivf_status status = mpivf_file_write(ctx, &s->file, w->row_out, rows * row_bytes,
                                           s->row_offset + place * row_bytes);
    if (status)
        return status;
    return mpivf_file_write(ctx, &s->file, w->id_out, rows * sizeof *w->id_out,
                            s->id_offset + place * sizeof *w->id_out);
}

static void
fetch_bucket(const struct mpivf_shuffling *s, uint64_t bucket)
{
    if (bucket >= s->buckets.count)
        return;
    struct mpivf_range places = places_of(&s->buckets, bucket);
    mpivf_file_ahead(&s->file, s->row_offset + places.row * s->buckets.row_bytes,
                     places.rows * s->buckets.row_bytes);
}

static mpivf_status
order_bucket(struct ordering *w, uint64_t next)
{
    size_t max = w->s->buckets.piece_rows;
    mpivf_status status = read_bucket(w);
    fetch_bucket(w->s, next); /* the disk works while we do */
    THEN(status, find_order(w));
    for (uint64_t at = 0; at < w->places.rows && status == MPIVF_OK; at += max) {
        uint64_t left = w->places.rows - at;
        status = write_piece(w, at, left < max ? left : max);
    }
    size_t row_bytes = w->s->buckets.row_bytes;
    mpivf_file_behind(&w->s->file, w->s->row_offset + w->places.row * row_bytes,
                      w->places.rows * row_bytes); /* less to wait for at the end */
    return status;
}

mpivf_status
mpivf_order_all(const struct mpivf_shuffling *shuffling, struct mpivf_progress *progress)
{
    const struct mpivf_par *par = shuffling->par;
    const struct mpivf_buckets *b = &shuffling->buckets;
    struct ordering w = {.s = shuffling};
    mpivf_status status = mpivf_agree_all(par, ordering_init(&w));
    uint64_t bucket = (uint64_t)par->rank, step = (uint64_t)par->size;
    for (bool more = status == MPIVF_OK; more; bucket += step) {
        w.places = (struct mpivf_range){0, 0};
        if (bucket < b->count) {
            w.places = places_of(b, bucket);
            status = order_bucket(&w, bucket + step);
        }
        progress->phase->rows += w.places.rows;
        status = mpivf_round_all(progress, status, w.places.rows, bucket + step < b->count, &more);
    }
    uint64_t bytes = progress->phase->rows * (b->row_bytes + sizeof(int64_t));
    progress->phase->bytes_read = progress->phase->bytes_written = bytes;
    ordering_clear(&w);
    return status;
}
