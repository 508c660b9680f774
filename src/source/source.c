#include <mpivf/source.h>

#include "base/rng.h"
#include "io/checksum.h"
#include "source/backend.h"
#include "source/decode.h"

#include <stdio.h>
#include <string.h>

static const struct mpivf_source_ops *const backends[] = {&mpivf_source_hdf5, &mpivf_source_npy};
enum { BACKENDS = sizeof backends / sizeof backends[0] };

enum {
    BLOCK_BYTES = 4 << 20, /* large enough for a disk, small enough to deal fairly */
    BLOCKS = 1024,         /* a smaller file is still dealt in about so many */
    PRINT_ROWS = 64
};

/* Split FILE[:OBJECT]. A file whose own name has the colon wins. */
static mpivf_status
split_name(struct mpivf_context *ctx, const char *name, const char *fallback,
           struct mpivf_source_plan *plan)
{
    const char *colon = mpivf_file_exists(name) ? NULL : strrchr(name, ':');
    size_t length = colon ? (size_t)(colon - name) : strlen(name);
    snprintf(plan->object, sizeof plan->object, "%s", colon ? colon + 1 : "");
    mpivf_status status = mpivf_path(ctx, plan->path, "%.*s", (int)length, name);
    if (status == MPIVF_OK && !mpivf_file_exists(plan->path))
        return mpivf_fail(ctx, MPIVF_INPUT, "there is no file '%s'", plan->path);
    if (colon == NULL && fallback && mpivf_h5_is(plan->path))
        snprintf(plan->object, sizeof plan->object, "%s", fallback);
    return status;
}

static mpivf_status
describe(struct mpivf_context *ctx, const char *name, const char *fallback,
         struct mpivf_source_plan *plan)
{
    mpivf_status status = split_name(ctx, name, fallback, plan);
    if (status)
        return status;
    struct mpivf_file probe;
    status = mpivf_file_open(ctx, plan->path, &probe); /* says why it cannot be read */
    mpivf_file_drop(&probe);
    if (status)
        return status;
    while (plan->ops < BACKENDS && !backends[plan->ops]->is(plan->path))
        plan->ops++;
    if (plan->ops == BACKENDS)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' is neither an HDF5 nor an .npy file, or damaged",
                          plan->path);
    status = backends[plan->ops]->describe(ctx, plan);
    if (status == MPIVF_OK && (plan->shape.rows == 0 || plan->shape.dim == 0))
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' has %llu rows of %llu columns: nothing to read",
                          name, (unsigned long long)plan->shape.rows,
                          (unsigned long long)plan->shape.dim);
    return status;
}

static uint64_t
block_rows_of(const struct mpivf_source *source)
{
    uint64_t row_bytes = source->dim * mpivf_type_size(source->type);
    uint64_t rows = BLOCK_BYTES / row_bytes, even = (source->rows + BLOCKS - 1) / BLOCKS;
    if (rows > even)
        rows = even;
    if (rows < 1)
        rows = 1;
    uint64_t chunk = source->chunk_rows ? source->chunk_rows : 1;
    return (rows + chunk - 1) / chunk * chunk;
}

mpivf_status
mpivf_source_open_all(struct mpivf_source *source, const struct mpivf_par *par, const char *name,
                      const char *fallback, enum mpivf_read_mode mode)
{
    struct mpivf_context *ctx = par->ctx;
    memset(source, 0, sizeof *source);
    source->par = par;
    struct mpivf_source_plan *plan = mpivf_alloc_zero(ctx, "a source", 1, sizeof *plan);
    mpivf_status status = plan ? MPIVF_OK : MPIVF_MEMORY;
    if (plan && par->rank == 0) {
        plan->mode = mode;
        status = describe(ctx, name, fallback, plan);
    }
    status = mpivf_agree_all(par, status);
    if (status) {
        mpivf_free(ctx, plan);
        return status;
    }
    mpivf_bcast_all(par, plan, sizeof *plan);
    const struct mpivf_h5_shape *shape = &plan->shape;
    source->rows = shape->rows;
    source->dim = shape->dim;
    source->type = shape->type;
    source->swapped = shape->swapped;
    source->chunk_rows = shape->chunk_rows;
    source->block_rows = block_rows_of(source);
    source->blocks = (source->rows + source->block_rows - 1) / source->block_rows;
    source->ops = backends[plan->ops];
    status = source->ops->open_all(source, plan);
    if (status)
        source->state = NULL;
    mpivf_free(ctx, plan);
    return status;
}

void
mpivf_source_close_all(struct mpivf_source *source)
{
    if (source->state)
        source->ops->close_all(source);
    source->state = NULL;
}

size_t
mpivf_source_row_bytes(const struct mpivf_source *source)
{
    size_t size = mpivf_type_size(source->type);
    return source->dim * (size > sizeof(float) ? size : sizeof(float));
}

static uint64_t
rows_in(const struct mpivf_range *range, size_t ranges)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < ranges; i++)
        rows += range[i].rows;
    return rows;
}

/* Read so that decoding in place, front to back, never overwrites what it still needs. */
static mpivf_status
read_raw_all(struct mpivf_source *source, const struct mpivf_range *range, size_t ranges,
             void *buffer, size_t out_size, void **raw)
{
    size_t size = mpivf_type_size(source->type);
    size_t values = rows_in(range, ranges) * source->dim;
    *raw = size < out_size ? (char *)buffer + values * (out_size - size) : buffer;
    source->bytes_read += values * size;
    return source->ops->read_all(source, range, ranges, *raw);
}

mpivf_status
mpivf_source_read_all(struct mpivf_source *source, const struct mpivf_range *range, size_t ranges,
                      float *buffer)
{
    void *raw;
    mpivf_status status = read_raw_all(source, range, ranges, buffer, sizeof *buffer, &raw);
    if (source->type > MPIVF_I8 && status == MPIVF_OK)
        status = mpivf_fail(source->par->ctx, MPIVF_INPUT, "vectors of type %s are not read",
                            mpivf_type_name(source->type));
    if (status == MPIVF_OK)
        mpivf_decode_f32(source->type, source->swapped, raw,
                         rows_in(range, ranges) * source->dim, buffer);
    return status;
}

mpivf_status
mpivf_source_read_ids_all(struct mpivf_source *source, const struct mpivf_range *range,
                          size_t ranges, int64_t *buffer)
{
    void *raw;
    mpivf_status status = read_raw_all(source, range, ranges, buffer, sizeof *buffer, &raw);
    if (status == MPIVF_OK)
        mpivf_decode_i64(source->type, source->swapped, raw, rows_in(range, ranges), buffer);
    return status;
}

/* Ranges of the rows i * rows / count. */
static size_t
spread_rows(const struct mpivf_source *source, uint64_t count, struct mpivf_range *range)
{
    for (uint64_t i = 0; i < count; i++)
        range[i] = (struct mpivf_range){(uint64_t)((__uint128_t)i * source->rows / count), 1};
    return mpivf_range_normalise(range, count, NULL);
}

mpivf_status
mpivf_source_load_all(struct mpivf_source *source, uint64_t count, float **rows)
{
    struct mpivf_context *ctx = source->par->ctx;
    float *buffer = mpivf_alloc(ctx, "the queries", count, mpivf_source_row_bytes(source));
    struct mpivf_range *range = mpivf_alloc(ctx, "the queries", count, sizeof *range);
    mpivf_status status = mpivf_agree_all(source->par, buffer && range ? MPIVF_OK : MPIVF_MEMORY);
    if (status == MPIVF_OK)
        status = mpivf_source_read_all(source, range, spread_rows(source, count, range), buffer);
    status = mpivf_agree_all(source->par, status);
    mpivf_free(ctx, range);
    if (status)
        mpivf_free(ctx, buffer);
    else
        *rows = buffer;
    return status;
}

mpivf_status
mpivf_source_fingerprint_all(struct mpivf_source *source, uint64_t *fingerprint)
{
    struct mpivf_context *ctx = source->par->ctx;
    uint64_t sum[PRINT_ROWS + 3] = {source->rows, source->dim, source->type};
    void *row = mpivf_alloc(ctx, "a row", 1, mpivf_source_row_bytes(source)), *raw;
    mpivf_status status = mpivf_agree_all(source->par, row ? MPIVF_OK : MPIVF_MEMORY);
    if (status) {
        mpivf_free(ctx, row);
        return status;
    }
    for (uint64_t i = 0; i < PRINT_ROWS; i++) { /* a rank that failed keeps reading along */
        struct mpivf_range one = {mpivf_random(0, MPIVF_FOR_PRINT, i) % source->rows, 1};
        mpivf_status now = read_raw_all(source, &one, 1, row, 0, &raw);
        status = status ? status : now;
        sum[i + 3] = mpivf_checksum_of(raw, source->dim * mpivf_type_size(source->type));
    }
    mpivf_free(ctx, row);
    status = mpivf_agree_all(source->par, status);
    if (status == MPIVF_OK)
        *fingerprint = mpivf_checksum_of(sum, sizeof sum);
    return status;
}
