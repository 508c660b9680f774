#include "build/draw.h"

#include "base/rng.h"
#include "base/then.h"
#include "build/smallest.h"
#include "math/distance.h"
#include "source/rowsum.h"
#include "source/slab.h"

#include <string.h>

enum { NEAR_BYTES = 64 << 10, MAX_RANGES = 4096, BUFFER = 16 << 20 };

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

/* Reading the sample: from runs of the slab to runs around sampled rows. */
struct reading {
    struct mpivf_source *source;
    struct mpivf_slab slab;
    uint64_t seed;
    uint64_t threshold[MPIVF_SAMPLE_LEVELS]; /* hashes up to it are drawn for the level */
    uint64_t near;                           /* rows between two sampled ones that are read along */
    struct mpivf_range run;                  /* of the slab, what is left of it */
    struct mpivf_range *range;               /* owned, [MAX_RANGES] */
    size_t ranges;
    float *buffer;                    /* owned */
    size_t room[MPIVF_SAMPLE_LEVELS]; /* rows drawn for each level, by this rank */
    double *lost;                     /* owned, [max_rows], of a float64 source; else NULL */
    struct mpivf_pool pool;           /* of what is owned */
    uint64_t max_rows;
    uint64_t rowsum; /* of the drawn rows so far */
};

static bool
drawn(const struct reading *r, uint64_t row)
{
    return mpivf_random(r->seed, MPIVF_FOR_SAMPLE, row) <= r->threshold[MPIVF_SAMPLE_ALL];
}

/* The level that a drawn hash is for. */
static enum mpivf_sample_level
level_of(const struct reading *r, uint64_t hash)
{
    int l = 0;
    while (hash > r->threshold[l])
        l++;
    return (enum mpivf_sample_level)l;
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
            uint64_t gap =
                last && row >= last->row + last->rows ? row - (last->row + last->rows) : UINT64_MAX;
            uint64_t more = gap <= r->near ? gap + 1 : 1;
            if (rows + more > r->max_rows || (gap > r->near && r->ranges == MAX_RANGES))
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

/* Move the sampled rows of the buffer to the sample (NULL: only add them up). */
static mpivf_status
keep_rows(struct reading *r, const struct mpivf_train_options *options, struct mpivf_sample *sample)
{
    size_t dim = r->source->dim;
    float *unit = r->buffer + r->max_rows * dim;
    const double *lost = r->lost;
    const float *from = r->buffer;
    mpivf_status status = MPIVF_OK;
    /* rows between two drawn ones were only read along */
    for (size_t i = 0; i < r->ranges; i++) {
        uint64_t end = r->range[i].row + r->range[i].rows;
        for (uint64_t row = r->range[i].row; row < end && status == MPIVF_OK; row++, from += dim) {
            double less = lost ? *lost++ : 0;
            uint64_t hash = mpivf_random(r->seed, MPIVF_FOR_SAMPLE, row);
            if (hash > r->threshold[MPIVF_SAMPLE_ALL])
                continue;
            r->rowsum += mpivf_rowsum_row(from, dim * sizeof *from, row);
            if (sample == NULL)
                continue;
            if (!mpivf_finite(from, dim)) {
                if (options->bad_rows == MPIVF_BAD_ROWS_SKIP)
                    continue;
                return mpivf_fail(r->source->par->ctx, MPIVF_INPUT,
                                  "row %llu has a value that is not finite%s; --bad-rows skip "
                                  "leaves such rows out",
                                  (unsigned long long)row, lost ? " as float32" : "");
            }
            if (options->metric != MPIVF_L2)
                mpivf_normalise(from, dim, unit);
            sample->lost += less;
            status = mpivf_sample_put(sample, level_of(r, hash),
                                      options->metric == MPIVF_L2 ? from : unit, hash);
        }
    }
    return status;
}

/* How many rows of this rank's slab are drawn for each level. */
static void
count_drawn(struct reading *r, size_t count[MPIVF_SAMPLE_LEVELS])
{
    memset(count, 0, MPIVF_SAMPLE_LEVELS * sizeof *count);
    for (size_t i = 0; i < r->slab.pieces; i++)
        for (uint64_t k = 0; k < r->slab.piece[i].rows; k++) {
            uint64_t hash = mpivf_random(r->seed, MPIVF_FOR_SAMPLE, r->slab.piece[i].row + k);
            if (hash <= r->threshold[MPIVF_SAMPLE_ALL])
                count[level_of(r, hash)]++;
        }
}

static void
lay_out(struct reading *r, struct mpivf_pool *pool, const struct mpivf_source *source)
{
    bool f64 = source->type == MPIVF_F64;
    r->range = mpivf_pool_take(pool, MAX_RANGES, sizeof *r->range);
    r->buffer = mpivf_pool_take(pool, r->max_rows + 1, mpivf_source_row_bytes(source));
    r->lost = f64 ? mpivf_pool_take(pool, r->max_rows, sizeof *r->lost) : NULL;
}

size_t
mpivf_draw_bytes(const struct mpivf_source *source)
{
    struct reading r = {.max_rows = 1};
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(&r, &pool, source);
    return pool.bytes + mpivf_alloc_bytes((source->blocks + 1) * sizeof(struct mpivf_range));
}

static mpivf_status
reading_init(struct reading *r)
{
    struct mpivf_context *ctx = r->source->par->ctx;
    size_t row_bytes = mpivf_source_row_bytes(r->source);
    mpivf_status status = mpivf_slab_init(&r->slab, r->source, r->seed, NULL, 0);
    if (status)
        return status;
    count_drawn(r, r->room);
    r->near = r->source->chunk_rows ? r->source->chunk_rows : NEAR_BYTES / row_bytes;
    size_t left = mpivf_memory_left(ctx), places = r->room[0] + r->room[1] + r->room[2];
    size_t min = mpivf_sample_min_bytes(r->source->dim, places, ctx->threads);
    size_t bytes = left > min ? (left - min) / 4 : 0;
    bytes = bytes < BUFFER ? bytes : BUFFER;
    r->max_rows = bytes / row_bytes > 1 ? bytes / row_bytes : 1;
    if (r->near >= r->max_rows)
        r->near = r->max_rows - 1;
    r->pool = mpivf_pool_taking(ctx, "the read buffer");
    lay_out(r, &r->pool, r->source);
    return mpivf_pool_status(&r->pool);
}

static void
reading_clear(struct reading *r)
{
    mpivf_pool_clear(&r->pool);
    mpivf_slab_clear(&r->slab);
}

/* Room for this rank's share of the sample. */
static mpivf_status
make_room(struct reading *r, enum mpivf_metric metric, const struct mpivf_draw *draw,
          struct mpivf_sample *sample)
{
    struct mpivf_context *ctx = r->source->par->ctx;
    /* the buffer goes before training begins, when the state of the rows comes */
    size_t memory = mpivf_memory_left(ctx);
    return mpivf_sample_init(ctx, sample, metric, r->source->dim, r->room,
                             draw->memory < memory ? draw->memory : memory, draw->path);
}

/* All ranks' thresholds. A part of the hashes is a part of the rows, nearly. */
static void
thresholds_all(struct reading *r, const struct mpivf_draw *draw)
{
    const uint64_t *wanted = draw->wanted;
    uint64_t max =
        threshold_all(r->source->par, r->seed, r->source->rows, wanted[MPIVF_SAMPLE_ALL]);
    for (int l = 0; l < MPIVF_SAMPLE_LEVELS; l++)
        r->threshold[l] = wanted[l] >= wanted[MPIVF_SAMPLE_ALL]
                              ? max
                              : (uint64_t)((__uint128_t)max * wanted[l] / wanted[MPIVF_SAMPLE_ALL]);
}

static mpivf_status
read_ranges(struct reading *r)
{
    if (r->lost == NULL)
        return mpivf_source_read_each(r->source, r->range, r->ranges, r->buffer);
    return mpivf_source_read_measured_each(r->source, r->range, r->ranges, r->buffer, r->lost);
}

/* Read the drawn rows into the sample, which may be NULL, and add them up. */
static mpivf_status
read_all(struct reading *r, const struct mpivf_train_options *options,
         struct mpivf_progress *progress, struct mpivf_sample *sample, uint64_t *rowsum)
{
    mpivf_status status = MPIVF_OK;
    for (bool more = true; more;) {
        size_t before = sample ? mpivf_sample_rows(sample, MPIVF_SAMPLE_ALL) : 0;
        bool left = next_ranges(r);
        status = read_ranges(r);
        THEN(status, keep_rows(r, options, sample));
        size_t now = sample ? mpivf_sample_rows(sample, MPIVF_SAMPLE_ALL) : 0;
        status = mpivf_round_all(progress, status, now - before, left, &more);
    }
    *rowsum = mpivf_sum_u64_all(r->source->par, r->rowsum);
    THEN(status, mpivf_source_unchanged_all(r->source));
    return status;
}

mpivf_status
mpivf_draw_all(const struct mpivf_par *par, struct mpivf_source *source,
               const struct mpivf_train_options *options, const struct mpivf_draw *draw,
               struct mpivf_progress *progress, struct mpivf_sample *sample, uint64_t *rowsum)
{
    struct reading r = {.source = source, .seed = options->seed};
    memset(sample, 0, sizeof *sample);
    thresholds_all(&r, draw);
    mpivf_status status = reading_init(&r);
    THEN(status, make_room(&r, options->metric, draw, sample));
    status = mpivf_agree_all(par, status);
    THEN(status, read_all(&r, options, progress, sample, rowsum));
    reading_clear(&r);
    THEN(status, mpivf_agree_all(par, mpivf_sample_ready(sample)));
    return status;
}

mpivf_status
mpivf_draw_rowsum_all(struct mpivf_source *source, const struct mpivf_train_options *options,
                      const struct mpivf_draw *draw, struct mpivf_progress *progress,
                      uint64_t *rowsum)
{
    struct reading r = {.source = source, .seed = options->seed};
    thresholds_all(&r, draw);
    mpivf_status status = mpivf_agree_all(source->par, reading_init(&r));
    THEN(status, read_all(&r, options, progress, NULL, rowsum));
    reading_clear(&r);
    return status;
}
