#define _GNU_SOURCE /* qsort_r */
#include "build/shard.h"

#include "base/compare.h"
#include "base/then.h"
#include "index/stream.h"

#include <stdlib.h>
#include <string.h>

enum { STREAMS_BYTES = 4 << 20, STREAM_BYTES = 1 << 20, MOST_RANGES = 1 << 16 };

/* Of the buffers of one thread that writes. */
static size_t
stream_bytes(int threads)
{
    size_t even = STREAMS_BYTES / (size_t)threads;
    return even > STREAM_BYTES ? even : STREAM_BYTES;
}

size_t
mpivf_spill_row_bytes(const struct mpivf_index_meta *meta)
{
    return 2 * sizeof(uint32_t) + 2 * sizeof(int64_t) + mpivf_codec_bytes(meta->codec, meta->dim) +
           (meta->store ? meta->dim * sizeof(float) : 0);
}

size_t
mpivf_spill_fixed_bytes(const struct mpivf_index_meta *meta, int threads)
{
    size_t row = sizeof(int64_t) + mpivf_codec_bytes(meta->codec, meta->dim) +
                 (meta->store ? meta->dim * sizeof(float) : 0);
    return (meta->lists + 1) * 2 * sizeof(uint64_t) + MOST_RANGES * sizeof(struct mpivf_range) +
           (size_t)threads * (stream_bytes(threads) + row + 4096) + (64 << 10);
}

mpivf_status
mpivf_spill_init(struct mpivf_context *ctx, struct mpivf_spill *spill,
                 const struct mpivf_index_meta *meta, size_t capacity)
{
    static const char what[] = "the rows of a shard";
    *spill = (struct mpivf_spill){
        .ctx = ctx, .meta = *meta, .capacity = capacity, .most_ranges = MOST_RANGES};
    spill->list = mpivf_alloc(ctx, what, capacity, sizeof *spill->list);
    spill->id = mpivf_alloc(ctx, what, capacity, sizeof *spill->id);
    spill->code = mpivf_alloc(ctx, what, capacity, mpivf_codec_bytes(meta->codec, meta->dim));
    spill->vector = mpivf_alloc(ctx, what, meta->store ? capacity * meta->dim : 0, sizeof(float));
    spill->order = mpivf_alloc(ctx, what, capacity, sizeof *spill->order);
    spill->offset = mpivf_alloc(ctx, what, meta->lists + 1, sizeof *spill->offset);
    spill->checksum = mpivf_alloc(ctx, what, meta->lists + 1, sizeof *spill->checksum);
    spill->rejected = mpivf_alloc(ctx, what, capacity, sizeof *spill->rejected);
    spill->range = mpivf_alloc(ctx, what, MOST_RANGES, sizeof *spill->range);
    return spill->list && spill->id && spill->code && spill->vector && spill->order &&
                   spill->offset && spill->checksum && spill->rejected && spill->range
               ? MPIVF_OK
               : MPIVF_MEMORY;
}

void
mpivf_spill_clear(struct mpivf_spill *spill)
{
    void *owned[] = {spill->list,   spill->id,       spill->code,     spill->vector, spill->order,
                     spill->offset, spill->checksum, spill->rejected, spill->range};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0] && spill->ctx; i++)
        mpivf_free(spill->ctx, owned[i]);
    memset(spill, 0, sizeof *spill);
}

bool
mpivf_spill_fits(const struct mpivf_spill *spill, size_t rows, size_t ranges)
{
    return spill->rows + spill->rejects + rows <= spill->capacity &&
           spill->ranges + ranges <= spill->most_ranges;
}

void
mpivf_spill_cover(struct mpivf_spill *spill, const struct mpivf_range *range, size_t ranges,
                  uint64_t rowsum)
{
    spill->rowsum += rowsum;
    for (size_t i = 0; i < ranges; i++)
        spill->range[spill->ranges++] = range[i];
}

void
mpivf_spill_put(struct mpivf_spill *spill, const float *row, size_t n, const uint32_t *list,
                const int64_t *id)
{
    size_t dim = spill->meta.dim, code_bytes = mpivf_codec_bytes(spill->meta.codec, dim);
    size_t first = spill->rows;
    uint32_t *from = spill->order; /* not yet in use */
    for (size_t i = 0; i < n; i++) {
        if (list[i] == UINT32_MAX) {
            spill->rejected[spill->rejects++] = id[i];
            continue;
        }
        size_t at = spill->rows++;
        spill->list[at] = list[i];
        spill->id[at] = id[i];
        from[at] = (uint32_t)i;
    }
#pragma omp parallel for num_threads(spill->ctx->threads) schedule(static)
    for (size_t at = first; at < spill->rows; at++) {
        const float *one = row + from[at] * dim;
        spill->meta.codec->encode(one, 1, dim, spill->code + at * code_bytes);
        if (spill->meta.store)
            memcpy(spill->vector + at * dim, one, dim * sizeof *one);
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
sort_lists(struct mpivf_spill *spill)
{
    uint64_t doubled = UINT64_MAX;
    uint32_t *order = spill->order;
#pragma omp parallel for num_threads(spill->ctx->threads) schedule(dynamic, 16)                    \
    reduction(min                                                                                  \
              : doubled)
    for (uint64_t l = 0; l < spill->meta.lists; l++) {
        uint64_t first = spill->offset[l], end = spill->offset[l + 1];
        qsort_r(order + first, end - first, sizeof *order, by_id, spill->id);
        for (uint64_t i = first + 1; i < end; i++)
            if (spill->id[order[i]] == spill->id[order[i - 1]] && i < doubled)
                doubled = i;
    }
    return doubled;
}

/* Fill order and offset: by list with a counting sort, inside a list by id. */
static mpivf_status
sort_rows(struct mpivf_spill *spill)
{
    uint64_t lists = spill->meta.lists, *offset = spill->offset;
    memset(offset, 0, (lists + 1) * sizeof *offset);
    for (size_t i = 0; i < spill->rows; i++)
        offset[spill->list[i] + 1]++;
    for (uint64_t l = 0; l < lists; l++)
        offset[l + 1] += offset[l];
    uint64_t *next = spill->checksum; /* not yet in use */
    memcpy(next, offset, (lists + 1) * sizeof *next);
    for (size_t i = 0; i < spill->rows; i++)
        spill->order[next[spill->list[i]]++] = (uint32_t)i;
    uint64_t doubled = sort_lists(spill);
    if (doubled < spill->rows)
        return mpivf_fail(spill->ctx, MPIVF_INPUT, "the id %lld is given to two rows",
                          (long long)spill->id[spill->order[doubled]]);
    qsort(spill->rejected, spill->rejects, sizeof *spill->rejected, mpivf_compare_i64);
    spill->ranges = mpivf_range_normalise(spill->range, spill->ranges, NULL);
    return MPIVF_OK;
}

/* Some of the lists, [first, end), through a buffer. */
static mpivf_status
write_lists(struct mpivf_spill *spill, struct mpivf_stream *stream, uint64_t first, uint64_t end)
{
    size_t dim = spill->meta.dim, code_bytes = mpivf_codec_bytes(spill->meta.codec, dim);
    mpivf_status status = MPIVF_OK;
    for (uint64_t l = first; l < end && status == MPIVF_OK; l++) {
        for (uint64_t i = spill->offset[l]; i < spill->offset[l + 1] && status == MPIVF_OK; i++) {
            size_t at = spill->order[i];
            const void *row[MPIVF_PLANES] = {&spill->id[at], spill->code + at * code_bytes,
                                             spill->vector + (spill->meta.store ? at * dim : 0)};
            status = mpivf_stream_put(stream, row);
        }
        if (status == MPIVF_OK)
            spill->checksum[l] = mpivf_stream_end_list(stream);
    }
    THEN(status, mpivf_stream_flush(stream));
    return status;
}

/* The first list of part `part` when the lists are cut into `parts` of about as many rows. */
static uint64_t
cut(const struct mpivf_spill *spill, int part, int parts)
{
    uint64_t low = 0, high = spill->meta.lists;
    uint64_t goal = mpivf_share_first(spill->rows, part, parts);
    while (low < high && part < parts) {
        uint64_t middle = low + (high - low) / 2;
        if (spill->offset[middle] < goal)
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}

/* Each thread takes a run of lists. */
static mpivf_status
write_rows(struct mpivf_spill *spill, const struct mpivf_file *file,
           const struct mpivf_index_layout *layout)
{
    struct mpivf_context *ctx = spill->ctx;
    int threads = ctx->threads;
    struct mpivf_stream *stream = mpivf_alloc_zero(ctx, "streams", (size_t)threads, sizeof *stream);
    mpivf_status status = stream ? MPIVF_OK : MPIVF_MEMORY;
    for (int t = 0; t < threads && status == MPIVF_OK; t++)
        status = mpivf_stream_init(ctx, &stream[t], *file, &spill->meta, layout,
                                   spill->offset[cut(spill, t, threads)], spill->rows,
                                   stream_bytes(threads));
    if (status == MPIVF_OK) {
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(max : status)
        for (int t = 0; t < threads; t++) {
            mpivf_status mine =
                write_lists(spill, &stream[t], cut(spill, t, threads), cut(spill, t + 1, threads));
            status = mine > status ? mine : status;
        }
    }
    for (int t = 0; stream && t < threads; t++) {
        spill->bytes_written += stream[t].bytes;
        mpivf_stream_clear(&stream[t]);
    }
    mpivf_free(ctx, stream);
    THEN(status,
         mpivf_file_write(ctx, file, spill->checksum, spill->meta.lists * sizeof *spill->checksum,
                          layout->list_checksum));
    return status;
}

mpivf_status
mpivf_shard_write(struct mpivf_spill *spill, const char *folder)
{
    return spill->ranges > 0 ? mpivf_shard_write_any(spill, folder) : MPIVF_OK;
}

mpivf_status
mpivf_shard_write_any(struct mpivf_spill *spill, const char *folder)
{
    struct mpivf_context *ctx = spill->ctx;
    char path[MPIVF_PATH], partial[MPIVF_PATH];
    struct mpivf_index_layout layout;
    struct mpivf_file file = {.fd = -1, .path = partial};
    mpivf_status status = sort_rows(spill); /* and ranges */
    uint64_t first = spill->ranges > 0 ? spill->range[0].row : 0;
    spill->meta.rows = spill->rows;
    spill->meta.rejected = spill->rejects;
    spill->meta.ranges = spill->ranges;
    spill->meta.stamp.rows = spill->rowsum;
    THEN(status, mpivf_path(ctx, path, MPIVF_SHARD_NAME, folder, (unsigned long long)first,
                            (unsigned long long)(spill->rows + spill->rejects)));
    THEN(status, mpivf_path(ctx, partial, "%s.partial", path));
    if (status)
        return status;
    status = mpivf_file_create(ctx, partial, &file);
    if (status)
        return status;
    status = mpivf_index_create(ctx, &file, &spill->meta, NULL, spill->offset, spill->rejected,
                                spill->range, &layout);
    THEN(status, write_rows(spill, &file, &layout));
    status = mpivf_file_finish(ctx, &file, path, status);
    spill->rows = spill->rejects = spill->ranges = 0;
    spill->rowsum = 0;
    return status;
}
