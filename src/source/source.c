#include <mpivf/source.h>

#include "base/compare.h"
#include "base/rng.h"
#include "io/checksum.h"
#include "source/backend.h"
#include "source/decode.h"

#include <stdio.h>
#include <stdlib.h>
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

/* What every format has to keep to, so that no later product overflows. */
static mpivf_status
check_shape(struct mpivf_context *ctx, const char *name, const struct mpivf_h5_shape *shape, bool ids)
{
    unsigned long long rows = shape->rows, dim = shape->dim;
    uint64_t row_bytes, bytes;
    if (rows == 0 || dim == 0)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' has %llu rows of %llu columns: nothing to read", name,
                          rows, dim);
    if (dim > MPIVF_MOST_COLUMNS)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' has %llu columns, and %llu are the most that are "
                          "supported; is it transposed?", name, dim,
                          (unsigned long long)MPIVF_MOST_COLUMNS);
    if (__builtin_mul_overflow(shape->dim, sizeof(double), &row_bytes) ||
        __builtin_mul_overflow(row_bytes, shape->rows, &bytes) || bytes > INT64_MAX ||
        rows > MPIVF_MOST_ROWS)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' has %llu rows of %llu columns: too large", name, rows,
                          dim);
    if (!ids && shape->type > MPIVF_I8)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' holds %s; vectors are f16 f32 f64 u8 i8", name,
                          mpivf_type_name(shape->type));
    if (ids && (shape->type < MPIVF_I32 || dim != 1))
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' is %llu x %llu of %s; ids are one integer a row", name,
                          rows, dim, mpivf_type_name(shape->type));
    return MPIVF_OK;
}

static mpivf_status
describe(struct mpivf_context *ctx, const char *name, const char *fallback, bool ids,
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
    return status ? status : check_shape(ctx, name, &plan->shape, ids);
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

static mpivf_status
open_all(struct mpivf_source *source, const struct mpivf_par *par, const char *name,
         const char *fallback, bool ids, enum mpivf_read_mode mode)
{
    struct mpivf_context *ctx = par->ctx;
    memset(source, 0, sizeof *source);
    source->par = par;
    struct mpivf_source_plan *plan = mpivf_alloc_zero(ctx, "a source", 1, sizeof *plan);
    mpivf_status status = plan ? MPIVF_OK : MPIVF_MEMORY;
    if (plan && par->rank == 0) {
        plan->mode = mode;
        status = describe(ctx, name, fallback, ids, plan);
    }
    status = mpivf_agree_all(par, status);
    if (status) {
        mpivf_free(ctx, plan);
        return status;
    }
    mpivf_bcast_all(par, plan, sizeof *plan);
    const struct mpivf_h5_shape *shape = &plan->shape;
    memcpy(source->object, plan->object, sizeof source->object);
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

mpivf_status
mpivf_source_open_all(struct mpivf_source *source, const struct mpivf_par *par, const char *name,
                      const char *fallback, enum mpivf_read_mode mode)
{
    return open_all(source, par, name, fallback, false, mode);
}

mpivf_status
mpivf_source_open_ids_all(struct mpivf_source *source, const struct mpivf_par *par,
                          const char *name, const char *fallback, enum mpivf_read_mode mode,
                          uint64_t rows)
{
    mpivf_status status = open_all(source, par, name, fallback, true, mode);
    if (status == MPIVF_OK && source->rows != rows)
        status = mpivf_fail(par->ctx, MPIVF_INPUT, "--ids '%s' has %llu ids for %llu rows", name,
                            (unsigned long long)source->rows, (unsigned long long)rows);
    return status;
}

void
mpivf_source_close_all(struct mpivf_source *source)
{
    if (source->state)
        source->ops->close_all(source);
    source->state = NULL;
}

struct mpivf_range
mpivf_source_share(const struct mpivf_source *source, int part, int parts)
{
    uint64_t first = mpivf_share_first(source->blocks, part, parts) * source->block_rows;
    uint64_t end = mpivf_share_first(source->blocks, part + 1, parts) * source->block_rows;
    end = end < source->rows ? end : source->rows;
    first = first < end ? first : end;
    return (struct mpivf_range){first, end - first};
}

size_t
mpivf_source_row_bytes(const struct mpivf_source *source)
{
    size_t size = mpivf_type_size(source->type);
    return source->dim * (size > sizeof(float) ? size : sizeof(float));
}

mpivf_status
mpivf_source_read_raw_all(struct mpivf_source *source, const struct mpivf_range *range,
                          size_t ranges, void *buffer)
{
    source->bytes_read +=
        mpivf_range_rows(range, ranges) * source->dim * mpivf_type_size(source->type);
    return source->ops->read_all(source, range, ranges, buffer);
}

/* Read so that decoding in place, front to back, never overwrites what it still needs. */
static mpivf_status
read_behind_all(struct mpivf_source *source, const struct mpivf_range *range, size_t ranges,
                void *buffer, size_t out_size, void **raw)
{
    size_t size = mpivf_type_size(source->type);
    size_t values = mpivf_range_rows(range, ranges) * source->dim;
    *raw = size < out_size ? (char *)buffer + values * (out_size - size) : buffer;
    return mpivf_source_read_raw_all(source, range, ranges, *raw);
}

mpivf_status
mpivf_source_read_all(struct mpivf_source *source, const struct mpivf_range *range, size_t ranges,
                      float *buffer)
{
    void *raw;
    mpivf_status status = read_behind_all(source, range, ranges, buffer, sizeof *buffer, &raw);
    if (status == MPIVF_OK)
        mpivf_decode_f32(source->type, source->swapped, raw,
                         mpivf_range_rows(range, ranges) * source->dim, buffer);
    return status;
}

void
mpivf_source_ahead(struct mpivf_source *source, const struct mpivf_range *range, size_t ranges)
{
    if (source->ops->ahead)
        source->ops->ahead(source, range, ranges);
}

mpivf_status
mpivf_source_read_ids_all(struct mpivf_source *source, const struct mpivf_range *range,
                          size_t ranges, int64_t *buffer)
{
    void *raw;
    mpivf_status status = read_behind_all(source, range, ranges, buffer, sizeof *buffer, &raw);
    if (status == MPIVF_OK)
        mpivf_decode_i64(source->type, source->swapped, raw, mpivf_range_rows(range, ranges), buffer);
    return status;
}

mpivf_status
mpivf_source_load_all(struct mpivf_source *source, uint64_t count, uint64_t first, uint64_t n,
                      float **rows)
{
    struct mpivf_context *ctx = source->par->ctx;
    float *buffer = mpivf_alloc(ctx, "the queries", n, mpivf_source_row_bytes(source));
    struct mpivf_range *range = mpivf_alloc(ctx, "the queries", n, sizeof *range);
    mpivf_status status = mpivf_agree_all(source->par, buffer && range ? MPIVF_OK : MPIVF_MEMORY);
    if (status == MPIVF_OK) {
        for (uint64_t i = 0; i < n; i++)
            range[i] = (struct mpivf_range){mpivf_source_spread(source->rows, count, first + i), 1};
        status = mpivf_source_read_all(source, range, mpivf_range_normalise(range, n, NULL), buffer);
    }
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
    void *row = mpivf_alloc(ctx, "a row", 1, mpivf_source_row_bytes(source));
    mpivf_status status = mpivf_agree_all(source->par, row ? MPIVF_OK : MPIVF_MEMORY);
    if (status) {
        mpivf_free(ctx, row);
        return status;
    }
    uint64_t number[PRINT_ROWS];
    for (uint64_t i = 0; i < PRINT_ROWS; i++)
        number[i] = mpivf_random(0, MPIVF_FOR_PRINT, i) % source->rows;
    qsort(number, PRINT_ROWS, sizeof *number, mpivf_compare_u64); /* each chunk once */
    for (uint64_t i = 0; i < PRINT_ROWS; i++) { /* a rank that failed keeps reading along */
        struct mpivf_range one = {number[i], 1};
        mpivf_status now = mpivf_source_read_raw_all(source, &one, 1, row);
        status = status ? status : now;
        sum[i + 3] = mpivf_checksum_of(row, source->dim * mpivf_type_size(source->type));
    }
    mpivf_free(ctx, row);
    status = mpivf_agree_all(source->par, status);
    if (status == MPIVF_OK)
        *fingerprint = mpivf_checksum_of(sum, sizeof sum);
    return status;
}
