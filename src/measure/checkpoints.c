#include "measure/checkpoints.h"

#include "base/text.h"
#include "base/then.h"
#include "io/folder.h"

#include <stdlib.h>
#include <string.h>

/* ---- all of a folder ---- */

struct listing {
    const char *folder;
    uint64_t k, segments;
    bool once;
    struct mpivf_checkpoints *checkpoints;
};

static mpivf_status
keep(struct mpivf_context *ctx, struct mpivf_checkpoints *checkpoints,
     const struct mpivf_checkpoint *checkpoint)
{
    mpivf_status status =
        mpivf_grow(ctx, "the list of checkpoints", &checkpoints->checkpoint,
                   checkpoints->checkpoints, 1, sizeof *checkpoint, &checkpoints->room);
    if (status)
        return status;
    checkpoints->checkpoint[checkpoints->checkpoints++] = *checkpoint;
    return MPIVF_OK;
}

static mpivf_status
visit(struct mpivf_context *ctx, void *arg, const char *name)
{
    struct listing *listing = arg;
    struct mpivf_checkpoint checkpoint = {.range = NULL};
    char path[MPIVF_PATH];
    bool good;
    if (!mpivf_checkpoint_owns(name))
        return MPIVF_OK;
    mpivf_status status = mpivf_path(ctx, path, "%s/%s", listing->folder, name);
    if (status)
        return status;
    if (mpivf_ends_with(name, ".partial") || strlen(name) >= MPIVF_CHECKPOINT_NAME)
        return mpivf_file_remove(ctx, path);
    strcpy(checkpoint.name, name);
    status = mpivf_checkpoint_head(ctx, path, &checkpoint, &good);
    if (status && !mpivf_file_exists(path)) { /* a folder read from a cache: it has gone */
        mpivf_clear_error(ctx);
        return MPIVF_OK;
    }
    if (status == MPIVF_OK && good && checkpoint.once != listing->once) {
        mpivf_note(ctx, "'%s' is of another version or MPIVF_PAIRS; its rows are compared again",
                   path);
        mpivf_free(ctx, checkpoint.range);
        return mpivf_file_remove(ctx, path);
    }
    if (status == MPIVF_OK &&
        (!good || checkpoint.k != listing->k || checkpoint.segments != listing->segments)) {
        mpivf_note(ctx, "'%s' is damaged; its rows are compared again", path);
        mpivf_free(ctx, checkpoint.range);
        return mpivf_file_remove(ctx, path);
    }
    THEN(status, keep(ctx, listing->checkpoints, &checkpoint));
    if (status)
        mpivf_free(ctx, checkpoint.range);
    return status;
}

/* Most rows first: of overlapping checkpoints the larger is the newer. */
static int
by_rows(const void *a, const void *b)
{
    const struct mpivf_checkpoint *x = a, *y = b;
    if (x->rows != y->rows)
        return x->rows < y->rows ? 1 : -1;
    return strcmp(x->name, y->name);
}

mpivf_status
mpivf_checkpoints_list(struct mpivf_context *ctx, const char *folder, uint64_t k, uint64_t segments,
                       bool once, struct mpivf_checkpoints *checkpoints)
{
    struct listing listing = {folder, k, segments, once, checkpoints};
    *checkpoints = (struct mpivf_checkpoints){.checkpoint = NULL};
    mpivf_status status = mpivf_folder_list(ctx, folder, visit, &listing);
    if (checkpoints->checkpoints > 1)
        qsort(checkpoints->checkpoint, checkpoints->checkpoints, sizeof *checkpoints->checkpoint,
              by_rows);
    return status;
}

void
mpivf_checkpoints_clear(struct mpivf_context *ctx, struct mpivf_checkpoints *checkpoints)
{
    for (size_t i = 0; i < checkpoints->checkpoints; i++)
        mpivf_free(ctx, checkpoints->checkpoint[i].range);
    mpivf_free(ctx, checkpoints->checkpoint);
    *checkpoints = (struct mpivf_checkpoints){.checkpoint = NULL};
}

/* ---- choosing ---- */

static bool
has(const struct mpivf_checkpoint *checkpoint, uint64_t query)
{
    return checkpoint->first <= query && query - checkpoint->first < checkpoint->queries;
}

static uint64_t
end_of(const struct mpivf_checkpoint *checkpoint)
{
    return checkpoint->first + checkpoint->queries;
}

/* Is one of the queries that were chosen? */
static bool
fits(const struct mpivf_checkpoints_chosen *chosen, const struct mpivf_checkpoint *checkpoint)
{
    if (checkpoint->once && !chosen->complete)
        return checkpoint->first == chosen->first && end_of(checkpoint) == chosen->end;
    return has(checkpoint, chosen->first);
}

/* Where the range that starts at chosen->first has to end. */
static void
find_end(const struct mpivf_checkpoints *checkpoints, uint64_t queries, uint64_t max, uint64_t rows,
         struct mpivf_checkpoints_chosen *chosen)
{
    uint64_t first = chosen->first;
    chosen->end = queries - first < max ? queries : first + max;
    for (size_t i = 0; i < checkpoints->checkpoints; i++) {
        const struct mpivf_checkpoint *checkpoint = &checkpoints->checkpoint[i];
        if (has(checkpoint, first) && checkpoint->rows == rows) {
            chosen->end = end_of(checkpoint);
            chosen->complete = true;
            return;
        }
        uint64_t edge = has(checkpoint, first) ? end_of(checkpoint) : checkpoint->first;
        bool counts = !checkpoint->once || checkpoint->rows == rows;
        if (counts && edge > first && edge < chosen->end)
            chosen->end = edge;
    }
    /* of pairs compared once a range that was begun, the one with most rows */
    for (size_t i = 0; i < checkpoints->checkpoints; i++) {
        const struct mpivf_checkpoint *checkpoint = &checkpoints->checkpoint[i];
        if (checkpoint->once && checkpoint->first == first && end_of(checkpoint) <= chosen->end) {
            chosen->end = end_of(checkpoint);
            return;
        }
    }
}

mpivf_status
mpivf_checkpoints_plan(struct mpivf_context *ctx, const struct mpivf_checkpoints *checkpoints,
                       uint64_t first, uint64_t queries, uint64_t max, uint64_t rows,
                       struct mpivf_checkpoints_chosen *chosen)
{
    *chosen = (struct mpivf_checkpoints_chosen){.first = first};
    find_end(checkpoints, queries, max, rows, chosen);
    chosen->chosen = mpivf_alloc(ctx, "the list of checkpoints", checkpoints->checkpoints,
                                 sizeof *chosen->chosen);
    mpivf_status status = chosen->chosen ? MPIVF_OK : MPIVF_MEMORY;
    for (size_t i = 0; i < checkpoints->checkpoints && status == MPIVF_OK; i++) {
        const struct mpivf_checkpoint *checkpoint = &checkpoints->checkpoint[i];
        if (!fits(chosen, checkpoint) ||
            mpivf_range_common(chosen->covered.range, chosen->covered.ranges, checkpoint->range,
                               checkpoint->ranges) > 0)
            continue;
        chosen->chosen[chosen->count++] = i;
        status = mpivf_row_set_add(ctx, &chosen->covered, checkpoint->range, checkpoint->ranges);
    }
    return status;
}

void
mpivf_checkpoints_chosen_clear(struct mpivf_context *ctx, struct mpivf_checkpoints_chosen *chosen)
{
    mpivf_free(ctx, chosen->chosen);
    mpivf_row_set_clear(ctx, &chosen->covered);
    *chosen = (struct mpivf_checkpoints_chosen){.first = 0};
}
