#include "measure/resume.h"

#include "base/then.h"
#include "par/array.h"
#include "par/root.h"
#include "source/rowsum.h"
#include "source/stamp.h"

#include <string.h>

static const double SAVE_SHARE = 50; /* saving takes at most 2 % of the run time */

struct mpivf_accumulator_shape
mpivf_resume_shape(const struct mpivf_request *request)
{
    return (struct mpivf_accumulator_shape){.metric = request->options->metric,
                                            .f64 = request->f64,
                                            .once = request->once,
                                            .dim = request->base.dim,
                                            .k = request->options->k,
                                            .segments = request->segments,
                                            .prefix = request->prefix};
}

void
mpivf_resume_clear(struct mpivf_resume *r)
{
    if (r->request == NULL)
        return;
    mpivf_checkpoints_chosen_clear(r->request->par->ctx, &r->chosen);
    mpivf_checkpoints_clear(r->request->par->ctx, &r->checkpoints);
}

mpivf_status
mpivf_resume_list(const struct mpivf_request *request, struct mpivf_checkpoints *checkpoints)
{
    return mpivf_checkpoints_list(request->par->ctx, request->folder, request->options->k,
                                  request->segments, request->once, checkpoints);
}

/* ---- on every rank ---- */

/* Rank 0's list on every rank; to be cleared also after failure. */
static mpivf_status
share_list_all(const struct mpivf_par *par, struct mpivf_checkpoints *checkpoints)
{
    uint64_t count = checkpoints->checkpoints;
    mpivf_status status =
        mpivf_bcast_array_all(par, "the list of checkpoints", &checkpoints->checkpoint, &count,
                              sizeof *checkpoints->checkpoint);
    for (size_t i = 0; par->rank != 0 && checkpoints->checkpoint && i < count; i++)
        checkpoints->checkpoint[i].range = NULL; /* its own, or none */
    checkpoints->checkpoints = checkpoints->checkpoint ? count : 0;
    for (size_t i = 0; i < count && status == MPIVF_OK; i++) {
        struct mpivf_checkpoint *checkpoint = &checkpoints->checkpoint[i];
        status = mpivf_bcast_array_all(par, "row ranges", &checkpoint->range, &checkpoint->ranges,
                                       sizeof *checkpoint->range);
    }
    return status;
}

/* Rank 0's list and choice on every rank. */
static mpivf_status
share_choice_all(struct mpivf_resume *r)
{
    const struct mpivf_par *par = r->request->par;
    struct mpivf_checkpoints_chosen *chosen = &r->chosen;
    uint64_t facts[3] = {chosen->first, chosen->end, chosen->complete};
    mpivf_bcast_all(par, facts, sizeof facts);
    chosen->first = facts[0];
    chosen->end = facts[1];
    chosen->complete = facts[2] != 0;
    mpivf_status status = mpivf_bcast_array_all(par, "the list of checkpoints", &chosen->chosen,
                                                &chosen->count, sizeof *chosen->chosen);
    THEN(status, mpivf_bcast_array_all(par, "row ranges", &chosen->covered.range,
                                       &chosen->covered.ranges, sizeof *chosen->covered.range));
    THEN(status, share_list_all(par, &r->checkpoints));
    return status;
}

/* ---- of the same rows ---- */

static const struct mpivf_source *
ids_of(const struct mpivf_request *request)
{
    return request->options->ids ? &request->ids : NULL;
}

/* Read the base rows of a checkpoint again. */
static mpivf_status
check_rows_all(struct mpivf_request *request, const struct mpivf_checkpoint *checkpoint,
               struct mpivf_progress *progress)
{
    struct mpivf_source *ids = request->options->ids ? &request->ids : NULL;
    uint64_t rowsum = 0;
    mpivf_status status =
        mpivf_rowsum_again_all(&request->base, ids, request->f64, checkpoint->range,
                               checkpoint->ranges, progress, &rowsum);
    if (status == MPIVF_OK && rowsum != checkpoint->base.rows)
        status =
            mpivf_source_changed(&request->base, ids, &checkpoint->base, "rows that were compared");
    return status;
}

/* Read its queries again. */
static mpivf_status
check_queries_all(struct mpivf_request *request, const struct mpivf_checkpoint *checkpoint,
                  struct mpivf_progress *progress)
{
    struct mpivf_context *ctx = request->par->ctx;
    uint64_t rowsum = 0;
    struct mpivf_range *range = mpivf_alloc(ctx, "row ranges", checkpoint->queries, sizeof *range);
    mpivf_status status = mpivf_agree_all(request->par, range ? MPIVF_OK : MPIVF_MEMORY);
    if (status == MPIVF_OK) {
        for (uint64_t i = 0; i < checkpoint->queries; i++)
            range[i] = (struct mpivf_range){mpivf_request_place(request, checkpoint->first + i), 1};
        size_t ranges = mpivf_range_normalise(range, checkpoint->queries, NULL);
        status = mpivf_rowsum_again_all(&request->query, NULL, request->f64, range, ranges,
                                        progress, &rowsum);
    }
    mpivf_free(ctx, range);
    if (status == MPIVF_OK && rowsum != checkpoint->query.rows)
        status = mpivf_source_changed(&request->query, NULL, &checkpoint->query,
                                      "queries that were compared");
    return status;
}

mpivf_status
mpivf_resume_recheck_all(struct mpivf_request *request, const struct mpivf_claim *claim,
                         struct mpivf_report *report)
{
    const struct mpivf_par *par = request->par;
    struct mpivf_stamp base = mpivf_source_stamp(&request->base, ids_of(request));
    struct mpivf_stamp query = mpivf_source_stamp(&request->query, NULL);
    struct mpivf_checkpoints checkpoints = {.checkpoint = NULL};
    struct mpivf_progress progress;
    uint64_t rows = 0;
    mpivf_status status = ROOT_ALL(par, mpivf_resume_list(request, &checkpoints));
    THEN(status, share_list_all(par, &checkpoints));
    /* a file that looks the same needs no reading */
    for (size_t i = 0; i < checkpoints.checkpoints && status == MPIVF_OK; i++)
        rows +=
            (checkpoints.checkpoint[i].base.version != base.version ? checkpoints.checkpoint[i].rows
                                                                    : 0) +
            (checkpoints.checkpoint[i].query.version != query.version
                 ? checkpoints.checkpoint[i].queries
                 : 0);
    /* read again what saved progress is of, where the file was touched */
    if (status == MPIVF_OK && rows > 0) {
        mpivf_phase_begin(&progress, par, report, "recheck", "rows", rows);
        for (size_t i = 0; i < checkpoints.checkpoints && status == MPIVF_OK; i++) {
            const struct mpivf_checkpoint *checkpoint = &checkpoints.checkpoint[i];
            if (checkpoint->base.version != base.version)
                status = check_rows_all(request, checkpoint, &progress);
            if (status == MPIVF_OK && checkpoint->query.version != query.version)
                status = check_queries_all(request, checkpoint, &progress);
        }
        mpivf_phase_end(&progress);
    }
    mpivf_checkpoints_clear(par->ctx, &checkpoints);
    /* of other rows: only --force starts over */
    if (status != MPIVF_MISMATCH || !request->options->force)
        return status;
    mpivf_clear_error(par->ctx);
    return ROOT_ALL(par, mpivf_claim_empty(claim));
}

/* ---- going on ---- */

static mpivf_status
drop_damaged(struct mpivf_resume *r, const struct mpivf_checkpoint *checkpoint)
{
    struct mpivf_context *ctx = r->accumulator->ctx;
    mpivf_note(ctx, "'%s/%s' is damaged; its rows are compared again", r->request->folder,
               checkpoint->name);
    return mpivf_checkpoint_remove(ctx, r->request->folder, checkpoint->name);
}

/* *again when queries that seemed answered are not: their checkpoint was damaged and is gone. */
static mpivf_status
plan(struct mpivf_resume *r, uint64_t first, bool *again)
{
    struct mpivf_context *ctx = r->accumulator->ctx;
    const struct mpivf_request *request = r->request;
    mpivf_checkpoints_chosen_clear(ctx, &r->chosen);
    mpivf_checkpoints_clear(ctx, &r->checkpoints);
    *again = false;
    mpivf_status status = mpivf_resume_list(request, &r->checkpoints);
    THEN(status, mpivf_checkpoints_plan(ctx, &r->checkpoints, first, request->queries,
                                        r->accumulator->shape.capacity,
                                        request->prefix[request->segments - 1], &r->chosen));
    if (status == MPIVF_OK && r->chosen.complete) /* nobody reads it before it is published */
        status = mpivf_checkpoint_check(ctx, request->folder,
                                        &r->checkpoints.checkpoint[r->chosen.chosen[0]], again);
    return *again ? drop_damaged(r, &r->checkpoints.checkpoint[r->chosen.chosen[0]]) : status;
}

mpivf_status
mpivf_resume_plan_all(struct mpivf_resume *r, uint64_t first)
{
    mpivf_status status = MPIVF_OK;
    bool again = r->request->par->rank == 0;
    if (!again) {
        mpivf_checkpoints_chosen_clear(r->accumulator->ctx, &r->chosen);
        mpivf_checkpoints_clear(r->accumulator->ctx, &r->checkpoints);
    }
    while (again && status == MPIVF_OK)
        status = plan(r, first, &again);
    status = mpivf_agree_all(r->request->par, status);
    THEN(status, share_choice_all(r));
    return status;
}

/* Take this rank's share of the checkpoints over. A damaged one is removed: *damaged. */
static mpivf_status
take_over(struct mpivf_resume *r, bool *damaged)
{
    struct mpivf_context *ctx = r->accumulator->ctx;
    struct mpivf_answers answers = mpivf_accumulator_answers(r->accumulator);
    mpivf_status status = MPIVF_OK;
    *damaged = false;
    for (size_t i = (size_t)r->request->par->rank; i < r->chosen.count && status == MPIVF_OK;
         i += (size_t)r->request->par->size) {
        const struct mpivf_checkpoint *checkpoint = &r->checkpoints.checkpoint[r->chosen.chosen[i]];
        bool bad;
        status = mpivf_checkpoint_read(ctx, r->request->folder, checkpoint, r->accumulator->first,
                                       r->accumulator->n, &answers, &bad);
        if (status == MPIVF_OK && bad) {
            *damaged = true;
            status = drop_damaged(r, checkpoint);
        }
        THEN(status, mpivf_accumulator_cover(r->accumulator, checkpoint->range, checkpoint->ranges,
                                             checkpoint->base.rows));
        for (size_t s = 0; s < r->accumulator->shape.segments; s++)
            r->accumulator->rejected[s] += checkpoint->rejected[s];
    }
    r->accumulator->saved = true;
    return status;
}

mpivf_status
mpivf_resume_take_over_all(struct mpivf_resume *r, bool *again)
{
    bool damaged = false;
    r->mine[0] = '\0';
    r->saved_at = mpivf_seconds();
    r->query_rowsum = 0;
    size_t row_bytes = mpivf_accumulator_raw_bytes(&r->accumulator->shape);
    for (uint64_t i = 0; i < r->accumulator->n; i++)
        r->query_rowsum +=
            mpivf_rowsum_row((const char *)r->accumulator->query + i * row_bytes, row_bytes,
                             mpivf_request_place(r->request, r->accumulator->first + i));
    mpivf_status status = mpivf_agree_all(r->request->par, take_over(r, &damaged));
    *again = mpivf_sum_u64_all(r->request->par, damaged) > 0;
    return status;
}

static mpivf_status
look(const struct mpivf_resume *r, struct mpivf_ahead *ahead)
{
    const struct mpivf_request *request = r->request;
    const struct mpivf_accumulator_shape *shape = &r->accumulator->shape;
    struct mpivf_context *ctx = r->accumulator->ctx;
    uint64_t rows = request->prefix[request->segments - 1];
    struct mpivf_checkpoints checkpoints;
    mpivf_status status = mpivf_resume_list(request, &checkpoints);
    for (uint64_t first = 0; first < request->queries && status == MPIVF_OK;) {
        struct mpivf_checkpoints_chosen chosen;
        status = mpivf_checkpoints_plan(ctx, &checkpoints, first, request->queries, shape->capacity,
                                        rows, &chosen);
        uint64_t done = mpivf_range_rows(chosen.covered.range, chosen.covered.ranges);
        ahead->rows += rows - done;
        ahead->passes += !chosen.complete;
        ahead->reused += done;
        first = chosen.end;
        mpivf_checkpoints_chosen_clear(ctx, &chosen);
    }
    mpivf_checkpoints_clear(ctx, &checkpoints);
    return status;
}

mpivf_status
mpivf_resume_look_all(struct mpivf_resume *r, struct mpivf_ahead *ahead)
{
    const struct mpivf_par *par = r->request->par;
    *ahead = (struct mpivf_ahead){.rows = 0};
    mpivf_status status = ROOT_ALL(par, look(r, ahead));
    mpivf_bcast_all(par, ahead, sizeof *ahead);
    return status;
}

/* ---- saving ---- */

/* Is this checkpoint only about queries of the pass? */
static bool
inside(const struct mpivf_resume *r, const struct mpivf_checkpoint *checkpoint)
{
    return checkpoint->first >= r->accumulator->first &&
           checkpoint->first + checkpoint->queries <= r->accumulator->first + r->accumulator->n;
}

/* Is one of no use now that this range is answered? */
static bool
is_outdone(const struct mpivf_resume *r, const struct mpivf_checkpoint *checkpoint, uint64_t rows)
{
    const struct mpivf_accumulator *a = r->accumulator;
    bool apart =
        checkpoint->first >= a->first + a->n || checkpoint->first + checkpoint->queries <= a->first;
    return inside(r, checkpoint) || (checkpoint->once && checkpoint->rows < rows && !apart);
}

mpivf_status
mpivf_resume_save(struct mpivf_resume *r)
{
    struct mpivf_context *ctx = r->accumulator->ctx;
    double start = mpivf_seconds();
    struct mpivf_accumulator *accumulator = r->accumulator;
    if (accumulator->saved)
        return MPIVF_OK;
    /* which rows, as they were, have been compared with which queries */
    struct mpivf_checkpoint checkpoint = {
        .first = accumulator->first,
        .queries = accumulator->n,
        .k = r->accumulator->shape.k,
        .segments = r->accumulator->shape.segments,
        .once = r->accumulator->shape.once,
        .base = mpivf_source_stamp(&r->request->base, ids_of(r->request)),
        .query = mpivf_source_stamp(&r->request->query, NULL),
        .ranges = accumulator->covered.ranges,
        .range = accumulator->covered.range};
    checkpoint.base.rows = accumulator->rowsum;
    checkpoint.query.rows = r->query_rowsum;
    memcpy(checkpoint.rejected, accumulator->rejected, sizeof checkpoint.rejected);
    struct mpivf_answers answers = mpivf_accumulator_answers(accumulator);
    mpivf_status status = mpivf_checkpoint_write(ctx, r->request->folder, &checkpoint, &answers);
    /* the one before goes only when this one is whole */
    if (status == MPIVF_OK && r->mine[0] && strcmp(r->mine, checkpoint.name) != 0)
        status = mpivf_checkpoint_remove(ctx, r->request->folder, r->mine);
    if (status)
        return status;
    strcpy(r->mine, checkpoint.name);
    /* and those that this one holds, each rank its share of them */
    const struct mpivf_par *par = r->request->par;
    for (size_t i = (size_t)par->rank; i < r->chosen.count && status == MPIVF_OK;
         i += (size_t)par->size) {
        struct mpivf_checkpoint *taken = &r->checkpoints.checkpoint[r->chosen.chosen[i]];
        if (taken->name[0] == '\0' || !inside(r, taken) || strcmp(taken->name, r->mine) == 0)
            continue;
        status = mpivf_checkpoint_remove(ctx, r->request->folder, taken->name);
        taken->name[0] = '\0';
    }
    accumulator->saved = true;
    r->saved_at = mpivf_seconds();
    r->saving = r->saved_at - start;
    return status;
}

bool
mpivf_resume_due(const struct mpivf_resume *r, double every)
{
    double since = mpivf_seconds() - r->saved_at;
    return every == 0 || (since >= every && since >= SAVE_SHARE * r->saving);
}

mpivf_status
mpivf_resume_complete(struct mpivf_resume *r)
{
    struct mpivf_context *ctx = r->accumulator->ctx;
    struct mpivf_range all = {0, r->request->prefix[r->request->segments - 1]};
    struct mpivf_checkpoints others;
    r->mine[0] = '\0';
    r->chosen.count = 0;
    r->accumulator->covered.ranges = 0;
    uint64_t rowsum = r->accumulator->rowsum; /* of all ranks */
    r->accumulator->rowsum = 0;
    mpivf_status status = mpivf_accumulator_cover(r->accumulator, &all, 1, rowsum);
    THEN(status, mpivf_resume_save(r));
    if (status)
        return status;
    status = mpivf_resume_list(r->request, &others);
    for (size_t i = 0; i < others.checkpoints && status == MPIVF_OK; i++)
        if (is_outdone(r, &others.checkpoint[i], all.rows) &&
            strcmp(others.checkpoint[i].name, r->mine) != 0)
            status = mpivf_checkpoint_remove(ctx, r->request->folder, others.checkpoint[i].name);
    mpivf_checkpoints_clear(ctx, &others);
    return status;
}
