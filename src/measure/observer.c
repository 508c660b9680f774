#include "measure/observer.h"

#include "base/then.h"
#include "io/claim.h"
#include "math/distance.h"
#include "measure/resume.h"
#include "source/rowsum.h"

enum { BATCH_BYTES = 32 << 20, PIECES = 64 };

struct mpivf_observer_state {
    struct mpivf_request request;
    struct mpivf_claim claim;
    struct mpivf_accumulator_shape shape;
    struct mpivf_accumulator accumulator;
    struct mpivf_resume resume;
    void *query;             /* owned */
    uint64_t *number;        /* owned, [batch] */
    struct mpivf_range *gap; /* owned: rows that no earlier run compared */
    size_t gaps;
    size_t first, later; /* bytes of what the first rows make; those set aside for it */
    bool idle;           /* nothing to compare, or no queries that it could be done for at once */
};

/* ---- called by the build ---- */

/* Compare a run of good rows that nobody has compared. */
static mpivf_status
compare(struct mpivf_observer_state *w, const char *row, uint64_t first, const int64_t *id,
        size_t rows)
{
    mpivf_status status = MPIVF_OK;
    if (w->later > 0) /* now it is allocated */
        mpivf_memory_release(w->accumulator.ctx, w->later);
    w->later = 0;
    for (size_t at = 0, n; at < rows && status == MPIVF_OK; at += n) {
        n = rows - at < w->shape.batch ? rows - at : w->shape.batch;
        for (size_t i = 0; i < n; i++)
            w->number[i] = first + at + i;
        status = mpivf_accumulator_rows(&w->accumulator,
                                        row + at * mpivf_accumulator_raw_bytes(&w->shape),
                                        w->number, id + at, n);
    }
    return status;
}

/* Rows `range` of the base, the first of which is in the buffers at `at`; bad rows are counted. */
static mpivf_status
compare_good(struct mpivf_observer_state *w, const struct mpivf_observed *seen, size_t at,
             struct mpivf_range range)
{
    size_t dim = w->shape.dim, bytes = mpivf_accumulator_raw_bytes(&w->shape);
    const char *row = (const char *)seen->row + at * bytes;
    mpivf_status status = MPIVF_OK;
    for (size_t from = 0, to; from < range.rows && status == MPIVF_OK; from = to + 1) {
        for (to = from;
             to < range.rows && mpivf_raw_good(mpivf_accumulator_raw(&w->shape, row, to), dim);)
            to++;
        if (to < range.rows)
            w->accumulator.rejected[mpivf_accumulator_segment(&w->shape, range.row + to)]++;
        status = compare(w, row + from * bytes, range.row + from, seen->id + at + from, to - from);
    }
    return status;
}

/* Rows of one range that was read, in the buffers from `at` on. */
static mpivf_status
compare_range(struct mpivf_observer_state *w, const struct mpivf_observed *seen, size_t at,
              struct mpivf_range range)
{
    struct mpivf_range piece[PIECES];
    mpivf_status status = MPIVF_OK;
    uint64_t end = range.row + range.rows, start = range.row;
    while (range.rows > 0 && status == MPIVF_OK) {
        size_t pieces = mpivf_range_cut(w->gap, w->gaps, range, piece, PIECES);
        for (size_t i = 0; i < pieces && status == MPIVF_OK; i++) {
            size_t place = at + (piece[i].row - start),
                   row = mpivf_accumulator_raw_bytes(&w->shape);
            uint64_t rowsum =
                mpivf_rowsum((const char *)seen->row + place * row, row, seen->id + place,
                             piece[i].rows, w->accumulator.ctx->threads);
            status = compare_good(w, seen, place, piece[i]);
            THEN(status, mpivf_accumulator_cover(&w->accumulator, &piece[i], 1, rowsum));
        }
        if (pieces < PIECES)
            break;
        range.row = piece[pieces - 1].row + piece[pieces - 1].rows;
        range.rows = end - range.row;
    }
    return status;
}

static mpivf_status
rows(void *arg, const struct mpivf_observed *seen)
{
    struct mpivf_observer_state *w = arg;
    mpivf_status status = MPIVF_OK;
    size_t at = 0;
    for (size_t i = 0; i < seen->ranges && status == MPIVF_OK && !w->idle; i++) {
        status = compare_range(w, seen, at, seen->range[i]);
        at += seen->range[i].rows;
    }
    return status;
}

static mpivf_status
save(void *arg)
{
    struct mpivf_observer_state *w = arg;
    return w->idle ? MPIVF_OK : mpivf_resume_save(&w->resume);
}

/* ---- begin and end ---- */

static mpivf_status
plan_memory(struct mpivf_observer_state *w)
{
    struct mpivf_context *ctx = w->request.par->ctx;
    size_t row = mpivf_accumulator_row_bytes(&w->shape);
    w->shape.capacity = w->request.queries;
    w->shape.batch = BATCH_BYTES / row > 0 ? BATCH_BYTES / row : 1;
    if (w->shape.batch > w->request.base.rows)
        w->shape.batch = w->request.base.rows;
    size_t each = mpivf_accumulator_query_bytes(&w->shape) + mpivf_request_query_bytes(&w->request);
    size_t need = mpivf_accumulator_fixed_bytes(&w->shape, ctx->threads) +
                  w->shape.capacity * each + w->shape.batch * row;
    w->first = mpivf_accumulator_later_bytes(&w->shape, ctx->threads) +
               4 * w->request.base.blocks * sizeof(struct mpivf_range);
    return mpivf_memory_plan(ctx, "--truth beside a build (which gets half)", 2 * need, 0,
                             "run truth by itself", NULL);
}

static mpivf_status
start_all(struct mpivf_observer_state *w)
{
    const struct mpivf_par *par = w->request.par;
    struct mpivf_context *ctx = par->ctx;
    const struct mpivf_checkpoints_chosen *chosen = &w->resume.chosen;
    mpivf_status status =
        mpivf_agree_all(par, mpivf_accumulator_init(ctx, &w->accumulator, &w->shape));
    bool again = true;
    /* what is known already is taken over; a damaged checkpoint goes, and it is planned again */
    while (status == MPIVF_OK && again) {
        again = false;
        status = mpivf_resume_plan_all(&w->resume, 0);
        w->idle = chosen->complete || chosen->end < w->request.queries;
        if (status || w->idle)
            break;
        mpivf_free(ctx, w->query);
        w->query = NULL;
        status = mpivf_request_load_all(&w->request, 0, w->request.queries, &w->query);
        if (status == MPIVF_OK) {
            mpivf_accumulator_begin(&w->accumulator, 0, w->request.queries, w->query, NULL);
            status = mpivf_resume_take_over_all(&w->resume, &again);
        }
    }
    if (status || w->idle)
        return status;
    /* only rows that no checkpoint has are compared */
    w->number = mpivf_alloc(ctx, "row numbers", w->shape.batch, sizeof *w->number);
    w->gap = mpivf_alloc(ctx, "row ranges", chosen->covered.ranges + 1, sizeof *w->gap);
    if (w->gap)
        w->gaps = mpivf_range_gaps(chosen->covered.range, chosen->covered.ranges,
                                   w->request.prefix[w->request.segments - 1], w->gap);
    status = w->gap && w->number ? mpivf_memory_reserve(ctx, "the truth", w->first) : MPIVF_MEMORY;
    if (status == MPIVF_OK)
        w->later = w->first;
    return mpivf_agree_all(par, status);
}

static mpivf_status
open_all(struct mpivf_observer_state *w, const struct mpivf_par *par, const char *base,
         const char *queries, const struct mpivf_truth_files *files,
         const struct mpivf_truth_options *options, struct mpivf_report *report)
{
    w->resume = (struct mpivf_resume){.request = &w->request, .accumulator = &w->accumulator};
    mpivf_memory_credit(par->ctx);
    mpivf_status status = mpivf_request_open_all(&w->request, par, base, queries, options);
    if (status == MPIVF_OK) {
        w->shape = mpivf_resume_shape(&w->request);
        status = mpivf_agree_all(par, plan_memory(w));
    }
    mpivf_memory_settle(par->ctx);
    THEN(status, mpivf_request_look_all(&w->request, files));
    w->idle = w->request.answered;
    if (status || w->idle)
        return status;
    THEN(status, mpivf_request_claim_all(&w->request, &w->claim));
    THEN(status, mpivf_resume_recheck_all(&w->request, &w->claim, report));
    THEN(status, start_all(w));
    return status;
}

mpivf_status
mpivf_observer_begin_all(const struct mpivf_par *par, const char *base, const char *queries,
                         const struct mpivf_truth_files *files,
                         const struct mpivf_truth_options *options, struct mpivf_report *report,
                         struct mpivf_observer *observer, struct mpivf_observer_state **state)
{
    *state = mpivf_alloc_zero(par->ctx, "the observer", 1, sizeof **state);
    if (*state)
        (*state)->request.par = par;
    mpivf_status status = mpivf_agree_all(par, *state ? MPIVF_OK : MPIVF_MEMORY);
    if (status)
        return status;
    *observer = (struct mpivf_observer){.arg = *state, .rows = rows, .save = save};
    status = open_all(*state, par, base, queries, files, options, report);
    observer->f64 = (*state)->request.f64;
    return status;
}

void
mpivf_observer_end_all(struct mpivf_observer_state **state)
{
    struct mpivf_observer_state *w = *state;
    if (w == NULL)
        return;
    struct mpivf_context *ctx = w->request.par->ctx;
    if (w->later > 0)
        mpivf_memory_release(ctx, w->later);
    mpivf_resume_clear(&w->resume);
    mpivf_accumulator_clear(&w->accumulator);
    mpivf_free(ctx, w->query);
    mpivf_free(ctx, w->gap);
    mpivf_free(ctx, w->number);
    if (w->request.par->rank == 0) /* the build may have found something wrong with the input */
        mpivf_claim_abandon(&w->claim);
    mpivf_claim_clear(&w->claim);
    mpivf_request_close_all(&w->request);
    mpivf_free(ctx, w);
    *state = NULL;
}
