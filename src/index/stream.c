#include "index/stream.h"

#include <assert.h>
#include <string.h>

/* Of about `bytes` of buffer. */
static void
lay_out(struct mpivf_stream *stream, struct mpivf_pool *pool, size_t bytes)
{
    size_t row_bytes = mpivf_planes_row_bytes(&stream->planes);
    stream->capacity = bytes / row_bytes > 0 ? bytes / row_bytes : 1;
    for (int p = 0; p < stream->planes.count; p++) {
        size_t size = stream->planes.plane[p].row_bytes;
        stream->buffer[p] = mpivf_pool_take(pool, stream->capacity, size);
        stream->sum[p] = mpivf_checksum_take(pool);
    }
}

size_t
mpivf_stream_bytes(const struct mpivf_index_meta *meta, size_t bytes)
{
    struct mpivf_stream stream;
    struct mpivf_pool pool = mpivf_pool_counting();
    mpivf_planes_of(meta, NULL, &stream.planes);
    lay_out(&stream, &pool, bytes);
    return pool.bytes;
}

mpivf_status
mpivf_stream_init(struct mpivf_context *ctx, struct mpivf_stream *stream, struct mpivf_file file,
                  const struct mpivf_index_meta *meta, const struct mpivf_index_layout *layout,
                  uint64_t row, uint64_t end, size_t bytes)
{
    *stream = (struct mpivf_stream){.ctx = ctx, .file = file, .row = row, .end = end};
    stream->pool = mpivf_pool_taking(ctx, "a stream buffer");
    mpivf_planes_of(meta, layout, &stream->planes);
    lay_out(stream, &stream->pool, bytes);
    return mpivf_pool_status(&stream->pool);
}

void
mpivf_stream_clear(struct mpivf_stream *stream)
{
    mpivf_pool_clear(&stream->pool);
    memset(stream, 0, sizeof *stream);
}

/* Bring the checksums up to row `at` of the buffer. */
static void
hash_up_to(struct mpivf_stream *stream, size_t at)
{
    for (int p = 0; p < stream->planes.count; p++) {
        size_t size = stream->planes.plane[p].row_bytes;
        mpivf_checksum_add(stream->sum[p], stream->buffer[p] + stream->hashed * size,
                           (at - stream->hashed) * size);
    }
    stream->hashed = at;
}

mpivf_status
mpivf_stream_next(struct mpivf_stream *stream)
{
    if (stream->at < stream->filled)
        return MPIVF_OK;
    assert(stream->row + stream->filled < stream->end);
    hash_up_to(stream, stream->at);
    stream->row += stream->filled;
    uint64_t left = stream->end - stream->row;
    stream->filled = left < stream->capacity ? left : stream->capacity;
    stream->at = stream->hashed = 0;
    for (int p = 0; p < stream->planes.count; p++) {
        const struct mpivf_plane *plane = &stream->planes.plane[p];
        size_t bytes = stream->filled * plane->row_bytes;
        mpivf_status status = mpivf_file_read(stream->ctx, &stream->file, stream->buffer[p], bytes,
                                              plane->offset + stream->row * plane->row_bytes);
        if (status)
            return status;
        stream->bytes += bytes;
    }
    return MPIVF_OK;
}

mpivf_status
mpivf_stream_flush(struct mpivf_stream *stream)
{
    hash_up_to(stream, stream->filled);
    for (int p = 0; p < stream->planes.count; p++) {
        const struct mpivf_plane *plane = &stream->planes.plane[p];
        size_t bytes = stream->filled * plane->row_bytes;
        mpivf_status status = mpivf_file_write(stream->ctx, &stream->file, stream->buffer[p], bytes,
                                               plane->offset + stream->row * plane->row_bytes);
        if (status)
            return status;
        mpivf_file_behind(&stream->file, plane->offset + stream->row * plane->row_bytes, bytes);
        stream->bytes += bytes;
    }
    stream->row += stream->filled;
    stream->filled = stream->at = stream->hashed = 0;
    return MPIVF_OK;
}

mpivf_status
mpivf_stream_put(struct mpivf_stream *stream, void *const *row)
{
    mpivf_status status =
        stream->filled == stream->capacity ? mpivf_stream_flush(stream) : MPIVF_OK;
    for (int p = 0; p < stream->planes.count && status == MPIVF_OK; p++) {
        size_t size = stream->planes.plane[p].row_bytes;
        if (size > 0)
            memcpy(stream->buffer[p] + stream->filled * size, row[p], size);
    }
    stream->at = ++stream->filled;
    return status;
}

uint64_t
mpivf_stream_end_list(struct mpivf_stream *stream)
{
    uint64_t sums[MPIVF_PLANES];
    hash_up_to(stream, stream->at);
    for (int p = 0; p < stream->planes.count; p++) {
        sums[p] = mpivf_checksum_value(stream->sum[p]);
        mpivf_checksum_start(stream->sum[p]);
    }
    return mpivf_index_list_checksum(sums, stream->planes.count);
}
