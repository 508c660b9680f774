#include "build/manifest.h"

#include "base/fault.h"

#include <jansson.h>
#include <string.h>

enum { VERSION = 1 }; /* of the work folder */

static mpivf_status
manifest_path(struct mpivf_context *ctx, const struct mpivf_work *work, char path[MPIVF_PATH])
{
    return mpivf_path(ctx, path, "%s/manifest.json", work->folder);
}

bool
mpivf_manifest_exists(const struct mpivf_work *work)
{
    char path[MPIVF_PATH + 16];
    snprintf(path, sizeof path, "%s/manifest.json", work->folder);
    return mpivf_file_exists(path);
}

/* The first member that differs, as "name is 4 there, 8 here". */
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
        snprintf(text, size, "%s is %s there and %s here", key, a ? a : "not set", b ? b : "?");
        free(a);
        free(b);
        return;
    }
}

mpivf_status
mpivf_manifest_check(struct mpivf_context *ctx, const struct mpivf_work *work)
{
    char path[MPIVF_PATH], difference[300] = "";
    json_error_t error;
    mpivf_status status = manifest_path(ctx, work, path);
    if (status || !mpivf_file_exists(path))
        return status;
    json_t *manifest = mpivf_fault(ctx, MPIVF_FAULT_JSON_READ) ? NULL
                                                               : json_load_file(path, 0, &error);
    if (manifest == NULL)
        return mpivf_fail(ctx, MPIVF_CORRUPT, "cannot read '%s'; remove the folder '%s' to start over",
                          path, work->folder);
    json_t *here = json_loads(work->identity, 0, &error);
    json_t *there = json_object_get(manifest, "identity");
    if (here == NULL)
        status = mpivf_fail(ctx, MPIVF_INTERNAL, "the identity of the work is not JSON");
    else if (json_integer_value(json_object_get(manifest, "version")) != VERSION)
        status = mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' was left by another version of mpivf; remove the "
                            "folder", work->folder);
    else if (there == NULL || !json_equal(there, here)) {
        tell_difference(there, here, difference, sizeof difference);
        status = mpivf_fail(ctx, MPIVF_MISMATCH,
                            "'%s' holds the unfinished work of another command (%s); finish that "
                            "one, or remove the folder", work->folder, difference);
    }
    json_decref(here);
    json_decref(manifest);
    return status;
}

static json_t *
manifest_json(const struct mpivf_work *work)
{
    json_error_t error;
    json_t *shards = json_array();
    for (uint64_t i = 0; i < work->shards; i++) {
        const struct mpivf_work_shard *shard = &work->shard[i];
        const char *slash = strrchr(shard->path, '/');
        json_array_append_new(shards, json_pack("{s:s, s:I, s:I, s:I}", "name",
                                                slash ? slash + 1 : shard->path, "first_row",
                                                (json_int_t)shard->first, "rows",
                                                (json_int_t)shard->rows, "rejected",
                                                (json_int_t)shard->rejected));
    }
    return json_pack("{s:s, s:i, s:o, s:b, s:o}", "format", "mpivf-work", "version", VERSION, "identity",
                     json_loads(work->identity, 0, &error), "model", work->has_model, "shards",
                     shards);
}

mpivf_status
mpivf_manifest_write(struct mpivf_context *ctx, const struct mpivf_work *work)
{
    char path[MPIVF_PATH];
    mpivf_status status = manifest_path(ctx, work, path);
    if (status)
        return status;
    json_t *manifest = manifest_json(work);
    char *text = manifest && !mpivf_fault(ctx, MPIVF_FAULT_JSON_WRITE)
                     ? json_dumps(manifest, JSON_INDENT(2))
                     : NULL;
    json_decref(manifest);
    if (text == NULL)
        return mpivf_fail(ctx, MPIVF_MEMORY, "the machine has no memory for '%s'", path);
    status = mpivf_file_save(ctx, path, text, strlen(text));
    free(text);
    return status;
}
