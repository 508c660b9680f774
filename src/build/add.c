#include "build/add.h"

#include "math/distance.h"
#include "source/slab.h"

enum { BATCH_MOST = 64 << 20, BATCH_RANGES = 1024 };
static const size_t NO_LIMIT = (size_t)4 << 30; /* the buffers of a run without a budget */

/* One rank at work. */
struct adding {
    const struct mpivf_add *add;
    struct mpivf_slab slab;
    struct mpivf_spill spill;
    size_t batch_rows;
    struct mpivf_range *range; /* owned, [BATCH_RANGES] */
    struct mpivf_range *ahead; /* owned, [BATCH_RANGES]: the next batch */
    size_t ranges;
    uint64_t rows;  /* of the batch */
    float *row;     /* owned, [batch_rows] rows of the source's buffer size */
    uint32_t *list; /* owned, [batch_rows] */
    int64_t *id;    /* owned, [batch_rows] */
};

/* Share what is left of the budget between the batch and the spill. */
static mpivf_status
plan_memory(const struct adding *a, size_t *batch_rows, size_t *spill_rows)
{
    const struct mpivf_add *add = a->add;
    struct mpivf_context *ctx = add->par->ctx;
    size_t left = mpivf_memory_left(ctx);
    size_t fixed = mpivf_spill_fixed_bytes(&add->meta, ctx->threads) + mpivf_coarse_scratch(add->coarse, 1) +
                   2 * BATCH_RANGES * sizeof(struct mpivf_range) + 4096;
    size_t row = mpivf_source_row_bytes(add->source) + sizeof(uint32_t) + sizeof(int64_t);
    size_t spill_row = mpivf_spill_row_bytes(&add->meta);
    left = left > NO_LIMIT ? NO_LIMIT : left;
    size_t need = fixed + 16 * (row + 2 * spill_row);
    if (left < need)
        return mpivf_fail(ctx, MPIVF_MEMORY, "adding rows needs %.1f MiB of buffers at least, %.1f MiB "
                          "are left; raise --memory", (double)need / 1048576, (double)left / 1048576);
    size_t batch_bytes = (left - fixed) / 4;
    batch_bytes = batch_bytes > BATCH_MOST ? BATCH_MOST : batch_bytes;
    *batch_rows = batch_bytes / row;
    if (*batch_rows > a->slab.rows)
        *batch_rows = a->slab.rows;
    if (*batch_rows < 1)
        *batch_rows = 1;
    *spill_rows = (left - fixed - *batch_rows * row) / spill_row;
    if (*spill_rows > UINT32_MAX - 1)
        *spill_rows = UINT32_MAX - 1;
    if (*spill_rows > a->slab.rows)
        *spill_rows = a->slab.rows + 1;
    if (*batch_rows > *spill_rows)
        *batch_rows = *spill_rows;
    return MPIVF_OK;
}

static mpivf_status
adding_init(struct adding *a)
{
    const struct mpivf_add *add = a->add;
    struct mpivf_context *ctx = add->par->ctx;
    size_t spill_rows = 0;
    mpivf_status status =
        mpivf_slab_init(&a->slab, add->source, add->meta.seed, add->set, add->ranges);
    if (status == MPIVF_OK)
        status = plan_memory(a, &a->batch_rows, &spill_rows);
    if (status == MPIVF_OK)
        status = mpivf_spill_init(ctx, &a->spill, &add->meta, spill_rows);
    if (status)
        return status;
    a->range = mpivf_alloc(ctx, "ranges", BATCH_RANGES, sizeof *a->range);
    a->ahead = mpivf_alloc(ctx, "ranges", BATCH_RANGES, sizeof *a->ahead);
    a->row = mpivf_alloc(ctx, "the read buffer", a->batch_rows, mpivf_source_row_bytes(add->source));
    a->list = mpivf_alloc(ctx, "the read buffer", a->batch_rows, sizeof *a->list);
    a->id = mpivf_alloc(ctx, "the read buffer", a->batch_rows, sizeof *a->id);
    return a->range && a->ahead && a->row && a->list && a->id ? MPIVF_OK : MPIVF_MEMORY;
}

static void
adding_clear(struct adding *a)
{
    struct mpivf_context *ctx = a->add->par->ctx;
    mpivf_slab_clear(&a->slab);
    mpivf_spill_clear(&a->spill);
    mpivf_free(ctx, a->range);
    mpivf_free(ctx, a->ahead);
    mpivf_free(ctx, a->row);
    mpivf_free(ctx, a->list);
    mpivf_free(ctx, a->id);
}

/* Read the next batch with its ids. */
static mpivf_status
read_batch_all(struct adding *a)
{
    const struct mpivf_add *add = a->add;
    a->ranges = mpivf_slab_next(&a->slab, a->batch_rows, a->range, BATCH_RANGES, &a->rows);
    mpivf_status status = mpivf_source_read_all(add->source, a->range, a->ranges, a->row);
    size_t next = mpivf_slab_peek(&a->slab, a->batch_rows, a->ahead, BATCH_RANGES);
    mpivf_source_ahead(add->source, a->ahead, next); /* the disk works while we file the batch */
    if (add->ids == NULL) {
        mpivf_slab_rows(a->range, a->ranges, (uint64_t *)a->id);
        return status;
    }
    mpivf_status ids = mpivf_source_read_ids_all(add->ids, a->range, a->ranges, a->id);
    return status ? status : ids;
}

/* Give bad rows no list; the others theirs. */
static mpivf_status
file_batch(struct adding *a)
{
    const struct mpivf_add *add = a->add;
    size_t dim = add->source->dim;
    mpivf_status status = mpivf_coarse_assign(add->coarse, a->row, a->rows, a->list, NULL);
    for (uint64_t i = 0; i < a->rows && status == MPIVF_OK; i++) {
        const float *row = a->row + i * dim;
        if (mpivf_finite(row, dim) && add->meta.codec->fits(row, dim))
            continue;
        a->list[i] = UINT32_MAX;
        if (add->bad_rows == MPIVF_BAD_ROWS_FAIL)
            return mpivf_fail(add->par->ctx, MPIVF_INPUT, "the row with id %lld has a value that is "
                              "not finite%s; --bad-rows skip leaves such rows out",
                              (long long)a->id[i],
                              add->meta.codec->exact ? "" : " or too large for the codec");
    }
    return status;
}

/* Whoever watches keeps what it has first: rows of a shard are not read again. */
static mpivf_status
write_shard(struct adding *a)
{
    const struct mpivf_watch *watch = a->add->watch;
    mpivf_status status = watch ? watch->keep(watch->arg) : MPIVF_OK;
    return status ? status : mpivf_shard_write(&a->spill, a->add->folder);
}

static mpivf_status
show_batch(const struct adding *a)
{
    const struct mpivf_watch *watch = a->add->watch;
    struct mpivf_watched seen = {a->row, a->id, a->range, a->ranges};
    return watch ? watch->rows(watch->arg, &seen) : MPIVF_OK;
}

/* Keep the batch, after making a shard of what is there when it does not fit. */
static mpivf_status
keep_batch(struct adding *a)
{
    struct mpivf_spill *spill = &a->spill;
    if (!mpivf_spill_fits(spill, a->rows, a->ranges)) {
        mpivf_status status = write_shard(a);
        if (status)
            return status;
    }
    mpivf_spill_cover(spill, a->range, a->ranges);
    mpivf_spill_put(spill, a->row, a->rows, a->list, a->id);
    return MPIVF_OK;
}

mpivf_status
mpivf_add_all(const struct mpivf_add *add, struct mpivf_report *report)
{
    const struct mpivf_par *par = add->par;
    struct adding a = {.add = add};
    struct mpivf_progress progress;
    uint64_t read_before = add->source->bytes_read;
    mpivf_phase_begin(&progress, par, report, "add", "rows", mpivf_range_rows(add->set, add->ranges));
    mpivf_status status = mpivf_agree_all(par, adding_init(&a));
    for (bool more = status == MPIVF_OK; more;) {
        status = read_batch_all(&a);
        if (status == MPIVF_OK)
            status = file_batch(&a);
        if (status == MPIVF_OK)
            status = show_batch(&a);
        if (status == MPIVF_OK)
            status = keep_batch(&a);
        progress.phase->rows += a.rows;
        more = a.slab.next < a.slab.pieces;
        status = mpivf_round_all(&progress, status, a.rows, &more);
    }
    if (status == MPIVF_OK)
        status = mpivf_agree_all(par, write_shard(&a));
    progress.phase->bytes_read = add->source->bytes_read - read_before;
    progress.phase->bytes_written = a.spill.bytes_written;
    mpivf_phase_end(&progress);
    adding_clear(&a);
    return status;
}
