#define _GNU_SOURCE /* qsort_r */
#include "build/shard.h"

#include "base/compare.h"
#include "index/stream.h"

#include <stdlib.h>
#include <string.h>

enum { STREAM_BYTES = 4 << 20, MOST_RANGES = 1 << 16 };

size_t
mpivf_spill_row_bytes(const struct mpivf_index_meta *meta)
{
    return 2 * sizeof(uint32_t) + 2 * sizeof(int64_t) + mpivf_codec_bytes(meta->codec, meta->dim) +
           (meta->store ? meta->dim * sizeof(float) : 0);
}

size_t
mpivf_spill_fixed_bytes(const struct mpivf_index_meta *meta)
{
    return (meta->lists + 1) * 2 * sizeof(uint64_t) + MOST_RANGES * sizeof(struct mpivf_range) +
           STREAM_BYTES + (64 << 10);
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
mpivf_spill_cover(struct mpivf_spill *spill, const struct mpivf_range *range, size_t ranges)
{
    for (size_t i = 0; i < ranges; i++)
        spill->range[spill->ranges++] = range[i];
}

void
mpivf_spill_put(struct mpivf_spill *spill, const float *row, size_t n, const uint32_t *list,
                const int64_t *id)
{
    size_t dim = spill->meta.dim, code_bytes = mpivf_codec_bytes(spill->meta.codec, dim);
    for (size_t i = 0; i < n; i++, row += dim) {
        if (list[i] == UINT32_MAX) {
            spill->rejected[spill->rejects++] = id[i];
            continue;
        }
        size_t at = spill->rows++;
        spill->list[at] = list[i];
        spill->id[at] = id[i];
        spill->meta.codec->encode(row, 1, dim, spill->code + at * code_bytes);
        if (spill->meta.store)
            memcpy(spill->vector + at * dim, row, dim * sizeof *row);
    }
}

static int
by_id(const void *a, const void *b, void *arg)
{
    const int64_t *id = arg;
    int64_t x = id[*(const uint32_t *)a], y = id[*(const uint32_t *)b];
    return (x > y) - (x < y);
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
    for (uint64_t l = 0; l < lists; l++) {
        uint32_t *row = spill->order + offset[l];
        size_t n = offset[l + 1] - offset[l];
        qsort_r(row, n, sizeof *row, by_id, spill->id);
        for (size_t i = 1; i < n; i++)
            if (spill->id[row[i]] == spill->id[row[i - 1]])
                return mpivf_fail(spill->ctx, MPIVF_INPUT, "the id %lld is given to two rows",
                                  (long long)spill->id[row[i]]);
    }
    qsort(spill->rejected, spill->rejects, sizeof *spill->rejected, mpivf_compare_i64);
    spill->ranges = mpivf_range_normalise(spill->range, spill->ranges, NULL);
    return MPIVF_OK;
}

static mpivf_status
write_rows(struct mpivf_spill *spill, const struct mpivf_file *file,
           const struct mpivf_index_layout *layout)
{
    struct mpivf_stream stream;
    size_t dim = spill->meta.dim, code_bytes = mpivf_codec_bytes(spill->meta.codec, dim);
    mpivf_status status = mpivf_stream_init(spill->ctx, &stream, *file, &spill->meta, layout, 0,
                                            spill->rows, STREAM_BYTES);
    for (uint64_t l = 0; l < spill->meta.lists && status == MPIVF_OK; l++) {
        for (uint64_t i = spill->offset[l]; i < spill->offset[l + 1] && status == MPIVF_OK; i++) {
            size_t at = spill->order[i];
            const void *row[MPIVF_PLANES] = {&spill->id[at], spill->code + at * code_bytes,
                                             spill->vector + (spill->meta.store ? at * dim : 0)};
            status = mpivf_stream_put(&stream, row);
        }
        if (status == MPIVF_OK)
            spill->checksum[l] = mpivf_stream_end_list(&stream);
    }
    if (status == MPIVF_OK)
        status = mpivf_stream_flush(&stream);
    if (status == MPIVF_OK)
        status = mpivf_file_write(spill->ctx, file, spill->checksum,
                                  spill->meta.lists * sizeof *spill->checksum,
                                  layout->list_checksum);
    spill->bytes_written += stream.bytes;
    mpivf_stream_clear(&stream);
    return status;
}

mpivf_status
mpivf_shard_write(struct mpivf_spill *spill, const char *folder)
{
    struct mpivf_context *ctx = spill->ctx;
    char path[MPIVF_PATH], partial[MPIVF_PATH];
    struct mpivf_index_layout layout;
    struct mpivf_file file = {.fd = -1, .path = partial};
    if (spill->ranges == 0)
        return MPIVF_OK;
    mpivf_status status = sort_rows(spill);
    spill->meta.rows = spill->rows;
    spill->meta.rejected = spill->rejects;
    spill->meta.ranges = spill->ranges;
    if (status == MPIVF_OK)
        status = mpivf_path(ctx, path, MPIVF_SHARD_NAME, folder,
                            (unsigned long long)spill->range[0].row,
                            (unsigned long long)(spill->rows + spill->rejects));
    if (status == MPIVF_OK)
        status = mpivf_path(ctx, partial, "%s.partial", path);
    if (status)
        return status;
    status = mpivf_index_create(ctx, partial, &spill->meta, NULL, spill->offset, spill->rejected,
                                spill->range, &layout);
    if (status == MPIVF_OK)
        status = mpivf_file_update(ctx, partial, &file);
    if (status == MPIVF_OK)
        status = write_rows(spill, &file, &layout);
    status = mpivf_file_finish(ctx, &file, path, status);
    spill->rows = spill->rejects = spill->ranges = 0;
    return status;
}
