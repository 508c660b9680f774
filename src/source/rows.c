/*
 * Rows of an open source: read, decoded, and those that were never written spoilt where that is
 * asked for.
 */
#include "source/backend.h"
#include "source/decode.h"

#include <math.h>
#include <string.h>

size_t
mpivf_source_row_bytes(const struct mpivf_source *source)
{
    size_t size = mpivf_type_size(source->type);
    return source->dim * (size > sizeof(float) ? size : sizeof(float));
}

mpivf_status
mpivf_source_read_raw_each(struct mpivf_source *source, const struct mpivf_range *range,
                           size_t ranges, void *buffer)
{
    source->bytes_read +=
        mpivf_range_rows(range, ranges) * source->dim * mpivf_type_size(source->type);
    return source->ops->read_each(source, range, ranges, buffer);
}

/* Read so that decoding in place, front to back, never overwrites what it still needs. */
static mpivf_status
read_behind_each(struct mpivf_source *source, const struct mpivf_range *range, size_t ranges,
                 void *buffer, size_t out_size, void **raw)
{
    size_t size = mpivf_type_size(source->type);
    size_t values = mpivf_range_rows(range, ranges) * source->dim;
    *raw = size < out_size ? (char *)buffer + values * (out_size - size) : buffer;
    return mpivf_source_read_raw_each(source, range, ranges, *raw);
}

/* The first range of rows that count as unwritten and end behind `row`. */
static size_t
first_unwritten(const struct mpivf_source *source, uint64_t row)
{
    size_t low = 0, high = source->unwritten_ranges;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (source->unwritten[middle].row + source->unwritten[middle].rows <= row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/*
 * Rows that count as unwritten become bad rows, whatever was read; values are float32 or float64.
 */
static void
spoil_range(const struct mpivf_source *source, struct mpivf_range range, char *buffer, size_t size)
{
    static const float bad32 = NAN;
    static const double bad64 = NAN;
    const void *value = size == sizeof bad64 ? (const void *)&bad64 : &bad32;
    uint64_t end = range.row + range.rows;
    for (size_t i = first_unwritten(source, range.row); i < source->unwritten_ranges; i++) {
        struct mpivf_range bad = source->unwritten[i];
        for (uint64_t row = bad.row > range.row ? bad.row : range.row;
             row < bad.row + bad.rows && row < end; row++)
            memcpy(buffer + (row - range.row) * source->dim * size, value, size);
        if (bad.row >= end)
            break;
    }
}

static void
spoil_unwritten(const struct mpivf_source *source, const struct mpivf_range *range, size_t ranges,
                void *buffer, size_t size)
{
    char *at = buffer;
    for (size_t i = 0; i < ranges && source->unwritten_ranges > 0; i++) {
        spoil_range(source, range[i], at, size);
        at += range[i].rows * source->dim * size;
    }
}

mpivf_status
mpivf_source_read_each(struct mpivf_source *source, const struct mpivf_range *range, size_t ranges,
                       float *buffer)
{
    void *raw;
    mpivf_status status = read_behind_each(source, range, ranges, buffer, sizeof *buffer, &raw);
    if (status == MPIVF_OK)
        mpivf_decode_f32(source->type, source->swapped, raw,
                         mpivf_range_rows(range, ranges) * source->dim, buffer);
    spoil_unwritten(source, range, ranges, buffer, sizeof *buffer);
    return status;
}

mpivf_status
mpivf_source_read_measured_each(struct mpivf_source *source, const struct mpivf_range *range,
                                size_t ranges, float *buffer, double *lost)
{
    size_t rows = mpivf_range_rows(range, ranges);
    if (source->type != MPIVF_F64) {
        memset(lost, 0, rows * sizeof *lost);
        return mpivf_source_read_each(source, range, ranges, buffer);
    }
    double *wide = (double *)(void *)buffer;
    mpivf_status status = mpivf_source_read_f64_each(source, range, ranges, wide);
    if (status == MPIVF_OK)
        mpivf_decode_narrow(wide, rows, source->dim, buffer, lost);
    return status;
}

mpivf_status
mpivf_source_read_f64_each(struct mpivf_source *source, const struct mpivf_range *range,
                           size_t ranges, double *buffer)
{
    void *raw;
    mpivf_status status = read_behind_each(source, range, ranges, buffer, sizeof *buffer, &raw);
    if (status == MPIVF_OK)
        mpivf_decode_f64(source->type, source->swapped, raw,
                         mpivf_range_rows(range, ranges) * source->dim, buffer);
    spoil_unwritten(source, range, ranges, buffer, sizeof *buffer);
    return status;
}

void
mpivf_source_ahead(struct mpivf_source *source, const struct mpivf_range *range, size_t ranges)
{
    if (source->ops->ahead)
        source->ops->ahead(source, range, ranges);
}

mpivf_status
mpivf_source_read_ids_each(struct mpivf_source *source, const struct mpivf_range *range,
                           size_t ranges, int64_t *buffer)
{
    void *raw;
    mpivf_status status = read_behind_each(source, range, ranges, buffer, sizeof *buffer, &raw);
    if (status == MPIVF_OK)
        mpivf_decode_i64(source->type, source->swapped, raw, mpivf_range_rows(range, ranges),
                         buffer);
    return status;
}

/* Rows to load, into a new buffer of so many bytes a row. */
static mpivf_status
load_all(struct mpivf_source *source, uint64_t count, struct mpivf_range numbers, bool f64,
         void **rows)
{
    struct mpivf_context *ctx = source->par->ctx;
    uint64_t n = numbers.rows;
    size_t row_bytes = f64 ? source->dim * sizeof(double) : mpivf_source_row_bytes(source);
    void *buffer = mpivf_alloc(ctx, "the queries", n, row_bytes);
    struct mpivf_range *range = mpivf_alloc(ctx, "the queries", n, sizeof *range);
    mpivf_status status = mpivf_agree_all(source->par, buffer && range ? MPIVF_OK : MPIVF_MEMORY);
    if (status == MPIVF_OK) {
        for (uint64_t i = 0; i < n; i++)
            range[i] =
                (struct mpivf_range){mpivf_source_spread(source->rows, count, numbers.row + i), 1};
        size_t ranges = mpivf_range_normalise(range, n, NULL);
        status = f64 ? mpivf_source_read_f64_each(source, range, ranges, buffer)
                     : mpivf_source_read_each(source, range, ranges, buffer);
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
mpivf_source_load_all(struct mpivf_source *source, uint64_t count, uint64_t first, uint64_t n,
                      float **rows)
{
    void *loaded = NULL;
    mpivf_status status = load_all(source, count, (struct mpivf_range){first, n}, false, &loaded);
    if (status == MPIVF_OK)
        *rows = loaded;
    return status;
}

mpivf_status
mpivf_source_load_f64_all(struct mpivf_source *source, uint64_t count, uint64_t first, uint64_t n,
                          double **rows)
{
    void *loaded = NULL;
    mpivf_status status = load_all(source, count, (struct mpivf_range){first, n}, true, &loaded);
    if (status == MPIVF_OK)
        *rows = loaded;
    return status;
}
