#include "io/claim.h"

#include "base/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1 }; /* of the manifest and of what lies beside it */

static const char manifest_name[] = "manifest.json";

mpivf_status
mpivf_claim_folder(struct mpivf_context *ctx, const char *output, const char *scratch,
                   const char *kind, char folder[MPIVF_PATH])
{
    const char *name = strrchr(output, '/');
    if (scratch == NULL)
        return mpivf_path(ctx, folder, "%s.%s", output, kind);
    return mpivf_path(ctx, folder, "%s/%s.%s", scratch, name ? name + 1 : output, kind);
}

bool
mpivf_claim_owns(const char *name)
{
    return strcmp(name, manifest_name) == 0 || strcmp(name, "lock") == 0 ||
           strcmp(name, "manifest.json.partial") == 0;
}

static mpivf_status
lock_path(struct mpivf_context *ctx, const char *folder, char path[MPIVF_PATH])
{
    return mpivf_path(ctx, path, "%s/lock", folder);
}

mpivf_status
mpivf_claim_remove(struct mpivf_context *ctx, const char *folder,
                   bool (*ours)(const char *name))
{
    char path[MPIVF_PATH];
    struct mpivf_file lock = {.fd = -1};
    bool fresh = ctx->error[0] == '\0'; /* the cause of cleaning up stays */
    mpivf_status status = lock_path(ctx, folder, path);
    if (status || !mpivf_file_exists(folder))
        return status;
    status = mpivf_file_lock(ctx, path, &lock);
    if (status == MPIVF_EXISTS) { /* the next run has it already, and removes it */
        if (fresh)
            mpivf_forgive(ctx);
        return MPIVF_OK;
    }
    mpivf_status removed = mpivf_folder_remove(ctx, folder, ours, manifest_name);
    mpivf_file_drop(&lock);
    return status ? status : removed;
}

static mpivf_status
manifest_path(struct mpivf_context *ctx, const char *folder, char path[MPIVF_PATH])
{
    return mpivf_path(ctx, path, "%s/%s", folder, manifest_name);
}

bool
mpivf_claim_exists(const char *folder)
{
    char path[MPIVF_PATH + sizeof manifest_name];
    snprintf(path, sizeof path, "%s/%s", folder, manifest_name);
    return mpivf_file_exists(path);
}

/* ---- whose it is ---- */

/* The first member that differs, as "name is 4 there and 8 here". */
static void
tell_difference(json_t *there, json_t *here, char *text, size_t size)
{
    const char *key;
    json_t *value;
    snprintf(text, size, "its options differ");
    json_object_foreach(here, key, value) {
        json_t *other = json_object_get(there, key);
        if (other && json_equal(other, value))
            continue;
        char *a = other ? json_dumps(other, JSON_ENCODE_ANY) : NULL;
        char *b = json_dumps(value, JSON_ENCODE_ANY);
        snprintf(text, size, "%s is %s there and %s here", key, a ? a : "not set",
                 b ? b : "?");
        free(a);
        free(b);
        return;
    }
}

static mpivf_status
compare(struct mpivf_context *ctx, const char *folder, const json_t *manifest,
        json_t *here)
{
    char difference[300] = "";
    json_t *there = json_object_get(manifest, "identity");
    if (here == NULL)
        return mpivf_fail(ctx, MPIVF_INTERNAL, "the identity of the work is not JSON");
    if (json_integer_value(json_object_get(manifest, "version")) != VERSION)
        return mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' was left by another version of "
                          "mpivf; remove the folder", folder);
    if (there && json_equal(there, here))
        return MPIVF_OK;
    tell_difference(there, here, difference, sizeof difference);
    return mpivf_fail(ctx, MPIVF_MISMATCH,
                      "'%s' holds the unfinished work of another command (%s); finish "
                      "that one, or remove the folder", folder, difference);
}

mpivf_status
mpivf_claim_check(struct mpivf_context *ctx, const char *folder, const char *identity)
{
    char path[MPIVF_PATH];
    json_error_t error;
    mpivf_status status = manifest_path(ctx, folder, path);
    if (status || !mpivf_file_exists(path))
        return status;
    json_t *manifest = NULL;
    if (!mpivf_fault(ctx, MPIVF_FAULT_JSON_READ))
        manifest = json_load_file(path, 0, &error);
    if (manifest == NULL)
        return mpivf_fail(ctx, MPIVF_CORRUPT, "cannot read '%s'; remove the folder '%s' "
                          "to start over", path, folder);
    json_t *here = json_loads(identity, 0, &error);
    status = compare(ctx, folder, manifest, here);
    json_decref(here);
    json_decref(manifest);
    return status;
}

/* NULL when there is no memory for it. */
static char *
manifest_text(struct mpivf_context *ctx, const char *identity, json_t *more)
{
    json_error_t error;
    json_t *manifest = json_pack("{s:s, s:i, s:o}", "format", "mpivf-work", "version",
                                 VERSION, "identity", json_loads(identity, 0, &error));
    char *text = NULL;
    if (manifest && more && json_object_update(manifest, more) == 0 &&
        !mpivf_fault(ctx, MPIVF_FAULT_JSON_WRITE))
        text = json_dumps(manifest, JSON_INDENT(2));
    json_decref(manifest);
    return text;
}

mpivf_status
mpivf_claim_write(const struct mpivf_claim *claim, json_t *more)
{
    struct mpivf_context *ctx = claim->par->ctx;
    char path[MPIVF_PATH];
    mpivf_status status = manifest_path(ctx, claim->folder, path);
    char *text = status == MPIVF_OK ? manifest_text(ctx, claim->identity, more) : NULL;
    json_decref(more);
    if (status)
        return status;
    if (text == NULL)
        return mpivf_fail(ctx, MPIVF_MEMORY, "the machine has no memory for '%s'", path);
    status = mpivf_file_save(ctx, path, text, strlen(text));
    free(text);
    return status;
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
        status = mpivf_folder_create(ctx, claim->folder);
        if (status)
            break;
        status = mpivf_file_lock(ctx, path, &claim->lock);
        bool gone = status ? !mpivf_file_exists(claim->folder) : !mpivf_file_is(&claim->lock, path);
        if (!gone || i == TIMES)
            break;
        mpivf_file_drop(&claim->lock);
        mpivf_forgive(ctx);
        status = MPIVF_OK;
    }
    claim->lock.path = claim->folder; /* the other does not outlive this function */
    return status;
}

mpivf_status
mpivf_claim_open_all(struct mpivf_claim *claim, const struct mpivf_par *par,
                     const char *folder, const char *identity)
{
    struct mpivf_context *ctx = par->ctx;
    memset(claim, 0, sizeof *claim);
    claim->lock.fd = -1;
    claim->par = par;
    mpivf_status status = mpivf_path(ctx, claim->folder, "%s", folder);
    size_t bytes = strlen(identity) + 1;
    claim->identity = mpivf_alloc(ctx, "the identity of the work", bytes, 1);
    if (claim->identity)
        memcpy(claim->identity, identity, bytes);
    else
        status = MPIVF_MEMORY;
    if (par->rank == 0) {
        if (status == MPIVF_OK)
            status = lock_folder(claim);
        if (status == MPIVF_OK)
            status = mpivf_claim_check(ctx, folder, identity);
    }
    return mpivf_agree_all(par, status);
}

mpivf_status
mpivf_claim_seen_all(const struct mpivf_claim *claim)
{
    struct mpivf_context *ctx = claim->par->ctx;
    char path[MPIVF_PATH];
    mpivf_status status = manifest_path(ctx, claim->folder, path);
    if (status == MPIVF_OK && !mpivf_file_exists(path))
        status = mpivf_fail(ctx, MPIVF_IO, "cannot see '%s': the work folder (--scratch) "
                            "must be on a file system that all ranks share", path);
    return mpivf_agree_all(claim->par, status);
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
