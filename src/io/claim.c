#include "io/claim.h"

#include "base/fault.h"
#include "base/text.h"
#include "base/then.h"
#include "io/folder.h"
#include "io/manifest.h"

#include <stdio.h>
#include <string.h>

static const char partial_name[] = MPIVF_MANIFEST_NAME ".partial";

static mpivf_status
lock_path(struct mpivf_context *ctx, const char *folder, char path[MPIVF_PATH])
{
    return mpivf_path(ctx, path, "%s/lock", folder);
}

/* ---- whose folder ---- */

/* Of a folder without our manifest. */
struct inspection {
    const char *folder;
    char foreign[64]; /* a name that no run of ours left there; the manifest's if that is one */
};

/* Does the file begin like `begin`, as far as it goes? "": is it empty? */
static bool
begins_like(const char *folder, const char *name, const char *begin)
{
    char path[MPIVF_PATH + 64], text[64] = "";
    snprintf(path, sizeof path, "%s/%.40s", folder, name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    size_t n = fread(text, 1, sizeof text, file), max = strlen(begin);
    fclose(file);
    return memcmp(text, begin, n < max ? n : max) == 0 && (max > 0 || n == 0);
}

/* Of ours are a lock, and a manifest under way. */
static mpivf_status
inspect(struct mpivf_context *ctx, void *arg, const char *name)
{
    static const char begin[] = "{\n  \"format\": \"" MPIVF_MANIFEST_FORMAT "\"";
    struct inspection *inspection = arg;
    bool own = (strcmp(name, "lock") == 0 && begins_like(inspection->folder, name, "")) ||
               (strcmp(name, partial_name) == 0 && begins_like(inspection->folder, name, begin));
    (void)ctx;
    if (!own && strcmp(inspection->foreign, MPIVF_MANIFEST_NAME) != 0)
        snprintf(inspection->foreign, sizeof inspection->foreign, "%s", name);
    return MPIVF_OK;
}

/* Ours are folders with our manifest, and what a killed run leaves that has none yet or no more. */
static mpivf_status
check_ours(struct mpivf_context *ctx, const char *folder)
{
    struct inspection inspection = {.folder = folder};
    if (!mpivf_file_exists(folder) || mpivf_claim_exists(folder))
        return MPIVF_OK;
    mpivf_status status = mpivf_folder_list(ctx, folder, inspect, &inspection);
    if (status || inspection.foreign[0] == '\0')
        return status;
    if (strcmp(inspection.foreign, MPIVF_MANIFEST_NAME) == 0)
        return mpivf_fail(ctx, MPIVF_CORRUPT,
                          "cannot read '%s/%s'; remove the folder '%s' to "
                          "start over",
                          folder, MPIVF_MANIFEST_NAME, folder);
    return mpivf_fail(ctx, MPIVF_EXISTS,
                      "'%s' is no work folder of mpivf: it has '%s' and no "
                      "manifest.json of ours; move it away",
                      folder, inspection.foreign);
}

/* ---- removing ---- */

/* Remove what is ours by its exact name but the claim's own. */
struct clearing {
    const char *folder;
    bool (*ours)(const char *name);
};

static mpivf_status
clear_entry(struct mpivf_context *ctx, void *arg, const char *name)
{
    const struct clearing *clearing = arg;
    char path[MPIVF_PATH];
    if (clearing->ours == NULL || !clearing->ours(name))
        return MPIVF_OK;
    mpivf_status status = mpivf_path(ctx, path, "%s/%s", clearing->folder, name);
    THEN(status, mpivf_file_remove(ctx, path));
    return status;
}

/*
 * The lock goes last: until the manifest is gone nobody else may think the work his to go on with.
 */
static mpivf_status
clear_own(struct mpivf_context *ctx, const char *folder)
{
    static const char *const own[] = {partial_name, MPIVF_MANIFEST_NAME, "lock"};
    char path[MPIVF_PATH];
    mpivf_status status = MPIVF_OK;
    for (size_t i = 0; i < sizeof own / sizeof own[0] && status == MPIVF_OK; i++) {
        status = mpivf_path(ctx, path, "%s/%s", folder, own[i]);
        THEN(status, mpivf_file_remove(ctx, path));
    }
    return status;
}

/* Remove a folder of ours that this process holds. */
static mpivf_status
remove_held(struct mpivf_context *ctx, const char *folder, bool (*ours)(const char *name))
{
    struct clearing clearing = {folder, ours};
    mpivf_status status = mpivf_folder_list(ctx, folder, clear_entry, &clearing);
    THEN(status, clear_own(ctx, folder));
    THEN(status, mpivf_folder_remove(ctx, folder));
    return status;
}

mpivf_status
mpivf_claim_remove(struct mpivf_context *ctx, const char *folder, bool (*ours)(const char *name))
{
    char path[MPIVF_PATH];
    struct mpivf_file lock = {.fd = -1};
    bool fresh = ctx->error[0] == '\0'; /* the cause of cleaning up stays */
    mpivf_status status = lock_path(ctx, folder, path);
    if (status || !mpivf_file_exists(folder))
        return status;
    status = check_ours(ctx, folder);
    bool is_ours = status == MPIVF_OK;
    if (is_ours)
        status = mpivf_file_lock(ctx, path, &lock);
    if (status == MPIVF_EXISTS || status == MPIVF_CORRUPT) {
        if (fresh) /* it is not ours, or the next run has it already, and removes it */
            mpivf_clear_error(ctx);
        return MPIVF_OK;
    }
    mpivf_status removed = is_ours ? remove_held(ctx, folder, ours) : MPIVF_OK;
    mpivf_file_drop(&lock);
    return status ? status : removed;
}

/* ---- on all ranks ---- */

/*
 * Two runs in one folder would write the same files. A run that ends removes the folder, lock and
 * all: then it is made again.
 */
static mpivf_status
lock_folder(struct mpivf_claim *claim)
{
    enum { TIMES = 8 };
    struct mpivf_context *ctx = claim->par->ctx;
    char path[MPIVF_PATH];
    mpivf_status status = lock_path(ctx, claim->folder, path);
    for (int i = 1; status == MPIVF_OK; i++) {
        status = check_ours(ctx, claim->folder);
        if (status)
            break;
        status = mpivf_folder_create(ctx, claim->folder);
        if (status)
            break;
        status = mpivf_file_lock(ctx, path, &claim->lock);
        bool gone = status ? !mpivf_file_exists(claim->folder) : !mpivf_file_is(&claim->lock, path);
        if (!gone || i == TIMES)
            break;
        mpivf_file_drop(&claim->lock);
        mpivf_clear_error(ctx);
        status = MPIVF_OK;
    }
    claim->lock.path = claim->folder; /* the other does not outlive this function */
    return status;
}

mpivf_status
mpivf_claim_empty(const struct mpivf_claim *claim)
{
    struct clearing clearing = {claim->folder, claim->ours};
    return mpivf_folder_list(claim->par->ctx, claim->folder, clear_entry, &clearing);
}

/* The folder is ours and locked: whose work is in it, and is that gone on with? */
static mpivf_status
enter(struct mpivf_claim *claim, const struct mpivf_claim_rules *rules)
{
    struct mpivf_context *ctx = claim->par->ctx;
    char path[MPIVF_PATH];
    bool over = rules->no_work;
    mpivf_status status = mpivf_claim_check(ctx, claim->folder, rules->identity);
    if (status == MPIVF_MISMATCH && rules->over) {
        mpivf_clear_error(ctx);
        status = MPIVF_OK;
        over = true;
    }
    THEN(status, mpivf_path(ctx, path, "%s/%s", claim->folder, partial_name));
    THEN(status, mpivf_file_remove(ctx, path));
    THEN(status, mpivf_manifest_tidy(claim->folder, claim->outputs));
    if (status == MPIVF_OK && over)
        status = mpivf_claim_empty(claim);
    THEN(status, mpivf_claim_write(claim, json_object()));
    return status;
}

mpivf_status
mpivf_claim_open_all(struct mpivf_claim *claim, const struct mpivf_par *par, const char *folder,
                     const struct mpivf_claim_rules *rules)
{
    struct mpivf_context *ctx = par->ctx;
    memset(claim, 0, sizeof *claim);
    claim->lock.fd = -1;
    claim->par = par;
    claim->outputs = rules->outputs;
    claim->ours = rules->ours;
    mpivf_status status = mpivf_path(ctx, claim->folder, "%s", folder);
    size_t bytes = strlen(rules->identity) + 1;
    claim->identity = mpivf_alloc(ctx, "the identity of the work", bytes, 1);
    if (claim->identity)
        memcpy(claim->identity, rules->identity, bytes);
    else
        status = MPIVF_MEMORY;
    if (par->rank == 0) {
        THEN(status, lock_folder(claim));
        THEN(status, enter(claim, rules));
        if (status && claim->lock.fd >= 0 && !mpivf_claim_exists(folder)) /* we have just made it */
            (void)remove_held(ctx, folder, NULL);
    }
    return mpivf_agree_all(par, status);
}

mpivf_status
mpivf_claim_seen_all(const struct mpivf_claim *claim)
{
    struct mpivf_context *ctx = claim->par->ctx;
    char path[MPIVF_PATH];
    mpivf_status status = mpivf_manifest_path(ctx, claim->folder, path);
    if (status == MPIVF_OK && !mpivf_file_exists(path))
        status = mpivf_fail(ctx, MPIVF_IO,
                            "cannot see '%s': the work folder (--scratch) "
                            "must be on a file system that all ranks share",
                            path);
    return mpivf_agree_all(claim->par, status);
}

/* Is this something to go on with? */
struct remains {
    bool (*ours)(const char *name);
    bool work;
};

static mpivf_status
find_work(struct mpivf_context *ctx, void *arg, const char *name)
{
    struct remains *remains = arg;
    (void)ctx;
    remains->work |= remains->ours && remains->ours(name) && !mpivf_ends_with(name, ".partial");
    return MPIVF_OK;
}

void
mpivf_claim_abandon(struct mpivf_claim *claim)
{
    struct remains remains = {.ours = claim->ours};
    if (claim->par == NULL || claim->lock.fd < 0 || !mpivf_claim_exists(claim->folder))
        return;
    struct mpivf_context *ctx = claim->par->ctx;
    if (mpivf_claim_check(ctx, claim->folder, claim->identity) == MPIVF_OK &&
        mpivf_folder_list(ctx, claim->folder, find_work, &remains) == MPIVF_OK && !remains.work)
        (void)remove_held(ctx, claim->folder, claim->ours);
}

void
mpivf_claim_clear(struct mpivf_claim *claim)
{
    if (claim->par == NULL)
        return;
    mpivf_file_drop(&claim->lock);
    mpivf_free(claim->par->ctx, claim->identity);
    memset(claim, 0, sizeof *claim);
}
