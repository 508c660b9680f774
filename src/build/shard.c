#define _GNU_SOURCE /* qsort_r */
#include "build/shard.h"

#include "base/compare.h"
#include "base/then.h"
#include "index/stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { STREAMS_BYTES = 4 << 20, STREAM_BYTES = 1 << 20, MAX_RANGES = 1 << 16, SLACK = 64 << 10 };

/* Of the buffers of one thread that writes. */
static size_t
stream_bytes(int threads)
{
    size_t even = STREAMS_BYTES / (size_t)threads;
    return even > STREAM_BYTES ? even : STREAM_BYTES;
}

static void
lay_out(struct mpivf_shard_buffer *buffer, struct mpivf_pool *pool,
        const struct mpivf_index_meta *meta, size_t capacity)
{
    *buffer =
        (struct mpivf_shard_buffer){.meta = *meta, .capacity = capacity, .max_ranges = MAX_RANGES};
    mpivf_planes_of(meta, NULL, &buffer->planes);
    for (int p = 0; p < buffer->planes.count; p++)
        buffer->plane[p] = mpivf_pool_take(pool, capacity, buffer->planes.plane[p].row_bytes);
    buffer->id = buffer->plane[0];
    buffer->list = mpivf_pool_take(pool, capacity, sizeof *buffer->list);
    buffer->order = mpivf_pool_take(pool, capacity, sizeof *buffer->order);
    buffer->offset = mpivf_pool_take(pool, meta->lists + 1, sizeof *buffer->offset);
    buffer->checksum = mpivf_pool_take(pool, meta->lists + 1, sizeof *buffer->checksum);
    buffer->rejected = mpivf_pool_take(pool, capacity, sizeof *buffer->rejected);
    buffer->range = mpivf_pool_take(pool, MAX_RANGES, sizeof *buffer->range);
}

size_t
mpivf_shard_buffer_bytes(const struct mpivf_index_meta *meta, size_t capacity, int threads)
{
    struct mpivf_shard_buffer buffer;
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(&buffer, &pool, meta, capacity);
    size_t stream = mpivf_stream_bytes(meta, stream_bytes(threads)) + sizeof(struct mpivf_stream);
    return pool.bytes + (size_t)threads * stream + SLACK;
}

mpivf_status
mpivf_shard_buffer_init(struct mpivf_context *ctx, struct mpivf_shard_buffer *buffer,
                        const struct mpivf_index_meta *meta, const float *centroid, size_t capacity)
{
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "the rows of a shard");
    lay_out(buffer, &pool, meta, capacity);
    buffer->ctx = ctx;
    buffer->centroid = centroid;
    buffer->pool = pool;
    return mpivf_pool_status(&pool);
}

void
mpivf_shard_buffer_clear(struct mpivf_shard_buffer *buffer)
{
    mpivf_pool_clear(&buffer->pool);
    memset(buffer, 0, sizeof *buffer);
}

bool
mpivf_shard_buffer_fits(const struct mpivf_shard_buffer *buffer, size_t rows, size_t ranges)
{
    return buffer->rows + buffer->rejects + rows <= buffer->capacity &&
           buffer->ranges + ranges <= buffer->max_ranges;
}

void
mpivf_shard_buffer_cover(struct mpivf_shard_buffer *buffer, const struct mpivf_range *range,
                         size_t ranges, uint64_t rowsum)
{
    assert(buffer->ranges + ranges <= buffer->max_ranges);
    buffer->rowsum += rowsum;
    for (size_t i = 0; i < ranges; i++)
        buffer->range[buffer->ranges++] = range[i];
}

void
mpivf_shard_buffer_put(struct mpivf_shard_buffer *buffer, const float *row, size_t n,
                       const uint32_t *list, const int64_t *id)
{
    assert(buffer->rows + buffer->rejects + n <= buffer->capacity);
    const struct mpivf_planes *planes = &buffer->planes;
    size_t dim = buffer->meta.dim, first = buffer->rows;
    uint32_t *from = buffer->order; /* not yet in use */
    for (size_t i = 0; i < n; i++) {
        if (list[i] == UINT32_MAX) {
            buffer->rejected[buffer->rejects++] = id[i];
            continue;
        }
        size_t at = buffer->rows++;
        buffer->list[at] = list[i];
        buffer->id[at] = id[i];
        from[at] = (uint32_t)i;
    }
#pragma omp parallel for num_threads(buffer->ctx->threads) schedule(static)
    for (size_t at = first; at < buffer->rows; at++) {
        const float *one = row + from[at] * dim;
        void *place[MPIVF_PLANES];
        mpivf_planes_at(planes, buffer->plane, at, place);
        buffer->meta.codec->encode(one, 1, dim, buffer->centroid + buffer->list[at] * dim,
                                   place + planes->code);
        if (planes->vector >= 0)
            memcpy(place[planes->vector], one, dim * sizeof *one);
    }
}

static int
by_id(const void *a, const void *b, void *arg)
{
    const int64_t *id = arg;
    int64_t x = id[*(const uint32_t *)a], y = id[*(const uint32_t *)b];
    return (x > y) - (x < y);
}

/* Order each list by id. The first place with the id of the one before it; none: UINT64_MAX. */
static uint64_t
sort_lists(struct mpivf_shard_buffer *buffer)
{
    uint64_t doubled = UINT64_MAX;
    uint32_t *order = buffer->order;
#pragma omp parallel for num_threads(buffer->ctx->threads) schedule(dynamic, 16)                   \
    reduction(min                                                                                  \
              : doubled)
    for (uint64_t l = 0; l < buffer->meta.lists; l++) {
        uint64_t first = buffer->offset[l], end = buffer->offset[l + 1];
        qsort_r(order + first, end - first, sizeof *order, by_id, buffer->id);
        for (uint64_t i = first + 1; i < end; i++)
            if (buffer->id[order[i]] == buffer->id[order[i - 1]] && i < doubled)
                doubled = i;
    }
    return doubled;
}

/* Fill order and offset: by list with a counting sort, inside a list by id. */
static mpivf_status
sort_rows(struct mpivf_shard_buffer *buffer)
{
    uint64_t lists = buffer->meta.lists, *offset = buffer->offset;
    memset(offset, 0, (lists + 1) * sizeof *offset);
    for (size_t i = 0; i < buffer->rows; i++)
        offset[buffer->list[i] + 1]++;
    for (uint64_t l = 0; l < lists; l++)
        offset[l + 1] += offset[l];
    uint64_t *next = buffer->checksum; /* not yet in use */
    memcpy(next, offset, (lists + 1) * sizeof *next);
    for (size_t i = 0; i < buffer->rows; i++)
        buffer->order[next[buffer->list[i]]++] = (uint32_t)i;
    uint64_t doubled = sort_lists(buffer);
    if (doubled < buffer->rows)
        return mpivf_fail(buffer->ctx, MPIVF_INPUT, "the id %lld is given to two rows",
                          (long long)buffer->id[buffer->order[doubled]]);
    qsort(buffer->rejected, buffer->rejects, sizeof *buffer->rejected, mpivf_compare_i64);
    buffer->ranges = mpivf_range_normalise(buffer->range, buffer->ranges, NULL);
    return MPIVF_OK;
}

/* Some of the lists, [first, end), through a buffer. */
static mpivf_status
write_lists(struct mpivf_shard_buffer *buffer, struct mpivf_stream *stream, uint64_t first,
            uint64_t end)
{
    mpivf_status status = MPIVF_OK;
    for (uint64_t l = first; l < end && status == MPIVF_OK; l++) {
        for (uint64_t i = buffer->offset[l]; i < buffer->offset[l + 1] && status == MPIVF_OK; i++) {
            void *row[MPIVF_PLANES];
            mpivf_planes_at(&buffer->planes, buffer->plane, buffer->order[i], row);
            status = mpivf_stream_put(stream, row);
        }
        if (status == MPIVF_OK)
            buffer->checksum[l] = mpivf_stream_end_list(stream);
    }
    THEN(status, mpivf_stream_flush(stream));
    return status;
}

/* The first list of part `part` when the lists are cut into `parts` of about as many rows. */
static uint64_t
cut(const struct mpivf_shard_buffer *buffer, int part, int parts)
{
    uint64_t low = 0, high = buffer->meta.lists;
    uint64_t goal = mpivf_share_first(buffer->rows, part, parts);
    while (low < high && part < parts) {
        uint64_t middle = low + (high - low) / 2;
        if (buffer->offset[middle] < goal)
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}

/* Each thread takes a run of lists. */
static mpivf_status
write_rows(struct mpivf_shard_buffer *buffer, const struct mpivf_file *file,
           const struct mpivf_index_layout *layout)
{
    struct mpivf_context *ctx = buffer->ctx;
    int threads = ctx->threads;
    struct mpivf_stream *stream = mpivf_alloc_zero(ctx, "streams", (size_t)threads, sizeof *stream);
    mpivf_status status = stream ? MPIVF_OK : MPIVF_MEMORY;
    for (int t = 0; t < threads && status == MPIVF_OK; t++)
        status = mpivf_stream_init(ctx, &stream[t], *file, &buffer->meta, layout,
                                   buffer->offset[cut(buffer, t, threads)], buffer->rows,
                                   stream_bytes(threads));
    if (status == MPIVF_OK) {
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(max : status)
        for (int t = 0; t < threads; t++) {
            mpivf_status mine = write_lists(buffer, &stream[t], cut(buffer, t, threads),
                                            cut(buffer, t + 1, threads));
            status = mine > status ? mine : status;
        }
    }
    for (int t = 0; stream && t < threads; t++) {
        buffer->bytes_written += stream[t].bytes;
        mpivf_stream_clear(&stream[t]);
    }
    mpivf_free(ctx, stream);
    THEN(status,
         mpivf_file_write(ctx, file, buffer->checksum,
                          buffer->meta.lists * sizeof *buffer->checksum, layout->list_checksum));
    return status;
}

mpivf_status
mpivf_shard_write(struct mpivf_shard_buffer *buffer, const char *folder)
{
    return buffer->ranges > 0 ? mpivf_shard_write_any(buffer, folder) : MPIVF_OK;
}

mpivf_status
mpivf_shard_write_any(struct mpivf_shard_buffer *buffer, const char *folder)
{
    struct mpivf_context *ctx = buffer->ctx;
    char path[MPIVF_PATH], partial[MPIVF_PATH];
    struct mpivf_index_layout layout;
    struct mpivf_file file = {.fd = -1, .path = partial};
    mpivf_status status = sort_rows(buffer); /* and ranges */
    uint64_t first = buffer->ranges > 0 ? buffer->range[0].row : 0;
    buffer->meta.rows = buffer->rows;
    buffer->meta.rejected = buffer->rejects;
    buffer->meta.ranges = buffer->ranges;
    buffer->meta.stamp.rows = buffer->rowsum;
    THEN(status, mpivf_path(ctx, path, MPIVF_SHARD_NAME, folder, (unsigned long long)first,
                            (unsigned long long)(buffer->rows + buffer->rejects)));
    THEN(status, mpivf_path(ctx, partial, "%s.partial", path));
    if (status)
        return status;
    status = mpivf_file_create(ctx, partial, &file);
    if (status)
        return status;
    status = mpivf_index_create(ctx, &file, &buffer->meta, NULL, buffer->offset, buffer->rejected,
                                buffer->range, &layout);
    THEN(status, write_rows(buffer, &file, &layout));
    status = mpivf_file_finish(ctx, &file, path, status);
    buffer->rows = buffer->rejects = buffer->ranges = 0;
    buffer->rowsum = 0;
    return status;
}
