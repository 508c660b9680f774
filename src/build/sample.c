#include "build/sample.h"

#include "base/rng.h"
#include "build/smallest.h"
#include "math/distance.h"
#include "source/slab.h"

#include <string.h>

enum { NEAR_BYTES = 64 << 10, MOST_RANGES = 4096, BUFFER = 16 << 20 };

struct numbers {
    uint64_t seed, first;
};

static uint64_t
hash_of_number(void *arg, size_t i)
{
    const struct numbers *numbers = arg;
    return mpivf_random(numbers->seed, MPIVF_FOR_SAMPLE, numbers->first + i);
}

/* The hash at or below which `wanted` of the row numbers lie; every rank hashes an even share. */
static uint64_t
threshold_all(const struct mpivf_par *par, uint64_t seed, uint64_t rows, uint64_t wanted)
{
    uint64_t first = mpivf_share_first(rows, par->rank, par->size);
    struct numbers numbers = {seed, first};
    size_t count = mpivf_share_first(rows, par->rank + 1, par->size) - first;
    return mpivf_smallest_all(par, hash_of_number, &numbers, count, wanted);
}

void
mpivf_sample_clear(struct mpivf_context *ctx, struct mpivf_sample *sample)
{
    mpivf_free(ctx, sample->row);
    mpivf_free(ctx, sample->key);
    memset(sample, 0, sizeof *sample);
}

/* Reading the sample: from runs of the slab to runs around sampled rows. */
struct reading {
    struct mpivf_source *source;
    struct mpivf_slab slab;
    uint64_t seed, threshold;
    uint64_t near;                     /* rows between two sampled ones that are read along */
    struct mpivf_range run;            /* of the slab, what is left of it */
    struct mpivf_range *range;         /* owned, [MOST_RANGES] */
    size_t ranges;
    float *buffer;                     /* owned */
    uint64_t most_rows;
};

static bool
drawn(const struct reading *r, uint64_t row)
{
    return mpivf_random(r->seed, MPIVF_FOR_SAMPLE, row) <= r->threshold;
}

/* Choose the next ranges that hold sampled rows, a buffer's worth. False at the end. */
static bool
next_ranges(struct reading *r)
{
    uint64_t rows = 0, got;
    r->ranges = 0;
    for (;;) {
        if (r->run.rows == 0 && mpivf_slab_next(&r->slab, UINT64_MAX, &r->run, 1, &got) == 0)
            break;
        uint64_t row = r->run.row, end = row + r->run.rows;
        for (; row < end; row++) {
            if (!drawn(r, row))
                continue;
            /* only inside a run: the rows between two runs are not this rank's */
            struct mpivf_range *last = r->ranges > 0 ? &r->range[r->ranges - 1] : NULL;
            last = last && last->row >= r->run.row ? last : NULL;
            uint64_t gap = last && row >= last->row + last->rows ? row - (last->row + last->rows)
                                                                 : UINT64_MAX;
            uint64_t more = gap <= r->near ? gap + 1 : 1;
            if (rows + more > r->most_rows || (gap > r->near && r->ranges == MOST_RANGES))
                break;
            rows += more;
            if (gap <= r->near)
                last->rows += more;
            else
                r->range[r->ranges++] = (struct mpivf_range){row, 1};
        }
        r->run = (struct mpivf_range){row, end - row};
        if (row < end)
            break; /* the buffer is full */
    }
    r->ranges = mpivf_range_normalise(r->range, r->ranges, NULL);
    return r->ranges > 0;
}

/* Move the sampled rows of the buffer to the sample. */
static mpivf_status
keep_rows(struct reading *r, const struct mpivf_train_options *options, size_t capacity,
          struct mpivf_sample *sample)
{
    size_t dim = r->source->dim;
    const float *from = r->buffer;
    for (size_t i = 0; i < r->ranges; i++)
        for (uint64_t row = r->range[i].row; row < r->range[i].row + r->range[i].rows; row++, from += dim) {
            if (!drawn(r, row))
                continue;
            if (!mpivf_finite(from, dim)) {
                if (options->bad_rows == MPIVF_BAD_ROWS_SKIP)
                    continue;
                return mpivf_fail(r->source->par->ctx, MPIVF_INPUT,
                                  "row %llu has a value that is not finite; --bad-rows skip leaves "
                                  "such rows out", (unsigned long long)row);
            }
            if (sample->rows == capacity)
                return mpivf_fail(r->source->par->ctx, MPIVF_INTERNAL, "the sample overflows");
            float *to = sample->row + sample->rows * dim;
            if (options->metric == MPIVF_L2)
                memcpy(to, from, dim * sizeof *to);
            else
                mpivf_normalise(from, dim, to);
            sample->key[sample->rows++] = mpivf_random(r->seed, MPIVF_FOR_SAMPLE, row);
        }
    return MPIVF_OK;
}

/* How many rows of this rank's slab are drawn. */
static size_t
count_drawn(struct reading *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->slab.pieces; i++)
        for (uint64_t k = 0; k < r->slab.piece[i].rows; k++)
            n += drawn(r, r->slab.piece[i].row + k);
    return n;
}

static mpivf_status
reading_init(struct reading *r, const struct mpivf_train_options *options,
             struct mpivf_sample *sample, size_t *capacity)
{
    struct mpivf_context *ctx = r->source->par->ctx;
    size_t row_bytes = mpivf_source_row_bytes(r->source);
    mpivf_status status = mpivf_slab_init(&r->slab, r->source, options->seed, NULL, 0);
    if (status)
        return status;
    *capacity = count_drawn(r);
    r->near = r->source->chunk_rows ? r->source->chunk_rows : NEAR_BYTES / row_bytes;
    size_t left = mpivf_memory_left(ctx) / 4, bytes = left < BUFFER ? left : BUFFER;
    r->most_rows = bytes / row_bytes > 1 ? bytes / row_bytes : 1;
    if (r->near >= r->most_rows)
        r->near = r->most_rows - 1;
    r->range = mpivf_alloc(ctx, "ranges", MOST_RANGES, sizeof *r->range);
    r->buffer = mpivf_alloc(ctx, "the read buffer", r->most_rows, row_bytes);
    sample->row = mpivf_alloc(ctx, "the training sample (a smaller --sample needs less)", *capacity,
                              r->source->dim * sizeof(float));
    sample->key = mpivf_alloc(ctx, "the training sample (a smaller --sample needs less)", *capacity, sizeof(uint64_t));
    return r->range && r->buffer && sample->row && sample->key ? MPIVF_OK : MPIVF_MEMORY;
}

mpivf_status
mpivf_sample_read_all(const struct mpivf_par *par, struct mpivf_source *source,
                      const struct mpivf_train_options *options, uint64_t wanted,
                      struct mpivf_progress *progress, struct mpivf_sample *sample)
{
    struct reading r = {.source = source, .seed = options->seed};
    size_t capacity = 0;
    memset(sample, 0, sizeof *sample);
    r.threshold = threshold_all(par, r.seed, source->rows, wanted);
    mpivf_status status = mpivf_agree_all(par, reading_init(&r, options, sample, &capacity));
    for (bool more = status == MPIVF_OK; more;) {
        size_t before = sample->rows;
        more = next_ranges(&r);
        status = mpivf_source_read_all(source, r.range, r.ranges, r.buffer);
        if (status == MPIVF_OK)
            status = keep_rows(&r, options, capacity, sample);
        status = mpivf_round_all(progress, status, sample->rows - before, &more);
    }
    mpivf_free(par->ctx, r.buffer);
    mpivf_free(par->ctx, r.range);
    mpivf_slab_clear(&r.slab);
    return status;
}
