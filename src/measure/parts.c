#include "measure/parts.h"

#include "base/then.h"
#include "io/folder.h"

#include <stdlib.h>
#include <string.h>

/* ---- all of a folder ---- */

struct listing {
    const char *folder;
    uint64_t k, segments;
    struct mpivf_parts *parts;
};

static mpivf_status
keep(struct mpivf_context *ctx, struct mpivf_parts *parts, const struct mpivf_part *part)
{
    struct mpivf_part *more =
        mpivf_grow(ctx, "the list of parts", parts->part, parts->parts, sizeof *more, &parts->room);
    if (more == NULL)
        return MPIVF_MEMORY;
    parts->part = more;
    parts->part[parts->parts++] = *part;
    return MPIVF_OK;
}

static mpivf_status
visit(struct mpivf_context *ctx, void *arg, const char *name)
{
    struct listing *listing = arg;
    struct mpivf_part part = {.range = NULL};
    char path[MPIVF_PATH];
    size_t length = strlen(name);
    bool good;
    if (!mpivf_part_owns(name))
        return MPIVF_OK;
    mpivf_status status = mpivf_path(ctx, path, "%s/%s", listing->folder, name);
    if (status)
        return status;
    if ((length > 8 && strcmp(name + length - 8, ".partial") == 0) || length >= MPIVF_PART_NAME)
        return mpivf_file_remove(ctx, path);
    strcpy(part.name, name);
    status = mpivf_part_head(ctx, path, &part, &good);
    if (status && !mpivf_file_exists(path)) { /* a folder read from a cache: it has gone */
        mpivf_forgive(ctx);
        return MPIVF_OK;
    }
    if (status == MPIVF_OK &&
        (!good || part.k != listing->k || part.segments != listing->segments)) {
        mpivf_note(ctx, "'%s' is damaged; its rows are compared again", path);
        mpivf_free(ctx, part.range);
        return mpivf_file_remove(ctx, path);
    }
    THEN(status, keep(ctx, listing->parts, &part));
    if (status)
        mpivf_free(ctx, part.range);
    return status;
}

/* Most rows first: of overlapping parts the larger is the newer. */
static int
by_rows(const void *a, const void *b)
{
    const struct mpivf_part *x = a, *y = b;
    if (x->rows != y->rows)
        return x->rows < y->rows ? 1 : -1;
    return strcmp(x->name, y->name);
}

mpivf_status
mpivf_parts_list(struct mpivf_context *ctx, const char *folder, uint64_t k, uint64_t segments,
                 struct mpivf_parts *parts)
{
    struct listing listing = {folder, k, segments, parts};
    *parts = (struct mpivf_parts){.part = NULL};
    mpivf_status status = mpivf_folder_list(ctx, folder, visit, &listing);
    if (parts->parts > 1)
        qsort(parts->part, parts->parts, sizeof *parts->part, by_rows);
    return status;
}

void
mpivf_parts_clear(struct mpivf_context *ctx, struct mpivf_parts *parts)
{
    for (size_t i = 0; i < parts->parts; i++)
        mpivf_free(ctx, parts->part[i].range);
    mpivf_free(ctx, parts->part);
    *parts = (struct mpivf_parts){.part = NULL};
}

/* ---- choosing ---- */

static bool
has(const struct mpivf_part *part, uint64_t query)
{
    return part->first <= query && query - part->first < part->queries;
}

/* Where the range that starts at chosen->first has to end. */
static void
find_end(const struct mpivf_parts *parts, uint64_t queries, uint64_t most, uint64_t rows,
         struct mpivf_parts_chosen *chosen)
{
    uint64_t first = chosen->first;
    chosen->end = queries - first < most ? queries : first + most;
    for (size_t i = 0; i < parts->parts; i++) {
        const struct mpivf_part *part = &parts->part[i];
        if (has(part, first) && part->rows == rows) {
            chosen->end = part->first + part->queries;
            chosen->complete = true;
            return;
        }
        uint64_t edge = has(part, first) ? part->first + part->queries : part->first;
        if (edge > first && edge < chosen->end)
            chosen->end = edge;
    }
}

mpivf_status
mpivf_parts_plan(struct mpivf_context *ctx, const struct mpivf_parts *parts, uint64_t first,
                 uint64_t queries, uint64_t most, uint64_t rows, struct mpivf_parts_chosen *chosen)
{
    size_t room = 0;
    *chosen = (struct mpivf_parts_chosen){.first = first};
    find_end(parts, queries, most, rows, chosen);
    for (size_t i = 0; i < parts->parts; i++)
        room += parts->part[i].ranges;
    chosen->chosen = mpivf_alloc(ctx, "the list of parts", parts->parts, sizeof *chosen->chosen);
    chosen->covered = mpivf_alloc(ctx, "row ranges", room, sizeof *chosen->covered);
    if (!chosen->chosen || !chosen->covered)
        return MPIVF_MEMORY;
    for (size_t i = 0; i < parts->parts; i++) {
        const struct mpivf_part *part = &parts->part[i];
        if (!has(part, first) ||
            mpivf_range_common(chosen->covered, chosen->ranges, part->range, part->ranges) > 0)
            continue;
        chosen->chosen[chosen->count++] = i;
        memcpy(chosen->covered + chosen->ranges, part->range, part->ranges * sizeof *part->range);
        chosen->ranges =
            mpivf_range_normalise(chosen->covered, chosen->ranges + part->ranges, NULL);
    }
    return MPIVF_OK;
}

void
mpivf_parts_chosen_clear(struct mpivf_context *ctx, struct mpivf_parts_chosen *chosen)
{
    mpivf_free(ctx, chosen->chosen);
    mpivf_free(ctx, chosen->covered);
    *chosen = (struct mpivf_parts_chosen){.first = 0};
}
