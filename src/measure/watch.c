#include "measure/watch.h"

#include "base/then.h"
#include "io/claim.h"
#include "math/distance.h"
#include "measure/resume.h"
#include "source/rowsum.h"

enum { BATCH_BYTES = 32 << 20, PIECES = 64 };

struct mpivf_watch_state {
    struct mpivf_inquiry inquiry;
    struct mpivf_claim claim;
    struct mpivf_pass_shape shape;
    struct mpivf_pass pass;
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
compare(struct mpivf_watch_state *w, const char *row, uint64_t first, const int64_t *id,
        size_t rows)
{
    mpivf_status status = MPIVF_OK;
    if (w->later > 0) /* now it is allocated */
        mpivf_memory_release(w->pass.ctx, w->later);
    w->later = 0;
    for (size_t at = 0, n; at < rows && status == MPIVF_OK; at += n) {
        n = rows - at < w->shape.batch ? rows - at : w->shape.batch;
        for (size_t i = 0; i < n; i++)
            w->number[i] = first + at + i;
        status = mpivf_pass_rows(&w->pass, row + at * mpivf_pass_raw_bytes(&w->shape), w->number,
                                 id + at, n);
    }
    return status;
}

/* Rows `range` of the base, the first of which is in the buffers at `at`; bad rows are counted. */
static mpivf_status
compare_good(struct mpivf_watch_state *w, const struct mpivf_watched *seen, size_t at,
             struct mpivf_range range)
{
    size_t dim = w->shape.dim, bytes = mpivf_pass_raw_bytes(&w->shape);
    const char *row = (const char *)seen->row + at * bytes;
    mpivf_status status = MPIVF_OK;
    for (size_t from = 0, to; from < range.rows && status == MPIVF_OK; from = to + 1) {
        for (to = from; to < range.rows && mpivf_raw_good(mpivf_pass_raw(&w->shape, row, to), dim);)
            to++;
        if (to < range.rows)
            w->pass.rejected[mpivf_pass_segment(&w->shape, range.row + to)]++;
        status = compare(w, row + from * bytes, range.row + from, seen->id + at + from, to - from);
    }
    return status;
}

/* Rows of one range that was read, in the buffers from `at` on. */
static mpivf_status
compare_range(struct mpivf_watch_state *w, const struct mpivf_watched *seen, size_t at,
              struct mpivf_range range)
{
    struct mpivf_range part[PIECES];
    mpivf_status status = MPIVF_OK;
    uint64_t end = range.row + range.rows, start = range.row;
    while (range.rows > 0 && status == MPIVF_OK) {
        size_t parts = mpivf_range_cut(w->gap, w->gaps, range, part, PIECES);
        for (size_t i = 0; i < parts && status == MPIVF_OK; i++) {
            size_t place = at + (part[i].row - start), row = mpivf_pass_raw_bytes(&w->shape);
            uint64_t rowsum = mpivf_rowsum((const char *)seen->row + place * row, row,
                                           seen->id + place, part[i].rows, w->pass.ctx->threads);
            status = compare_good(w, seen, place, part[i]);
            THEN(status, mpivf_pass_cover(&w->pass, &part[i], 1, rowsum));
        }
        if (parts < PIECES)
            break;
        range.row = part[parts - 1].row + part[parts - 1].rows;
        range.rows = end - range.row;
    }
    return status;
}

static mpivf_status
rows(void *arg, const struct mpivf_watched *seen)
{
    struct mpivf_watch_state *w = arg;
    mpivf_status status = MPIVF_OK;
    size_t at = 0;
    for (size_t i = 0; i < seen->ranges && status == MPIVF_OK && !w->idle; i++) {
        status = compare_range(w, seen, at, seen->range[i]);
        at += seen->range[i].rows;
    }
    return status;
}

static mpivf_status
keep(void *arg)
{
    struct mpivf_watch_state *w = arg;
    return w->idle ? MPIVF_OK : mpivf_resume_keep(&w->resume);
}

/* ---- begin and end ---- */

static mpivf_status
plan_memory(struct mpivf_watch_state *w)
{
    struct mpivf_context *ctx = w->inquiry.par->ctx;
    size_t row = mpivf_pass_row_bytes(&w->shape);
    w->shape.capacity = w->inquiry.queries;
    w->shape.batch = BATCH_BYTES / row > 0 ? BATCH_BYTES / row : 1;
    if (w->shape.batch > w->inquiry.base.rows)
        w->shape.batch = w->inquiry.base.rows;
    size_t each = mpivf_pass_query_bytes(&w->shape) + mpivf_inquiry_query_bytes(&w->inquiry);
    size_t need = mpivf_pass_fixed_bytes(&w->shape, ctx->threads) + w->shape.capacity * each +
                  w->shape.batch * row;
    w->first = mpivf_pass_later_bytes(&w->shape, ctx->threads) +
               4 * w->inquiry.base.blocks * sizeof(struct mpivf_range);
    return mpivf_memory_plan(ctx, "--truth beside a build (which gets half)", 2 * need, 0,
                             "run truth by itself", NULL);
}

static mpivf_status
start_all(struct mpivf_watch_state *w)
{
    const struct mpivf_par *par = w->inquiry.par;
    struct mpivf_context *ctx = par->ctx;
    const struct mpivf_parts_chosen *chosen = &w->resume.chosen;
    mpivf_status status = mpivf_agree_all(par, mpivf_pass_init(ctx, &w->pass, &w->shape));
    bool again = true;
    while (status == MPIVF_OK && again) {
        again = false;
        status = mpivf_resume_plan_all(&w->resume, 0);
        w->idle = chosen->complete || chosen->end < w->inquiry.queries;
        if (status || w->idle)
            break;
        mpivf_free(ctx, w->query);
        w->query = NULL;
        status = mpivf_inquiry_load_all(&w->inquiry, 0, w->inquiry.queries, &w->query);
        if (status == MPIVF_OK) {
            mpivf_pass_begin(&w->pass, 0, w->inquiry.queries, w->query, NULL);
            status = mpivf_resume_take_over_all(&w->resume, &again);
        }
    }
    if (status || w->idle)
        return status;
    w->number = mpivf_alloc(ctx, "row numbers", w->shape.batch, sizeof *w->number);
    w->gap = mpivf_alloc(ctx, "row ranges", chosen->ranges + 1, sizeof *w->gap);
    if (w->gap)
        w->gaps = mpivf_range_gaps(chosen->covered, chosen->ranges,
                                   w->inquiry.prefix[w->inquiry.segments - 1], w->gap);
    status = w->gap && w->number ? mpivf_memory_reserve(ctx, "the truth", w->first) : MPIVF_MEMORY;
    if (status == MPIVF_OK)
        w->later = w->first;
    return mpivf_agree_all(par, status);
}

static mpivf_status
open_all(struct mpivf_watch_state *w, const struct mpivf_par *par, const char *base,
         const char *queries, const struct mpivf_truth_files *files,
         const struct mpivf_truth_options *options, struct mpivf_report *report)
{
    w->resume = (struct mpivf_resume){.inquiry = &w->inquiry, .pass = &w->pass};
    mpivf_memory_credit(par->ctx);
    mpivf_status status = mpivf_inquiry_open_all(&w->inquiry, par, base, queries, options);
    if (status == MPIVF_OK) {
        w->shape = mpivf_resume_shape(&w->inquiry);
        status = mpivf_agree_all(par, plan_memory(w));
    }
    mpivf_memory_settle(par->ctx);
    THEN(status, mpivf_inquiry_look_all(&w->inquiry, files));
    w->idle = w->inquiry.answered;
    if (status || w->idle)
        return status;
    THEN(status, mpivf_inquiry_claim_all(&w->inquiry, &w->claim));
    THEN(status, mpivf_resume_recheck_all(&w->inquiry, &w->claim, report));
    THEN(status, start_all(w));
    return status;
}

mpivf_status
mpivf_watch_begin_all(const struct mpivf_par *par, const char *base, const char *queries,
                      const struct mpivf_truth_files *files,
                      const struct mpivf_truth_options *options, struct mpivf_report *report,
                      struct mpivf_watch *watch, struct mpivf_watch_state **state)
{
    *state = mpivf_alloc_zero(par->ctx, "the watch", 1, sizeof **state);
    if (*state)
        (*state)->inquiry.par = par;
    mpivf_status status = mpivf_agree_all(par, *state ? MPIVF_OK : MPIVF_MEMORY);
    if (status)
        return status;
    *watch = (struct mpivf_watch){.arg = *state, .rows = rows, .keep = keep};
    status = open_all(*state, par, base, queries, files, options, report);
    watch->f64 = (*state)->inquiry.f64;
    return status;
}

void
mpivf_watch_end_all(struct mpivf_watch_state **state)
{
    struct mpivf_watch_state *w = *state;
    if (w == NULL)
        return;
    struct mpivf_context *ctx = w->inquiry.par->ctx;
    if (w->later > 0)
        mpivf_memory_release(ctx, w->later);
    mpivf_resume_clear(&w->resume);
    mpivf_pass_clear(&w->pass);
    mpivf_free(ctx, w->query);
    mpivf_free(ctx, w->gap);
    mpivf_free(ctx, w->number);
    if (w->inquiry.par->rank == 0) /* the build may have found something wrong with the input */
        mpivf_claim_abandon(&w->claim);
    mpivf_claim_clear(&w->claim);
    mpivf_inquiry_close_all(&w->inquiry);
    mpivf_free(ctx, w);
    *state = NULL;
}
