#include "build/sample.h"

#include "base/then.h"
#include "io/folder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_BLOCK = 256 << 20, /* bytes of a block of a scratch file, where rows are not very wide */
    MIN_BLOCK = 256,       /* rows of it */
    CENTRE_ROWS = 4096     /* so many rows tell the mean well enough */
};

static void
lay_out(struct mpivf_sample *sample, struct mpivf_pool *pool, size_t places)
{
    sample->row = mpivf_pool_take(pool, sample->block_rows, sample->dim * sizeof *sample->row);
    sample->key = mpivf_pool_take(pool, places, sizeof *sample->key);
    sample->list = mpivf_pool_take(pool, places, sizeof *sample->list);
    sample->order = mpivf_pool_take(pool, sample->block_rows, sizeof *sample->order);
    sample->old = mpivf_pool_take(pool, sample->block_rows, sizeof *sample->old);
    sample->centre = mpivf_pool_take(pool, sample->dim, sizeof *sample->centre);
}

static size_t
bytes_for(size_t dim, size_t rows, size_t block_rows)
{
    struct mpivf_sample sample = {.dim = dim, .block_rows = block_rows};
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(&sample, &pool, rows);
    return pool.bytes;
}

size_t
mpivf_sample_bytes(size_t dim, size_t rows, size_t block_rows, int threads)
{
    size_t fixed = bytes_for(dim, rows, 0);
    size_t each = mpivf_pool_slope(bytes_for(dim, rows, MPIVF_POOL_MANY), fixed, MPIVF_POOL_MANY) +
                  mpivf_prepare_query_bytes(mpivf_filter_best(dim), dim);
    return fixed + MPIVF_SAMPLE_LEVELS * mpivf_prepare_fixed_bytes(dim, threads) +
           block_rows * each;
}

size_t
mpivf_sample_min_bytes(size_t dim, size_t rows, int threads)
{
    size_t block = rows < MIN_BLOCK ? rows : MIN_BLOCK;
    return mpivf_sample_bytes(dim, rows, block, threads);
}

static bool
streams(const struct mpivf_sample *sample)
{
    return sample->file.fd >= 0;
}

/* Choose between memory and a scratch file. */
static mpivf_status
choose_store(struct mpivf_sample *sample, size_t memory)
{
    struct mpivf_context *ctx = sample->ctx;
    char text[64];
    size_t places = sample->first[MPIVF_SAMPLE_LEVELS], dim = sample->dim;
    size_t fixed = mpivf_sample_bytes(dim, places, 0, ctx->threads);
    size_t bytes = mpivf_sample_bytes(dim, places, 1, ctx->threads) - fixed;
    size_t left = memory > fixed ? memory - fixed : 0;
    sample->block_rows = places;
    if (left / bytes >= places)
        return MPIVF_OK;
    size_t max = MAX_BLOCK / bytes < MIN_BLOCK ? MIN_BLOCK : MAX_BLOCK / bytes;
    sample->block_rows = left / bytes < max ? left / bytes : max;
    if (sample->block_rows < MIN_BLOCK) {
        size_t min = mpivf_sample_min_bytes(dim, places, ctx->threads);
        size_t beside =
            ctx->memory.limit > 0 ? mpivf_memory_left(ctx) - memory : 0; /* for training */
        snprintf(text, sizeof text, "a sample of %zu rows", places);
        return mpivf_memory_short(ctx, text, min + beside, "ask for a smaller --sample");
    }
    mpivf_status status =
        mpivf_folder_space(ctx, sample->path, (uint64_t)places * dim * sizeof(float),
                           "a sample that is larger than the memory");
    THEN(status, mpivf_file_nameless(ctx, sample->path, &sample->file));
    return status;
}

mpivf_status
mpivf_sample_init(struct mpivf_context *ctx, struct mpivf_sample *sample, enum mpivf_metric metric,
                  size_t dim, const size_t room[MPIVF_SAMPLE_LEVELS], size_t memory,
                  const char *path)
{
    *sample = (struct mpivf_sample){
        .ctx = ctx, .metric = metric, .dim = dim, .file.fd = -1, .loaded = SIZE_MAX};
    mpivf_path_folder(path, sample->path);
    for (int l = 0; l < MPIVF_SAMPLE_LEVELS; l++)
        sample->first[l + 1] = sample->first[l] + room[l];
    mpivf_status status = choose_store(sample, memory);
    if (status)
        return status;
    size_t places = sample->first[MPIVF_SAMPLE_LEVELS];
    sample->pool = mpivf_pool_taking(ctx, "the training sample (a smaller --sample needs less)");
    lay_out(sample, &sample->pool, places);
    if (sample->pool.failed)
        return MPIVF_MEMORY;
    memset(sample->centre, 0, dim * sizeof *sample->centre);
    return MPIVF_OK;
}

void
mpivf_sample_clear(struct mpivf_sample *sample)
{
    if (sample->ctx == NULL)
        return;
    for (int l = 0; l < MPIVF_SAMPLE_LEVELS; l++)
        mpivf_packed_queries_clear(&sample->prepared[l]);
    mpivf_file_drop(&sample->file);
    mpivf_pool_clear(&sample->pool);
    memset(sample, 0, sizeof *sample);
}

static mpivf_status
transfer(struct mpivf_sample *sample, bool write, float *row, size_t place, size_t rows)
{
    uint64_t bytes = (uint64_t)rows * sample->dim * sizeof *row;
    uint64_t offset = (uint64_t)place * sample->dim * sizeof *row;
    if (write) {
        sample->bytes_written += bytes;
        return mpivf_file_write(sample->ctx, &sample->file, row, bytes, offset);
    }
    sample->bytes_read += bytes;
    return mpivf_file_read(sample->ctx, &sample->file, row, bytes, offset);
}

mpivf_status
mpivf_sample_put(struct mpivf_sample *sample, enum mpivf_sample_level level, const float *row,
                 uint64_t key)
{
    size_t dim = sample->dim, place = sample->first[level] + sample->rows[level];
    size_t seen = mpivf_sample_rows(sample, MPIVF_SAMPLE_ALL);
    if (place == sample->first[level + 1])
        return mpivf_fail(sample->ctx, MPIVF_INTERNAL, "the sample overflows");
    sample->max = fmax(sample->max, (double)mpivf_kernel()->largest(row, dim));
    for (size_t j = 0; j < dim && seen < CENTRE_ROWS; j++)
        sample->centre[j] += (row[j] - sample->centre[j]) / (float)(seen + 1);
    sample->key[place] = key;
    sample->rows[level]++;
    if (!streams(sample)) {
        memcpy(sample->row + place * dim, row, dim * sizeof *row);
        return MPIVF_OK;
    }
    /* a level's rows gather in its share of the buffer */
    size_t part = sample->block_rows / MPIVF_SAMPLE_LEVELS, at = sample->rows[level] % part;
    float *share = sample->row + (size_t)level * part * dim;
    memcpy(share + (at > 0 ? at - 1 : part - 1) * dim, row, dim * sizeof *row);
    return at > 0 ? MPIVF_OK : transfer(sample, true, share, place + 1 - part, part);
}

mpivf_status
mpivf_sample_ready(struct mpivf_sample *sample)
{
    mpivf_status status = MPIVF_OK;
    size_t part = sample->block_rows / MPIVF_SAMPLE_LEVELS;
    for (int l = 0; l < MPIVF_SAMPLE_LEVELS && streams(sample) && status == MPIVF_OK; l++) {
        size_t rest = sample->rows[l] % part;
        status = transfer(sample, true, sample->row + (size_t)l * part * sample->dim,
                          sample->first[l] + sample->rows[l] - rest, rest);
    }
    return status;
}

size_t
mpivf_sample_rows(const struct mpivf_sample *sample, enum mpivf_sample_level level)
{
    size_t rows = 0;
    for (int l = 0; l <= (int)level; l++)
        rows += sample->rows[l];
    return rows;
}

size_t
mpivf_sample_place(const struct mpivf_sample *sample, size_t i)
{
    int l = 0;
    for (; l < MPIVF_SAMPLE_ALL && i >= sample->rows[l]; l++)
        i -= sample->rows[l];
    return sample->first[l] + i;
}

mpivf_status
mpivf_sample_row(struct mpivf_sample *sample, size_t place, float *row)
{
    if (streams(sample))
        return transfer(sample, false, row, place, 1);
    memcpy(row, sample->row + place * sample->dim, sample->dim * sizeof *row);
    return MPIVF_OK;
}

static size_t
level_blocks(const struct mpivf_sample *sample, int level)
{
    if (!streams(sample))
        return 1; /* of any size */
    return (sample->rows[level] + sample->block_rows - 1) / sample->block_rows;
}

size_t
mpivf_sample_blocks(const struct mpivf_sample *sample, enum mpivf_sample_level level)
{
    size_t blocks = 0;
    for (int l = 0; l <= (int)level; l++)
        blocks += level_blocks(sample, l);
    return blocks;
}

static mpivf_status
prepare(struct mpivf_sample *sample, struct mpivf_packed_queries *rows, const float *row, size_t n,
        size_t room)
{
    if (rows->capacity == 0) {
        mpivf_status status = mpivf_coarse_prepare(sample->ctx, rows, sample->dim, room);
        if (status)
            return status;
    }
    mpivf_packed_queries_fill(rows, row, n, sample->centre);
    return MPIVF_OK;
}

mpivf_status
mpivf_sample_block(struct mpivf_sample *sample, size_t b, struct mpivf_sample_block *block)
{
    size_t number = b;
    int l = 0;
    for (; number >= level_blocks(sample, l); l++)
        number -= level_blocks(sample, l);
    size_t at = number * sample->block_rows, left = sample->rows[l] - at;
    size_t n = left < sample->block_rows ? left : sample->block_rows;
    block->level = (enum mpivf_sample_level)l;
    block->first = sample->first[l] + at;
    if (!streams(sample)) {
        struct mpivf_packed_queries *rows = &sample->prepared[l];
        block->rows = rows;
        return rows->capacity > 0 || n == 0 /* once */
                   ? MPIVF_OK
                   : prepare(sample, rows, sample->row + block->first * sample->dim, n, n);
    }
    block->rows = &sample->prepared[0];
    if (sample->loaded == b)
        return MPIVF_OK;
    sample->loaded = SIZE_MAX;
    mpivf_status status = transfer(sample, false, sample->row, block->first, n);
    uint64_t bytes = sample->dim * sizeof(float); /* the next is fetched while this one is used */
    mpivf_file_ahead(&sample->file, (block->first + n) * bytes, n * bytes);
    THEN(status, prepare(sample, &sample->prepared[0], sample->row, n, sample->block_rows));
    if (status == MPIVF_OK)
        sample->loaded = b;
    return status;
}
