#include <mpivf/truth.h>

#include "base/then.h"
#include "io/claim.h"
#include "math/distance.h"
#include "math/gather.h"
#include "math/peak.h"
#include "measure/publish.h"
#include "measure/request.h"
#include "measure/resume.h"
#include "par/root.h"
#include "source/ids_check.h"
#include "source/rowsum.h"
#include "source/slab.h"

#include <assert.h>
#include <string.h>

void
mpivf_truth_options_init(struct mpivf_truth_options *options)
{
    *options = (struct mpivf_truth_options){.k = 100, .checkpoint = 60};
}

enum {
    MIN_SLAB = 32 << 20,  /* where the budget has it */
    MAX_SLAB = 512 << 20, /* more would save less than its first use costs */
    RANGES = 1024,
    DEAL_SEED = 1,
    MIN_ROWS = 16 /* queries and rows at a time that are worth a pass */
};
/*
 * Every slab is read and compared whole before progress can be saved: multiply-adds of a thread
 * that take some 20 seconds.
 */
static const double SLAB_WORK = 2e12;
static const size_t NO_LIMIT = (size_t)8 << 30; /* the buffers of a run without a budget */

struct truth {
    const struct mpivf_par *par;
    const struct mpivf_truth_options *options;
    struct mpivf_request request;
    struct mpivf_claim claim;
    struct mpivf_accumulator_shape shape;
    struct mpivf_accumulator accumulator;
    struct mpivf_slab slab;
    size_t ranges;             /* of the batch */
    struct mpivf_pool pool;    /* of what is owned next */
    struct mpivf_range *range; /* owned, [RANGES] */
    struct mpivf_range *ahead; /* owned, [RANGES]: the next batch */
    void *row;                 /* owned, [batch]; float64 or float32, as shape.f64 tells */
    uint64_t *number;          /* owned, [batch]: the rows' places in the base */
    int64_t *id;               /* owned, [batch], with ids; else the numbers */
    void *query;               /* owned, of the pass */
    int64_t *own;              /* owned, [capacity], with self */
    struct mpivf_resume resume;
};

/* ---- memory ---- */

static void
lay_out(struct truth *t, struct mpivf_pool *pool, size_t batch, size_t queries)
{
    size_t row_bytes = mpivf_request_row_bytes(&t->request, &t->request.base);
    t->range = mpivf_pool_take(pool, RANGES, sizeof *t->range);
    t->ahead = mpivf_pool_take(pool, RANGES, sizeof *t->ahead);
    t->row = mpivf_pool_take(pool, batch, row_bytes);
    t->number = mpivf_pool_take(pool, batch, sizeof *t->number);
    t->id = t->options->ids ? mpivf_pool_take(pool, batch, sizeof *t->id)
                            : (int64_t *)(void *)t->number;
    t->own = mpivf_pool_take(pool, queries, sizeof *t->own);
}

static size_t
bytes_for(struct truth *t, size_t batch, size_t queries)
{
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(t, &pool, batch, queries);
    return pool.bytes;
}

/* Bytes a row of a batch takes in all, and a query. */
static size_t
batch_row_bytes(struct truth *t)
{
    return mpivf_pool_slope(bytes_for(t, MPIVF_POOL_MANY, 0), bytes_for(t, 0, 0), MPIVF_POOL_MANY) +
           mpivf_accumulator_row_bytes(&t->shape);
}

static size_t
query_bytes(struct truth *t)
{
    return mpivf_pool_slope(bytes_for(t, 0, MPIVF_POOL_MANY), bytes_for(t, 0, 0), MPIVF_POOL_MANY) +
           mpivf_accumulator_query_bytes(&t->shape) + mpivf_gather_query_bytes(t->shape.k) +
           mpivf_request_query_bytes(&t->request);
}

/*
 * The rows of a slab: n slabs cost 1 + ln(n) times the canonical distances of one, so they are as
 * large as may be.
 */
static size_t
slab_rows(struct truth *t, size_t left, size_t row)
{
    double work = (double)t->request.queries * (double)t->shape.dim;
    double rows = SLAB_WORK * t->par->ctx->threads / (work > 0 ? work : 1);
    size_t max = left / 4 < MAX_SLAB ? left / 4 : MAX_SLAB, min = max < MIN_SLAB ? max : MIN_SLAB;
    double bytes = rows * (double)row;
    size_t slab = bytes > (double)max ? max : bytes < (double)min ? min : (size_t)bytes;
    return slab / row > 0 ? slab / row : 1;
}

/* Share the budget between the rows at a time and the queries at a time. */
static mpivf_status
plan_memory(struct truth *t)
{
    struct mpivf_context *ctx = t->par->ctx;
    uint64_t rows = t->request.prefix[t->request.segments - 1];
    size_t each = query_bytes(t);
    size_t pieces = t->request.base.blocks + 2; /* going on, a rank may have ranges of all */
    size_t fixed = mpivf_accumulator_fixed_bytes(&t->shape, ctx->threads) + (1 << 20) +
                   bytes_for(t, 0, 0) + 4 * pieces * sizeof(struct mpivf_range);
    size_t row = batch_row_bytes(t), left, queries = t->request.queries;
    size_t min = (queries < MIN_ROWS ? queries : MIN_ROWS) * each +
                 (rows < MIN_ROWS ? rows : MIN_ROWS) * row;
    mpivf_status status = mpivf_memory_plan(ctx, "the truth", fixed + min, NO_LIMIT, NULL, &left);
    if (status)
        return status;
    t->shape.batch = slab_rows(t, left - fixed, row);
    if (t->shape.batch > rows)
        t->shape.batch = rows;
    t->shape.capacity = (left - fixed - t->shape.batch * row) / each;
    if (t->shape.capacity > t->request.queries)
        t->shape.capacity = t->request.queries;
    return MPIVF_OK;
}

static mpivf_status
allocate(struct truth *t)
{
    t->pool = mpivf_pool_taking(t->par->ctx, "the slab");
    lay_out(t, &t->pool, t->shape.batch, t->shape.capacity);
    return t->pool.failed ? MPIVF_MEMORY
                          : mpivf_accumulator_init(t->par->ctx, &t->accumulator, &t->shape);
}

static void
clear(struct truth *t)
{
    struct mpivf_context *ctx = t->par->ctx;
    mpivf_accumulator_clear(&t->accumulator);
    mpivf_slab_clear(&t->slab);
    mpivf_resume_clear(&t->resume);
    mpivf_pool_clear(&t->pool);
    mpivf_free(ctx, t->query);
    mpivf_claim_clear(&t->claim);
    mpivf_request_close_all(&t->request);
}

/* ---- one batch of rows ---- */

/* Move good rows together; what is left. */
static mpivf_status
drop_bad_rows(struct truth *t, uint64_t *rows)
{
    size_t bytes = mpivf_accumulator_raw_bytes(&t->shape), kept = 0;
    char *row = t->row;
    for (uint64_t i = 0; i < *rows; i++) {
        if (!mpivf_raw_good(mpivf_accumulator_raw(&t->shape, row, i), t->shape.dim)) {
            if (t->options->bad_rows == MPIVF_BAD_ROWS_FAIL)
                return mpivf_fail(t->par->ctx, MPIVF_INPUT,
                                  "row %llu has a value that is not finite%s; "
                                  "--bad-rows skip leaves such rows out",
                                  (unsigned long long)t->number[i],
                                  mpivf_request_or_large(&t->request));
            t->accumulator.rejected[mpivf_accumulator_segment(&t->shape, t->number[i])]++;
            continue;
        }
        if (kept != i)
            memcpy(row + kept * bytes, row + i * bytes, bytes);
        t->number[kept] = t->number[i];
        t->id[kept++] = t->id[i];
    }
    *rows = kept;
    return MPIVF_OK;
}

static mpivf_status
read_rows_each(struct truth *t)
{
    struct mpivf_source *base = &t->request.base;
    return t->shape.f64 ? mpivf_source_read_f64_each(base, t->range, t->ranges, t->row)
                        : mpivf_source_read_each(base, t->range, t->ranges, t->row);
}

/* Read the next batch and compare it. */
static mpivf_status
batch_each(struct truth *t, uint64_t *read)
{
    struct mpivf_request *request = &t->request;
    uint64_t rows, rowsum = 0;
    t->ranges = mpivf_slab_next(&t->slab, t->shape.batch, t->range, RANGES, &rows);
    *read = rows;
    mpivf_slab_rows(t->range, t->ranges, t->number);
    mpivf_status status = read_rows_each(t);
    if (t->options->ids) {
        mpivf_status ids = mpivf_source_read_ids_each(&request->ids, t->range, t->ranges, t->id);
        status = status ? status : ids;
    }
    if (status == MPIVF_OK) {
        rowsum = mpivf_rowsum(t->row, mpivf_accumulator_raw_bytes(&t->shape), t->id, rows,
                              t->par->ctx->threads);
        status = drop_bad_rows(t, &rows);
    }
    if (status == MPIVF_OK) {
        size_t next = mpivf_slab_peek(&t->slab, t->shape.batch, t->ahead, RANGES);
        mpivf_source_ahead(&request->base, t->ahead, next); /* the disk works while we compare */
    }
    THEN(status, mpivf_accumulator_rows(&t->accumulator, t->row, t->number, t->id, rows));
    THEN(status, mpivf_accumulator_cover(&t->accumulator, t->range, t->ranges, rowsum));
    return status;
}

/* Begin the pass for the queries that were planned: load them and what is known of them. */
static mpivf_status
begin_all(struct truth *t, bool *again)
{
    struct mpivf_context *ctx = t->par->ctx;
    uint64_t first = t->resume.chosen.first, n = t->resume.chosen.end - first;
    mpivf_free(ctx, t->query);
    t->query = NULL;
    mpivf_status status = mpivf_request_load_all(&t->request, first, n, &t->query);
    if (status)
        return status;
    for (uint64_t i = 0; i < n; i++)
        t->own[i] = (int64_t)mpivf_request_place(&t->request, first + i);
    mpivf_accumulator_begin(&t->accumulator, first, n, t->query, t->options->self ? t->own : NULL);
    return mpivf_resume_take_over_all(&t->resume, again);
}

/* ---- one pass ---- */

/* Deal the rows that no checkpoint has. */
static mpivf_status
deal(struct truth *t)
{
    struct mpivf_context *ctx = t->par->ctx;
    const struct mpivf_checkpoints_chosen *chosen = &t->resume.chosen;
    uint64_t rows = t->request.prefix[t->request.segments - 1];
    mpivf_slab_clear(&t->slab);
    struct mpivf_range *gap =
        mpivf_alloc(ctx, "row ranges", chosen->covered.ranges + 1, sizeof *gap);
    if (gap == NULL)
        return MPIVF_MEMORY;
    size_t gaps = mpivf_range_gaps(chosen->covered.range, chosen->covered.ranges, rows, gap);
    mpivf_status status = mpivf_slab_init(&t->slab, &t->request.base, DEAL_SEED, gap, gaps);
    mpivf_free(ctx, gap);
    return status;
}

/*
 * So that progress can tell how near the rate is to what the processors can do. That is not known
 * where most products are spared by a first look.
 */
static mpivf_status
set_peak_all(struct truth *t, struct mpivf_progress *progress)
{
    double rate = 0;
    const struct mpivf_choice *choice = &t->accumulator.choice;
    const struct mpivf_filter *filter =
        t->accumulator.chosen ? choice->filter : mpivf_filter_best(t->shape.dim);
    bool looks = t->accumulator.chosen && mpivf_choice_first(choice);
    mpivf_status status =
        looks ? MPIVF_OK : mpivf_filter_peak(t->par->ctx, filter, t->shape.dim, &rate);
    double all = rate * t->par->ctx->threads;
    progress->peak = (double)mpivf_sum_u64_all(t->par, (uint64_t)all);
    if (mpivf_sum_u64_all(t->par, looks) > 0)
        progress->peak = -1;
    return mpivf_agree_all(t->par, status);
}

/* Queries that a row is compared with: of those that are rows too half. */
static double
compared_each(const struct truth *t)
{
    double rows = (double)t->request.prefix[t->request.segments - 1];
    double circle = (double)mpivf_accumulator_circle(&t->accumulator);
    return (double)t->accumulator.n - circle / 2 * (rows > 0 ? circle / rows : 0);
}

static mpivf_status
scan_all(struct truth *t, struct mpivf_progress *progress)
{
    mpivf_status status = mpivf_agree_all(t->par, deal(t));
    progress->work = 2.0 * (double)t->shape.dim * compared_each(t);
    for (bool more = status == MPIVF_OK; more;) {
        uint64_t read;
        status = batch_each(t, &read);
        bool left = t->slab.next < t->slab.pieces;
        if (status == MPIVF_OK && left && mpivf_resume_due(&t->resume, t->options->checkpoint))
            status = mpivf_resume_save(&t->resume);
        progress->phase->rows += read;
        status = mpivf_round_all(progress, status, read, left, &more);
        if (more && progress->peak == 0) { /* now that every rank knows its filter */
            status = set_peak_all(t, progress);
            more = status == MPIVF_OK;
        }
    }
    return status;
}

/* Join the ranks' answers on rank 0. */
static mpivf_status
join_all(struct truth *t)
{
    const struct mpivf_par *par = t->par;
    struct mpivf_accumulator *accumulator = &t->accumulator;
    for (size_t s = 0; s < t->shape.segments; s++) {
        struct mpivf_candidate *block = NULL;
        mpivf_status status = mpivf_gather_block_all(par, &accumulator->topk[s], false, &block);
        if (status)
            return status;
        if (block) {
            mpivf_topk_reset(&accumulator->topk[s]);
            for (uint64_t q = 0; q < accumulator->n; q++)
                mpivf_topk_import(&accumulator->topk[s], q, block + q * (t->shape.k + 1));
        }
        mpivf_free(par->ctx, block);
    }
    mpivf_sum_to_root_all(par, accumulator->duplicates.count,
                          accumulator->duplicates.segments * accumulator->duplicates.capacity);
    mpivf_sum_to_root_all(par, (int64_t *)(void *)accumulator->rejected, MPIVF_PREFIXES);
    mpivf_sum_to_root_all(par, (int64_t *)(void *)&accumulator->rowsum, 1);
    return MPIVF_OK;
}

static mpivf_status
pass_all(struct truth *t, struct mpivf_progress *progress)
{
    mpivf_status status = scan_all(t, progress);
    THEN(status, mpivf_request_unchanged_all(&t->request));
    THEN(status, join_all(t));
    if (status == MPIVF_OK && t->par->rank == 0)
        status = mpivf_resume_complete(&t->resume);
    return mpivf_agree_all(t->par, status);
}

/* ---- all of it ---- */

static mpivf_status
answer_all(struct truth *t, struct mpivf_report *report, struct mpivf_truth_summary *summary)
{
    struct mpivf_request *request = &t->request;
    struct mpivf_progress progress;
    struct mpivf_ahead ahead;
    assert(mpivf_same_all(t->par, request->queries) && mpivf_same_all(t->par, t->shape.capacity));
    mpivf_status status = mpivf_resume_look_all(&t->resume, &ahead);
    if (status)
        return status;
    /* as many queries at a time as fit, all rows for each such range */
    summary->passes = ahead.passes;
    summary->reused_rows = ahead.reused;
    mpivf_phase_begin(&progress, t->par, report, "truth", "rows", ahead.rows);
    for (uint64_t first = 0; first < request->queries && status == MPIVF_OK;) {
        bool again = false;
        status = mpivf_resume_plan_all(&t->resume, first);
        if (status == MPIVF_OK && !t->resume.chosen.complete)
            status = begin_all(t, &again);
        /* a checkpoint was damaged, and is gone: plan again */
        if (status || again)
            continue;
        if (!t->resume.chosen.complete)
            status = pass_all(t, &progress);
        first = t->resume.chosen.end;
    }
    progress.phase->bytes_read = request->base.bytes_read;
    mpivf_phase_end(&progress);
    summary->survivors =
        (double)mpivf_sum_u64_all(t->par, mpivf_accumulator_computed(&t->accumulator)) /
        ((double)request->queries * (double)t->shape.k);
    const struct mpivf_choice *choice = &t->accumulator.choice;
    summary->filter = t->accumulator.chosen ? choice->filter->name : "none";
    summary->axes = t->accumulator.chosen ? choice->first.projection.axes : 0;
    return status;
}

static mpivf_status
open_all(struct truth *t, const char *base, const char *queries,
         const struct mpivf_truth_files *files, struct mpivf_report *report)
{
    const struct mpivf_par *par = t->par;
    mpivf_memory_credit(par->ctx);
    mpivf_status status = mpivf_request_open_all(&t->request, par, base, queries, t->options);
    if (status == MPIVF_OK) {
        t->shape = mpivf_resume_shape(&t->request);
        status = mpivf_agree_all(par, plan_memory(t));
    }
    mpivf_memory_settle(par->ctx);
    THEN(status, mpivf_request_look_all(&t->request, files));
    if (status || t->request.answered)
        return status;
    if (t->options->ids) /* a negative one would stand for none; now, while there is memory */
        status = mpivf_ids_check_all(par, &t->request.ids, report);
    if (status)
        return status;
    t->shape.capacity = mpivf_min_u64_all(par, t->shape.capacity); /* the smallest */
    THEN(status, mpivf_request_claim_all(&t->request, &t->claim));
    /* while there is memory */
    THEN(status, mpivf_resume_recheck_all(&t->request, &t->claim, report));
    THEN(status, mpivf_agree_all(par, allocate(t)));
    return status;
}

mpivf_status
mpivf_truth_all(const struct mpivf_par *par, const char *base, const char *queries,
                const struct mpivf_truth_files *files, const struct mpivf_truth_options *options,
                struct mpivf_report *report, struct mpivf_truth_summary *summary)
{
    struct truth t = {.par = par, .options = options};
    t.resume = (struct mpivf_resume){.request = &t.request, .accumulator = &t.accumulator};
    struct mpivf_published published = {0};
    memset(summary, 0, sizeof *summary);
    mpivf_status status = open_all(&t, base, queries, files, report);
    if (status == MPIVF_OK && !t.request.answered)
        status = answer_all(&t, report, summary);
    if (status == MPIVF_OK && !t.request.answered)
        status = ROOT_ALL(par, mpivf_publish(&t.request, &published));
    mpivf_bcast_all(par, &published, sizeof published);
    summary->queries = t.request.queries;
    summary->rows = published.rows;
    summary->rejected = published.rejected;
    summary->duplicates = published.duplicates;
    if (status && par->rank == 0)
        mpivf_claim_abandon(&t.claim);
    clear(&t);
    if (published.in_vain && par->rank == 0)
        (void)mpivf_claim_remove(par->ctx, mpivf_output_path(files->work), mpivf_checkpoint_owns);
    return status;
}

mpivf_status
mpivf_truth_clean_all(const struct mpivf_par *par, const struct mpivf_truth_files *files)
{
    return ROOT_ALL(
        par, mpivf_claim_remove(par->ctx, mpivf_output_path(files->work), mpivf_checkpoint_owns));
}
