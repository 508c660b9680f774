#include "build/work.h"

#include "base/text.h"
#include "base/then.h"
#include "build/shard.h"
#include "io/folder.h"
#include "par/array.h"
#include "par/root.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- on rank 0 ---- */

struct names {
    struct mpivf_work *work;
    struct mpivf_work_shard *shard; /* owned, grows */
    size_t count, room;
};

/* Is it `printed`, whole or partial? */
static bool
is(const char *name, const char *printed)
{
    size_t length = strlen(printed);
    return strncmp(name, printed, length) == 0 &&
           (name[length] == '\0' || strcmp(name + length, ".partial") == 0);
}

bool
mpivf_work_has_model(const char *folder)
{
    char path[MPIVF_PATH + sizeof "/model.h5"];
    snprintf(path, sizeof path, "%s/model.h5", folder);
    return mpivf_file_exists(path);
}

/* The names are read and printed again: nothing but what we print is ours. */
bool
mpivf_work_owns(const char *name)
{
    unsigned long long a, b;
    char printed[128] = "";
    if (sscanf(name, "shard-%16llx-%20llu.h5", &a, &b) == 2)
        snprintf(printed, sizeof printed, MPIVF_SHARD_NAME, ".", a, b);
    else if (sscanf(name, "joined-%20llu-%20llu.partial", &a, &b) == 2)
        snprintf(printed, sizeof printed, MPIVF_JOINED_NAME, ".", a, b);
    return is(name, "model.h5") || (printed[0] != '\0' && is(name, printed + 2));
}

static mpivf_status
visit(struct mpivf_context *ctx, void *arg, const char *name)
{
    struct names *names = arg;
    char path[MPIVF_PATH];
    mpivf_status status = mpivf_path(ctx, path, "%s/%s", names->work->claim.folder, name);
    if (status)
        return status;
    if (!mpivf_work_owns(name))
        return MPIVF_OK;
    if (mpivf_ends_with(name, ".partial"))
        return mpivf_file_remove(ctx, path);
    if (strcmp(name, "model.h5") == 0) {
        names->work->has_model = true;
        return MPIVF_OK;
    }
    status = mpivf_grow(ctx, "the list of shards", &names->shard, names->count, 1,
                        sizeof *names->shard, &names->room);
    if (status == MPIVF_OK)
        strcpy(names->shard[names->count++].path, path);
    return status;
}

static int
most_rows_first(const void *a, const void *b)
{
    const struct mpivf_work_shard *x = a, *y = b;
    uint64_t p = x->rows + x->rejected, q = y->rows + y->rejected;
    return p != q ? (p < q) - (p > q) : strcmp(x->path, y->path);
}

static int
by_first_row(const void *a, const void *b)
{
    const struct mpivf_work_shard *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* Join the rows of one shard to what is covered, or remove it when they are covered already. */
static mpivf_status
cover(struct mpivf_work *work, struct mpivf_work_shard *shard, bool *kept)
{
    struct mpivf_context *ctx = work->claim.par->ctx;
    struct mpivf_index index;
    mpivf_status status = mpivf_index_open(ctx, shard->path, &index);
    if (status) {
        mpivf_index_close(&index);
        return status;
    }
    uint64_t ranges = index.meta.ranges, rows = index.meta.rows + index.meta.rejected;
    uint64_t common =
        mpivf_range_common(work->covered.range, work->covered.ranges, index.range, ranges);
    *kept = common == 0;
    if (common == rows && rows > 0) {
        status = mpivf_file_remove(ctx, shard->path);
    } else if (common > 0) {
        status = mpivf_fail(ctx, MPIVF_CORRUPT, "'%s' covers rows that other shards cover too",
                            shard->path);
    } else {
        status = mpivf_row_set_add(ctx, &work->covered, index.range, ranges);
    }
    mpivf_index_close(&index);
    return status;
}

/* What the header of a shard tells. */
static mpivf_status
look_at(struct mpivf_context *ctx, struct mpivf_work_shard *shard)
{
    struct mpivf_index index;
    mpivf_status status = mpivf_index_open(ctx, shard->path, &index);
    if (status == MPIVF_OK) {
        shard->rows = index.meta.rows;
        shard->rejected = index.meta.rejected;
        shard->first = index.meta.ranges > 0 ? index.range[0].row : 0;
        shard->version = index.meta.stamp.version;
    }
    mpivf_index_close(&index);
    return status;
}

static void
forget(struct mpivf_work *work)
{
    struct mpivf_context *ctx = work->claim.par->ctx;
    mpivf_free(ctx, work->shard);
    mpivf_row_set_clear(ctx, &work->covered);
    work->shard = NULL;
    work->shards = 0;
    work->has_model = false;
}

static mpivf_status
scan(struct mpivf_work *work)
{
    struct mpivf_context *ctx = work->claim.par->ctx;
    struct names names = {.work = work};
    mpivf_status status = mpivf_folder_list(ctx, work->claim.folder, visit, &names);
    for (size_t i = 0; i < names.count && status == MPIVF_OK; i++)
        status = look_at(ctx, &names.shard[i]);
    if (names.count > 1)
        qsort(names.shard, names.count, sizeof *names.shard, most_rows_first);
    work->shard = names.shard;
    for (size_t i = 0; i < names.count && status == MPIVF_OK; i++) {
        bool kept = false;
        status = cover(work, &names.shard[i], &kept);
        if (status == MPIVF_OK && kept)
            work->shard[work->shards++] = names.shard[i];
    }
    if (work->shards > 1)
        qsort(work->shard, work->shards, sizeof *work->shard, by_first_row);
    return status;
}

/* What the manifest tells people beside the identity. */
static json_t *
contents(const struct mpivf_work *work)
{
    json_t *shards = json_array();
    for (uint64_t i = 0; i < work->shards; i++) {
        const struct mpivf_work_shard *shard = &work->shard[i];
        json_array_append_new(
            shards, json_pack("{s:s, s:I, s:I, s:I}", "name", mpivf_place_name(shard->path),
                              "first_row", (json_int_t)shard->first, "rows",
                              (json_int_t)shard->rows, "rejected", (json_int_t)shard->rejected));
    }
    return json_pack("{s:b, s:o}", "model", work->has_model, "shards", shards);
}

/* ---- on all ranks ---- */

mpivf_status
mpivf_work_scan_all(struct mpivf_work *work)
{
    const struct mpivf_par *par = work->claim.par;
    mpivf_status status = MPIVF_OK;
    forget(work);
    if (par->rank == 0) {
        status = scan(work);
        THEN(status, mpivf_claim_write(&work->claim, contents(work)));
    }
    status = mpivf_agree_all(par, status);
    if (status)
        return status;
    mpivf_bcast_all(par, &work->has_model, sizeof work->has_model);
    status = mpivf_bcast_array_all(par, "the list of shards", &work->shard, &work->shards,
                                   sizeof *work->shard);
    THEN(status, mpivf_bcast_array_all(par, "row ranges", &work->covered.range,
                                       &work->covered.ranges, sizeof *work->covered.range));
    return status;
}

bool
mpivf_work_is_damage(mpivf_status status)
{
    return status == MPIVF_CORRUPT || status == MPIVF_INPUT; /* "is not an HDF5 file" */
}

mpivf_status
mpivf_work_damaged(const struct mpivf_work *work)
{
    struct mpivf_context *ctx = work->claim.par->ctx;
    char cause[MPIVF_TEXT];
    mpivf_take_error(ctx, cause);
    return mpivf_fail(ctx, MPIVF_CORRUPT,
                      "the work in '%s' is damaged; start over with --force "
                      "(%s)",
                      work->claim.folder, cause);
}

mpivf_status
mpivf_work_restart_all(struct mpivf_work *work)
{
    const struct mpivf_par *par = work->claim.par;
    mpivf_clear_error(par->ctx);
    mpivf_status status = ROOT_ALL(par, mpivf_claim_empty(&work->claim));
    THEN(status, mpivf_work_scan_all(work));
    return status;
}

mpivf_status
mpivf_work_open_all(struct mpivf_work *work, const struct mpivf_par *par, const char *folder,
                    const struct mpivf_claim_rules *rules)
{
    struct mpivf_claim_rules all = *rules;
    all.ours = mpivf_work_owns;
    memset(work, 0, sizeof *work);
    mpivf_status status = mpivf_claim_open_all(&work->claim, par, folder, &all);
    if (status)
        return status; /* not ours, or not locked: nothing in it is touched */
    status = mpivf_path(par->ctx, work->model, "%s/model.h5", folder);
    THEN(status, mpivf_work_scan_all(work));
    if (mpivf_work_is_damage(status))
        status = rules->over ? mpivf_work_restart_all(work) : mpivf_work_damaged(work);
    THEN(status, mpivf_claim_seen_all(&work->claim));
    return status;
}

void
mpivf_work_clear(struct mpivf_work *work)
{
    if (work->claim.par == NULL)
        return;
    forget(work);
    mpivf_claim_clear(&work->claim);
    memset(work, 0, sizeof *work);
}
