#include "io/claim.h"

#include "base/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 2 }; /* of the manifest and of what lies beside it */

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

void
mpivf_claim_source(uint64_t fingerprint, const char *name, const char *seen,
                   char text[MPIVF_CLAIM_SOURCE])
{
    enum { NAME = 256 };
    size_t length = strlen(name), n = 0;
    char plain[NAME]; /* the end of a long one; what JSON takes otherwise shows as ? */
    for (const char *c = length < NAME ? name : name + length - NAME + 1; *c; c++)
        plain[n++] = (unsigned char)*c < ' ' || *c == '"' || *c == '\\' ? '?' : *c;
    plain[n] = '\0';
    json_t *utf8 = json_string(plain);
    for (char *c = plain; utf8 == NULL && *c; c++)
        *c = *c & 0x80 ? '?' : *c;
    json_decref(utf8);
    snprintf(text, MPIVF_CLAIM_SOURCE,
             "{\"fingerprint\": \"%016llx\", \"name\": \"%s\", \"seen\": \"%s\"}",
             (unsigned long long)fingerprint, plain, seen);
}

/* What counts of a member: of a source its fingerprint. */
static const json_t *
essence(const json_t *member)
{
    const json_t *fingerprint = json_object_get(member, "fingerprint");
    return fingerprint ? fingerprint : member;
}

static bool
same_member(const json_t *a, const json_t *b)
{
    return json_equal(essence(a), essence(b));
}

static const char *
text_of(const json_t *source, const char *member)
{
    const char *text = json_string_value(json_object_get(source, member));
    return text ? text : "?";
}

/* The sources are not of the same rows. */
static mpivf_status
fail_source(struct mpivf_context *ctx, const char *folder, const json_t *there, const json_t *here)
{
    const char *before = text_of(there, "name"), *now = text_of(here, "name");
    if (strcmp(before, now) != 0)
        return mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' holds the unfinished work on '%s' (%s), not on "
                          "'%s' (%s); finish that one, or remove the folder", folder, before,
                          text_of(there, "seen"), now, text_of(here, "seen"));
    return mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' changed since the work in '%s' began: %s then, %s "
                      "now; remove the folder to start over", now, folder, text_of(there, "seen"),
                      text_of(here, "seen"));
}

/* What differs: a member's name and its values there, NULL when it has none, and here. */
static mpivf_status
fail_member(struct mpivf_context *ctx, const char *folder, const char *key, const json_t *there,
            const json_t *here)
{
    if (json_is_object(there) && json_is_object(here))
        return fail_source(ctx, folder, there, here);
    char *a = there ? json_dumps(there, JSON_ENCODE_ANY) : NULL;
    char *b = json_dumps(here, JSON_ENCODE_ANY);
    mpivf_status status =
        mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' holds the unfinished work of another command (%s is "
                   "%s there and %s here); finish that one, or remove the folder", folder, key,
                   a ? a : "not set", b ? b : "?");
    free(a);
    free(b);
    return status;
}

static mpivf_status
compare(struct mpivf_context *ctx, const char *folder, const json_t *manifest, json_t *here)
{
    json_t *there = json_object_get(manifest, "identity"), *value;
    const char *key;
    if (here == NULL)
        return mpivf_fail(ctx, MPIVF_INTERNAL, "the identity of the work is not JSON");
    if (json_integer_value(json_object_get(manifest, "version")) != VERSION)
        return mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' was left by another version of "
                          "mpivf; remove the folder", folder);
    json_object_foreach(here, key, value)
        if (!same_member(json_object_get(there, key), value))
            return fail_member(ctx, folder, key, json_object_get(there, key), value);
    if (json_object_size(there) == json_object_size(here))
        return MPIVF_OK;
    return mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' holds the unfinished work of another command (its "
                      "options differ); finish that one, or remove the folder", folder);
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
