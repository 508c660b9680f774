#include "measure/resume.h"

#include "base/then.h"
#include "par/root.h"
#include "source/rowsum.h"
#include "source/stamp.h"

#include <string.h>

static const double KEEP_SHARE = 50; /* keeping takes a fiftieth of the time at most */

struct mpivf_pass_shape
mpivf_resume_shape(const struct mpivf_inquiry *inquiry)
{
    return (struct mpivf_pass_shape){.metric = inquiry->options->metric,
                                     .f64 = inquiry->f64,
                                     .dim = inquiry->base.dim,
                                     .k = inquiry->options->k,
                                     .segments = inquiry->segments,
                                     .prefix = inquiry->prefix};
}

void
mpivf_resume_clear(struct mpivf_resume *r)
{
    if (r->inquiry == NULL)
        return;
    mpivf_parts_chosen_clear(r->inquiry->par->ctx, &r->chosen);
    mpivf_parts_clear(r->inquiry->par->ctx, &r->parts);
}

/* ---- on every rank ---- */

/* Rank 0's list on every rank; to be cleared also after failure. */
static mpivf_status
share_list_all(const struct mpivf_par *par, struct mpivf_parts *parts)
{
    struct mpivf_context *ctx = par->ctx;
    uint64_t count = parts->parts;
    mpivf_bcast_all(par, &count, sizeof count);
    if (par->rank != 0) {
        *parts = (struct mpivf_parts){.parts = count};
        parts->part = mpivf_alloc_zero(ctx, "the list of parts", count, sizeof *parts->part);
        if (!parts->part)
            parts->parts = 0;
    }
    mpivf_status status = mpivf_agree_all(par, parts->part || count == 0 ? MPIVF_OK : MPIVF_MEMORY);
    for (size_t i = 0; i < count && status == MPIVF_OK; i++) {
        struct mpivf_part *part = &parts->part[i];
        struct mpivf_range *range = part->range;
        mpivf_bcast_all(par, part, sizeof *part);
        part->range =
            par->rank == 0 ? range : mpivf_alloc(ctx, "row ranges", part->ranges, sizeof *range);
        status = mpivf_agree_all(par, part->range ? MPIVF_OK : MPIVF_MEMORY);
        if (status == MPIVF_OK)
            mpivf_bcast_all(par, part->range, part->ranges * sizeof *range);
    }
    return status;
}

/* Rank 0's list and choice on every rank. */
static mpivf_status
share_parts_all(struct mpivf_resume *r)
{
    const struct mpivf_par *par = r->inquiry->par;
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_parts_chosen *chosen = &r->chosen;
    uint64_t facts[5] = {chosen->first, chosen->end, chosen->count, chosen->ranges,
                         chosen->complete};
    mpivf_bcast_all(par, facts, sizeof facts);
    mpivf_status status = MPIVF_OK;
    if (par->rank != 0) {
        *chosen = (struct mpivf_parts_chosen){.first = facts[0],
                                              .end = facts[1],
                                              .count = facts[2],
                                              .ranges = facts[3],
                                              .complete = facts[4] != 0};
        chosen->chosen = mpivf_alloc(ctx, "the list of parts", facts[2], sizeof *chosen->chosen);
        chosen->covered = mpivf_alloc(ctx, "row ranges", facts[3], sizeof *chosen->covered);
        if (!chosen->chosen || !chosen->covered)
            status = MPIVF_MEMORY;
    }
    status = mpivf_agree_all(par, status);
    if (status)
        return status;
    mpivf_bcast_all(par, chosen->chosen, chosen->count * sizeof *chosen->chosen);
    mpivf_bcast_all(par, chosen->covered, chosen->ranges * sizeof *chosen->covered);
    return share_list_all(par, &r->parts);
}

/* ---- of the same rows ---- */

static const struct mpivf_source *
ids_of(const struct mpivf_inquiry *inquiry)
{
    return inquiry->options->ids ? &inquiry->ids : NULL;
}

/* Read the base rows of a part again. */
static mpivf_status
check_rows_all(struct mpivf_inquiry *inquiry, const struct mpivf_part *part,
               struct mpivf_progress *progress)
{
    struct mpivf_source *ids = inquiry->options->ids ? &inquiry->ids : NULL;
    uint64_t rowsum = 0;
    mpivf_status status = mpivf_rowsum_again_all(&inquiry->base, ids, inquiry->f64, part->range,
                                                 part->ranges, progress, &rowsum);
    if (status == MPIVF_OK && rowsum != part->base.rows)
        status = mpivf_source_changed(&inquiry->base, ids, &part->base, "rows that were compared");
    return status;
}

/* Read its queries again. */
static mpivf_status
check_queries_all(struct mpivf_inquiry *inquiry, const struct mpivf_part *part,
                  struct mpivf_progress *progress)
{
    struct mpivf_context *ctx = inquiry->par->ctx;
    uint64_t rowsum = 0;
    struct mpivf_range *range = mpivf_alloc(ctx, "row ranges", part->queries, sizeof *range);
    mpivf_status status = mpivf_agree_all(inquiry->par, range ? MPIVF_OK : MPIVF_MEMORY);
    if (status == MPIVF_OK) {
        for (uint64_t i = 0; i < part->queries; i++)
            range[i] = (struct mpivf_range){mpivf_inquiry_place(inquiry, part->first + i), 1};
        size_t ranges = mpivf_range_normalise(range, part->queries, NULL);
        status = mpivf_rowsum_again_all(&inquiry->query, NULL, inquiry->f64, range, ranges,
                                        progress, &rowsum);
    }
    mpivf_free(ctx, range);
    if (status == MPIVF_OK && rowsum != part->query.rows)
        status =
            mpivf_source_changed(&inquiry->query, NULL, &part->query, "queries that were compared");
    return status;
}

mpivf_status
mpivf_resume_recheck_all(struct mpivf_inquiry *inquiry, const struct mpivf_claim *claim,
                         struct mpivf_report *report)
{
    const struct mpivf_par *par = inquiry->par;
    struct mpivf_stamp base = mpivf_source_stamp(&inquiry->base, ids_of(inquiry));
    struct mpivf_stamp query = mpivf_source_stamp(&inquiry->query, NULL);
    struct mpivf_parts parts = {.part = NULL};
    struct mpivf_progress progress;
    uint64_t rows = 0;
    mpivf_status status =
        ROOT_ALL(par, mpivf_parts_list(par->ctx, inquiry->folder, inquiry->options->k,
                                       inquiry->segments, &parts));
    THEN(status, share_list_all(par, &parts));
    for (size_t i = 0; i < parts.parts && status == MPIVF_OK; i++)
        rows += (parts.part[i].base.version != base.version ? parts.part[i].rows : 0) +
                (parts.part[i].query.version != query.version ? parts.part[i].queries : 0);
    if (status == MPIVF_OK && rows > 0) {
        mpivf_phase_begin(&progress, par, report, "recheck", "rows", rows);
        for (size_t i = 0; i < parts.parts && status == MPIVF_OK; i++) {
            const struct mpivf_part *part = &parts.part[i];
            if (part->base.version != base.version)
                status = check_rows_all(inquiry, part, &progress);
            if (status == MPIVF_OK && part->query.version != query.version)
                status = check_queries_all(inquiry, part, &progress);
        }
        mpivf_phase_end(&progress);
    }
    mpivf_parts_clear(par->ctx, &parts);
    if (status != MPIVF_MISMATCH || !inquiry->options->force)
        return status;
    mpivf_forgive(par->ctx);
    return ROOT_ALL(par, mpivf_claim_empty(claim));
}

/* ---- going on ---- */

static mpivf_status
drop_damaged(struct mpivf_resume *r, const struct mpivf_part *part)
{
    struct mpivf_context *ctx = r->pass->ctx;
    mpivf_note(ctx, "'%s/%s' is damaged; its rows are compared again", r->inquiry->folder,
               part->name);
    return mpivf_part_remove(ctx, r->inquiry->folder, part->name);
}

/* *again when queries that seemed answered are not: their part was damaged and is gone. */
static mpivf_status
plan(struct mpivf_resume *r, uint64_t first, bool *again)
{
    struct mpivf_context *ctx = r->pass->ctx;
    const struct mpivf_inquiry *inquiry = r->inquiry;
    mpivf_parts_chosen_clear(ctx, &r->chosen);
    mpivf_parts_clear(ctx, &r->parts);
    *again = false;
    mpivf_status status = mpivf_parts_list(ctx, inquiry->folder, r->pass->shape.k,
                                           r->pass->shape.segments, &r->parts);
    THEN(status, mpivf_parts_plan(ctx, &r->parts, first, inquiry->queries, r->pass->shape.capacity,
                                  inquiry->prefix[inquiry->segments - 1], &r->chosen));
    if (status == MPIVF_OK && r->chosen.complete) /* nobody reads it before it is published */
        status = mpivf_part_check(ctx, inquiry->folder, &r->parts.part[r->chosen.chosen[0]], again);
    return *again ? drop_damaged(r, &r->parts.part[r->chosen.chosen[0]]) : status;
}

mpivf_status
mpivf_resume_plan_all(struct mpivf_resume *r, uint64_t first)
{
    mpivf_status status = MPIVF_OK;
    bool again = r->inquiry->par->rank == 0;
    if (!again) {
        mpivf_parts_chosen_clear(r->pass->ctx, &r->chosen);
        mpivf_parts_clear(r->pass->ctx, &r->parts);
    }
    while (again && status == MPIVF_OK)
        status = plan(r, first, &again);
    status = mpivf_agree_all(r->inquiry->par, status);
    THEN(status, share_parts_all(r));
    return status;
}

/* Take this rank's share of the parts over. A damaged one is removed: *damaged. */
static mpivf_status
take_over(struct mpivf_resume *r, bool *damaged)
{
    struct mpivf_context *ctx = r->pass->ctx;
    struct mpivf_answers answers = mpivf_pass_answers(r->pass);
    mpivf_status status = MPIVF_OK;
    *damaged = false;
    for (size_t i = (size_t)r->inquiry->par->rank; i < r->chosen.count && status == MPIVF_OK;
         i += (size_t)r->inquiry->par->size) {
        const struct mpivf_part *part = &r->parts.part[r->chosen.chosen[i]];
        bool bad;
        status = mpivf_part_read(ctx, r->inquiry->folder, part, r->pass->first, r->pass->n,
                                 &answers, &bad);
        if (status == MPIVF_OK && bad) {
            *damaged = true;
            status = drop_damaged(r, part);
        }
        THEN(status, mpivf_pass_cover(r->pass, part->range, part->ranges, part->base.rows));
        for (size_t s = 0; s < r->pass->shape.segments; s++)
            r->pass->rejected[s] += part->rejected[s];
    }
    r->pass->kept = true;
    return status;
}

mpivf_status
mpivf_resume_take_over_all(struct mpivf_resume *r, bool *again)
{
    bool damaged = false;
    r->mine[0] = '\0';
    r->kept_at = mpivf_seconds();
    r->query_rowsum = 0;
    size_t row_bytes = mpivf_pass_raw_bytes(&r->pass->shape);
    for (uint64_t i = 0; i < r->pass->n; i++)
        r->query_rowsum += mpivf_rowsum_row((const char *)r->pass->query + i * row_bytes, row_bytes,
                                            mpivf_inquiry_place(r->inquiry, r->pass->first + i));
    mpivf_status status = mpivf_agree_all(r->inquiry->par, take_over(r, &damaged));
    *again = mpivf_sum_u64_all(r->inquiry->par, damaged) > 0;
    return status;
}

static mpivf_status
look(const struct mpivf_resume *r, struct mpivf_ahead *ahead)
{
    const struct mpivf_inquiry *inquiry = r->inquiry;
    const struct mpivf_pass_shape *shape = &r->pass->shape;
    struct mpivf_context *ctx = r->pass->ctx;
    uint64_t rows = inquiry->prefix[inquiry->segments - 1];
    struct mpivf_parts parts;
    mpivf_status status = mpivf_parts_list(ctx, inquiry->folder, shape->k, shape->segments, &parts);
    for (uint64_t first = 0; first < inquiry->queries && status == MPIVF_OK;) {
        struct mpivf_parts_chosen chosen;
        status =
            mpivf_parts_plan(ctx, &parts, first, inquiry->queries, shape->capacity, rows, &chosen);
        uint64_t done = mpivf_range_rows(chosen.covered, chosen.ranges);
        ahead->rows += rows - done;
        ahead->passes += !chosen.complete;
        ahead->reused += done;
        first = chosen.end;
        mpivf_parts_chosen_clear(ctx, &chosen);
    }
    mpivf_parts_clear(ctx, &parts);
    return status;
}

mpivf_status
mpivf_resume_look_all(struct mpivf_resume *r, struct mpivf_ahead *ahead)
{
    const struct mpivf_par *par = r->inquiry->par;
    *ahead = (struct mpivf_ahead){.rows = 0};
    mpivf_status status = ROOT_ALL(par, look(r, ahead));
    mpivf_bcast_all(par, ahead, sizeof *ahead);
    return status;
}

/* ---- keeping ---- */

/* Is this part only about queries of the pass? */
static bool
inside(const struct mpivf_resume *r, const struct mpivf_part *part)
{
    return part->first >= r->pass->first &&
           part->first + part->queries <= r->pass->first + r->pass->n;
}

mpivf_status
mpivf_resume_keep(struct mpivf_resume *r)
{
    struct mpivf_context *ctx = r->pass->ctx;
    double start = mpivf_seconds();
    struct mpivf_pass *pass = r->pass;
    if (pass->kept)
        return MPIVF_OK;
    struct mpivf_part part = {.first = pass->first,
                              .queries = pass->n,
                              .k = r->pass->shape.k,
                              .segments = r->pass->shape.segments,
                              .base = mpivf_source_stamp(&r->inquiry->base, ids_of(r->inquiry)),
                              .query = mpivf_source_stamp(&r->inquiry->query, NULL),
                              .ranges = pass->ranges,
                              .range = pass->covered};
    part.base.rows = pass->rowsum;
    part.query.rows = r->query_rowsum;
    memcpy(part.rejected, pass->rejected, sizeof part.rejected);
    struct mpivf_answers answers = mpivf_pass_answers(pass);
    mpivf_status status = mpivf_part_write(ctx, r->inquiry->folder, &part, &answers);
    if (status == MPIVF_OK && r->mine[0] && strcmp(r->mine, part.name) != 0)
        status = mpivf_part_remove(ctx, r->inquiry->folder, r->mine);
    if (status)
        return status;
    strcpy(r->mine, part.name);
    const struct mpivf_par *par = r->inquiry->par;
    for (size_t i = (size_t)par->rank; i < r->chosen.count && status == MPIVF_OK;
         i += (size_t)par->size) {
        struct mpivf_part *taken = &r->parts.part[r->chosen.chosen[i]];
        if (taken->name[0] == '\0' || !inside(r, taken) || strcmp(taken->name, r->mine) == 0)
            continue;
        status = mpivf_part_remove(ctx, r->inquiry->folder, taken->name);
        taken->name[0] = '\0';
    }
    pass->kept = true;
    r->kept_at = mpivf_seconds();
    r->keeping = r->kept_at - start;
    return status;
}

bool
mpivf_resume_due(const struct mpivf_resume *r, double every)
{
    double since = mpivf_seconds() - r->kept_at;
    return every == 0 || (since >= every && since >= KEEP_SHARE * r->keeping);
}

mpivf_status
mpivf_resume_complete(struct mpivf_resume *r)
{
    struct mpivf_context *ctx = r->pass->ctx;
    struct mpivf_range all = {0, r->inquiry->prefix[r->inquiry->segments - 1]};
    struct mpivf_parts others;
    r->mine[0] = '\0';
    r->chosen.count = 0;
    r->pass->ranges = 0;
    uint64_t rowsum = r->pass->rowsum; /* of all ranks */
    r->pass->rowsum = 0;
    mpivf_status status = mpivf_pass_cover(r->pass, &all, 1, rowsum);
    THEN(status, mpivf_resume_keep(r));
    if (status)
        return status;
    status = mpivf_parts_list(ctx, r->inquiry->folder, r->pass->shape.k, r->pass->shape.segments,
                              &others);
    for (size_t i = 0; i < others.parts && status == MPIVF_OK; i++)
        if (inside(r, &others.part[i]) && strcmp(others.part[i].name, r->mine) != 0)
            status = mpivf_part_remove(ctx, r->inquiry->folder, others.part[i].name);
    mpivf_parts_clear(ctx, &others);
    return status;
}
