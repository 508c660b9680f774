#include "build/add.h"

#include "base/then.h"
#include "math/distance.h"
#include "par/root.h"
#include "source/reader.h"
#include "source/rowsum.h"

#include <assert.h>
#include <math.h>
#include <omp.h>

enum {
    MAX_BATCH = 16 << 20,
    MIN_ROWS = 16,   /* rows at a time */
    SLACK = 64 << 10 /* heads of allocations and small things */
};
static const size_t NO_LIMIT = (size_t)4 << 30; /* the buffers of a run without a budget */

/* One rank at work. */
struct adding {
    const struct mpivf_add *add;
    struct mpivf_slab slab;
    struct mpivf_reader reader;
    struct mpivf_shard_buffer buffer;
    struct mpivf_batch *batch; /* the reader's, at hand */
    uint32_t *list;            /* owned, of the batch's rows */
    uint64_t rowsum;           /* of them */
    float *stored;             /* owned, [threads, dim]: what a code stands for */
    struct mpivf_pool pool;    /* of list and stored */
    struct mpivf_skew skew;
    struct mpivf_loss loss;
    bool may_choose; /* the first batch may choose a first look: memory was set aside */
};

/* Are rows read as float64, for the observer? */
static bool
wide(const struct adding *a)
{
    return a->add->observer && a->add->observer->f64;
}

static void
lay_out(struct adding *a, struct mpivf_pool *pool, size_t batch_rows, size_t dim, int threads)
{
    a->list = mpivf_pool_take(pool, batch_rows, sizeof *a->list);
    a->stored = mpivf_pool_take(pool, (size_t)threads * dim, sizeof *a->stored);
}

/* What is added, and with how many threads. */
struct shape {
    const struct mpivf_source *source, *ids; /* ids NULL: row numbers */
    const struct mpivf_index_meta *meta;
    bool f64;
    int threads;
};

/* Bytes for so many rows at a time, and so many in the shard buffer. */
static size_t
bytes_for(const struct shape *of, size_t batch_rows, size_t buffer_rows)
{
    struct adding a;
    struct mpivf_pool pool = mpivf_pool_counting();
    const struct mpivf_index_meta *meta = of->meta;
    lay_out(&a, &pool, batch_rows, meta->dim, of->threads);
    return pool.bytes + mpivf_reader_bytes(of->source, of->ids, of->f64, batch_rows) +
           mpivf_shard_buffer_bytes(meta, buffer_rows, of->threads) +
           mpivf_coarse_scratch(meta->metric, meta->dim, of->threads, 0);
}

size_t
mpivf_add_bytes(const struct mpivf_source *source, const struct mpivf_source *ids, bool f64,
                const struct mpivf_index_meta *meta, int threads)
{
    const struct shape shape = {source, ids, meta, f64, threads};
    size_t slab = (source->blocks + 4) * sizeof(struct mpivf_range);
    return mpivf_coarse_bytes(meta->lists, meta->dim, threads) + mpivf_skew_bytes(meta->lists) +
           bytes_for(&shape, MIN_ROWS, 2 * MIN_ROWS) + slab + SLACK;
}

/* Share what is left of the budget between the batches and the shard buffer. */
static mpivf_status
plan_memory(struct adding *a, size_t *batch_rows, size_t *buffer_rows)
{
    const struct mpivf_add *add = a->add;
    struct mpivf_context *ctx = add->par->ctx;
    const struct shape shape = {add->source, add->ids, &add->meta, wide(a), ctx->threads};
    size_t left, fixed = bytes_for(&shape, 0, 0), need = bytes_for(&shape, MIN_ROWS, 2 * MIN_ROWS);
    size_t row = mpivf_pool_slope(bytes_for(&shape, MPIVF_POOL_MANY, 0), fixed, MPIVF_POOL_MANY);
    size_t buffer_row =
        mpivf_pool_slope(bytes_for(&shape, 0, MPIVF_POOL_MANY), fixed, MPIVF_POOL_MANY);
    mpivf_status status = mpivf_memory_plan(ctx, "adding rows", need, NO_LIMIT, NULL, &left);
    if (status)
        return status;
    /* a first look needs little, and is not worth small shards */
    size_t choose = mpivf_coarse_choose_bytes(add->coarse);
    a->may_choose = choose < (left - need) / 2 && mpivf_coarse_is_large(add->coarse, a->slab.rows);
    left -= a->may_choose ? choose : 0;
    size_t batch_bytes = (left - fixed) / 4;
    batch_bytes = batch_bytes > MAX_BATCH ? MAX_BATCH : batch_bytes;
    *batch_rows = batch_bytes / row;
    if (*batch_rows > a->slab.rows)
        *batch_rows = a->slab.rows;
    if (*batch_rows < 1)
        *batch_rows = 1;
    *buffer_rows = (left - fixed - *batch_rows * row) / buffer_row;
    if (*buffer_rows > UINT32_MAX - 1)
        *buffer_rows = UINT32_MAX - 1;
    if (*buffer_rows > a->slab.rows)
        *buffer_rows = a->slab.rows + 1;
    if (*batch_rows > *buffer_rows)
        *batch_rows = *buffer_rows;
    return MPIVF_OK;
}

static mpivf_status
adding_init(struct adding *a)
{
    const struct mpivf_add *add = a->add;
    struct mpivf_context *ctx = add->par->ctx;
    size_t batch_rows = 0, buffer_rows = 0;
    mpivf_status status =
        mpivf_slab_init(&a->slab, add->source, add->meta.seed, add->set, add->ranges);
    THEN(status, mpivf_skew_init(ctx, &a->skew, add->meta.lists));
    THEN(status, plan_memory(a, &batch_rows, &buffer_rows));
    THEN(status,
         mpivf_shard_buffer_init(ctx, &a->buffer, &add->meta, add->coarse->centroid, buffer_rows));
    if (status == MPIVF_OK)
        status =
            mpivf_reader_init(&a->reader, add->source, add->ids, &a->slab, batch_rows, wide(a));
    if (status)
        return status;
    a->pool = mpivf_pool_taking(ctx, "the lists of a batch");
    lay_out(a, &a->pool, batch_rows, add->coarse->dim, ctx->threads);
    return mpivf_pool_status(&a->pool);
}

static void
adding_clear(struct adding *a)
{
    mpivf_reader_clear(&a->reader);
    mpivf_slab_clear(&a->slab);
    mpivf_shard_buffer_clear(&a->buffer);
    mpivf_pool_clear(&a->pool);
}

/* Give bad rows no list, and add up all rows while they are in the cache. */
static void
mark_bad_rows(struct adding *a)
{
    const struct mpivf_add *add = a->add;
    size_t dim = add->source->dim;
    uint64_t too_large = 0, rowsum = 0;
#pragma omp parallel for num_threads(a->add->par->ctx->threads) reduction(+ : too_large, rowsum)
    for (uint64_t i = 0; i < a->batch->rows; i++) {
        const float *row = a->batch->row + i * dim;
        rowsum += mpivf_rowsum_row(row, dim * sizeof *row, (uint64_t)a->batch->id[i]);
        bool finite = mpivf_finite(row, dim);
        if (finite && add->meta.codec->fits(row, dim))
            continue;
        /* what was finite before it became float32 has lost that much */
        too_large += finite || (a->batch->lost && isinf(a->batch->lost[i]));
        a->list[i] = UINT32_MAX;
    }
    a->loss.too_large += too_large;
    a->rowsum = rowsum;
}

/* Give good rows their list. */
static mpivf_status
assign_batch(struct adding *a)
{
    const struct mpivf_add *add = a->add;
    const struct mpivf_batch *batch = a->batch;
    mpivf_status status =
        a->may_choose && batch->rows > 0
            ? mpivf_coarse_choose(add->coarse, batch->row, batch->rows, a->slab.rows)
            : MPIVF_OK;
    THEN(status, mpivf_coarse_assign(add->coarse, batch->row, batch->rows, a->list));
    if (status)
        return status;
    mark_bad_rows(a);
    for (uint64_t i = 0; add->bad_rows == MPIVF_BAD_ROWS_FAIL && i < batch->rows; i++)
        if (a->list[i] == UINT32_MAX)
            return mpivf_fail(add->par->ctx, MPIVF_INPUT,
                              "the row with id %lld has a value that is "
                              "not finite%s%s; --bad-rows skip leaves such rows out",
                              (long long)batch->id[i], batch->lost ? " as float32" : "",
                              add->meta.codec->exact ? "" : " or too large for the codec");
    return MPIVF_OK;
}

/* The observer keeps what it has first: rows of a shard are not read again. */
static mpivf_status
write_shard(struct adding *a)
{
    const struct mpivf_observer *observer = a->add->observer;
    (void)mpivf_reader_wait(&a->reader); /* what is here is whole even if the next rows are not */
    mpivf_status status = observer ? observer->save(observer->arg) : MPIVF_OK;
    if (status)
        return status;
    if (a->add->ranges == 0 && a->add->par->rank == 0) /* no rank has a row: one empty shard */
        return mpivf_shard_write_any(&a->buffer, a->add->folder);
    return mpivf_shard_write(&a->buffer, a->add->folder);
}

/* Before rows are assigned: as float64 they are only seen here. */
static mpivf_status
show_batch(struct adding *a)
{
    const struct mpivf_observer *observer = a->add->observer;
    const struct mpivf_batch *batch = a->batch;
    struct mpivf_observed seen = {batch->row, batch->id, batch->range, batch->ranges};
    mpivf_status status = observer ? observer->rows(observer->arg, &seen) : MPIVF_OK;
    if (wide(a))
        mpivf_reader_narrow(&a->reader);
    return status;
}

/*
 * Rows of the shard buffer from `first` on, just put there, against those of the batch that they
 * were.
 */
static void
measure(struct adding *a, size_t first)
{
    const struct mpivf_codec *codec = a->add->meta.codec;
    const struct mpivf_coarse *coarse = a->add->coarse;
    const struct mpivf_shard_buffer *buffer = &a->buffer;
    const struct mpivf_batch *batch = a->batch;
    size_t dim = coarse->dim;
    if (codec->exact && !batch->lost)
        return; /* nothing is lost */
#pragma omp parallel num_threads(coarse->threads)
    {
        struct mpivf_loss mine = {.rows = 0};
        float *stored = codec->exact ? NULL : a->stored + (size_t)omp_get_thread_num() * dim;
#pragma omp for schedule(static)
        for (size_t at = first; at < buffer->rows; at++) {
            size_t i = buffer->order[at];
            const float *centroid = coarse->centroid + buffer->list[at] * dim;
            if (stored) {
                void *place[MPIVF_PLANES];
                mpivf_planes_at(&buffer->planes, buffer->plane, at, place);
                codec->decode(place + buffer->planes.code, 1, dim, centroid, stored);
            }
            mpivf_loss_add(&mine, coarse->metric, batch->row + i * dim, stored, centroid,
                           batch->lost ? batch->lost[i] : 0, dim);
        }
#pragma omp critical
        mpivf_loss_join(&a->loss, &mine);
    }
}

/* Keep the batch, after making a shard of what is there when it does not fit. */
static mpivf_status
keep_batch(struct adding *a)
{
    struct mpivf_shard_buffer *buffer = &a->buffer;
    const struct mpivf_batch *batch = a->batch;
    if (!mpivf_shard_buffer_fits(buffer, batch->rows, batch->ranges)) {
        mpivf_status status = write_shard(a);
        if (status)
            return status;
    }
    mpivf_shard_buffer_cover(buffer, batch->range, batch->ranges, a->rowsum);
    size_t first = buffer->rows;
    mpivf_shard_buffer_put(buffer, batch->row, batch->rows, a->list, batch->id);
    measure(a, first);
    mpivf_skew_count(&a->skew, a->list, batch->rows);
    return MPIVF_OK;
}

/* One batch, while the next is read. */
static mpivf_status
add_batch_each(struct adding *a)
{
    mpivf_status status = mpivf_reader_next_each(&a->reader, &a->batch);
    if (status == MPIVF_OK) {
        mpivf_reader_ahead(&a->reader);
        status = show_batch(a);
    }
    THEN(status, assign_batch(a));
    THEN(status, keep_batch(a));
    mpivf_status ahead = mpivf_reader_wait(&a->reader);
    return status ? status : ahead;
}

static mpivf_status
compare_slabs_all(const struct adding *a, struct mpivf_difference *difference)
{
    const struct mpivf_par *par = a->add->par;
    mpivf_status status = mpivf_skew_compare_all(par, &a->skew, difference);
    if (status == MPIVF_OK && difference->large && par->rank == 0)
        mpivf_note(
            par->ctx,
            "the slabs of the ranks differ: %.1f %% of rank %d's rows would have to "
            "change lists to look like the whole, %.1f %% when rows are in random order; the "
            "input looks sorted and its blocks are coarse: see mpivf shuffle",
            100 * difference->found, difference->rank, 100 * difference->expected);
    return status;
}

mpivf_status
mpivf_add_all(const struct mpivf_add *add, struct mpivf_report *report, struct mpivf_added *added)
{
    const struct mpivf_par *par = add->par;
    struct adding a = {.add = add};
    struct mpivf_progress progress;
    uint64_t read_before = add->source->bytes_read;
    assert(mpivf_same_all(par, add->meta.model_fingerprint));
    mpivf_phase_begin(&progress, par, report, "add", "rows",
                      mpivf_range_rows(add->set, add->ranges));
    mpivf_status status = mpivf_agree_all(par, adding_init(&a));
    /* while a batch is assigned to lists, the next is read and decoded */
    for (bool more = status == MPIVF_OK; more;) {
        status = add_batch_each(&a);
        progress.phase->rows += a.batch->rows;
        bool left = mpivf_reader_more(&a.reader);
        status = mpivf_round_all(&progress, status, a.batch->rows, left, &more);
    }
    /* nothing is written of rows that changed while they were read */
    THEN(status, mpivf_source_unchanged_all(add->source));
    if (status == MPIVF_OK && add->ids)
        status = mpivf_source_unchanged_all(add->ids);
    THEN(status, mpivf_agree_all(par, write_shard(&a)));
    progress.phase->bytes_read = add->source->bytes_read - read_before;
    progress.phase->bytes_written = a.buffer.bytes_written;
    mpivf_phase_end(&progress);
    adding_clear(&a);
    /* now that there is room */
    THEN(status, compare_slabs_all(&a, &added->difference));
    mpivf_loss_sum_all(par, &a.loss);
    added->loss = a.loss;
    mpivf_skew_clear(&a.skew);
    return status;
}
