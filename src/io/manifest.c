#include "io/manifest.h"

#include "base/fault.h"
#include "base/then.h"
#include "io/claim_identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 3 }; /* of the manifest and of what lies beside it */

mpivf_status
mpivf_manifest_path(struct mpivf_context *ctx, const char *folder, char path[MPIVF_PATH])
{
    return mpivf_path(ctx, path, "%s/%s", folder, MPIVF_MANIFEST_NAME);
}

/* The manifest of a folder of ours, or NULL. */
static json_t *
load(const char *folder)
{
    char path[MPIVF_PATH + sizeof MPIVF_MANIFEST_NAME];
    snprintf(path, sizeof path, "%s/%s", folder, MPIVF_MANIFEST_NAME);
    json_t *manifest = json_load_file(path, 0, NULL);
    const char *format = json_string_value(json_object_get(manifest, "format"));
    if (format && strcmp(format, MPIVF_MANIFEST_FORMAT) == 0)
        return manifest;
    json_decref(manifest);
    return NULL;
}

bool
mpivf_claim_exists(const char *folder)
{
    json_t *manifest = load(folder);
    json_decref(manifest);
    return manifest != NULL;
}

/* ---- whose it is ---- */

mpivf_status
mpivf_claim_check(struct mpivf_context *ctx, const char *folder, const char *identity)
{
    char path[MPIVF_PATH];
    json_error_t error;
    mpivf_status status = mpivf_manifest_path(ctx, folder, path);
    if (status || !mpivf_file_exists(path))
        return status;
    json_t *manifest = NULL;
    if (!mpivf_fault(ctx, MPIVF_FAULT_JSON_READ))
        manifest = json_load_file(path, 0, &error);
    if (manifest == NULL)
        return mpivf_fail(ctx, MPIVF_CORRUPT,
                          "cannot read '%s'; remove the folder '%s' "
                          "to start over",
                          path, folder);
    json_t *here = json_loads(identity, 0, &error);
    if (here == NULL)
        status = mpivf_fail(ctx, MPIVF_INTERNAL, "the identity of the work is not JSON");
    else if (json_integer_value(json_object_get(manifest, "version")) != VERSION)
        status = mpivf_fail(ctx, MPIVF_MISMATCH,
                            "'%s' was left by another version of mpivf; start "
                            "over with --force",
                            folder);
    else
        status = mpivf_claim_compare(ctx, folder, json_object_get(manifest, "identity"), here);
    json_decref(here);
    json_decref(manifest);
    return status;
}

bool
mpivf_claim_untouched(const char *folder, const char *identity)
{
    json_t *manifest = load(folder), *here = json_loads(identity, 0, NULL);
    bool same = here && json_equal(json_object_get(manifest, "identity"), here);
    json_decref(here);
    json_decref(manifest);
    return same;
}

/* ---- the outputs ---- */

/* The partials of the outputs, and the files that earlier runs of this work have named. */
static json_t *
outputs_json(const struct mpivf_outputs *outputs)
{
    json_t *list = json_array();
    for (const struct mpivf_output *o = outputs ? outputs->first : NULL; o; o = o->next) {
        if (o->kind != MPIVF_OUTPUT_FOLDER)
            json_array_append_new(
                list, json_pack("{s:s, s:I, s:I}", "partial", mpivf_place_name(o->partial), "inode",
                                (json_int_t)o->inode, "earlier", (json_int_t)o->earlier));
    }
    return list;
}

bool
mpivf_claim_lists(const char *folder, const char *name)
{
    json_t *manifest = load(folder), *each;
    size_t i;
    bool listed = false;
    json_array_foreach (json_object_get(manifest, "outputs"), i, each) {
        const char *partial = json_string_value(json_object_get(each, "partial"));
        listed |= partial && strcmp(partial, name) == 0;
    }
    json_decref(manifest);
    return listed;
}

bool
mpivf_claim_named(const char *folder, struct mpivf_output *output)
{
    json_t *manifest = load(folder), *each;
    json_int_t inode = (json_int_t)output->place.file.st_ino;
    size_t i;
    output->earlier = 0;
    json_array_foreach (json_object_get(manifest, "outputs"), i, each) {
        const char *partial = json_string_value(json_object_get(each, "partial"));
        if (output->place.there && partial && mpivf_output_owns(output, partial) &&
            (json_integer_value(json_object_get(each, "inode")) == inode ||
             json_integer_value(json_object_get(each, "earlier")) == inode))
            output->earlier = (uint64_t)inode;
    }
    json_decref(manifest);
    return output->earlier != 0;
}

mpivf_status
mpivf_manifest_tidy(const char *folder, const struct mpivf_outputs *outputs)
{
    json_t *manifest = load(folder), *each;
    size_t i;
    mpivf_status status = MPIVF_OK;
    json_array_foreach (json_object_get(manifest, "outputs"), i, each) {
        const char *partial = json_string_value(json_object_get(each, "partial"));
        if (partial && outputs && status == MPIVF_OK)
            status = mpivf_outputs_tidy(outputs, partial);
    }
    json_decref(manifest);
    return status;
}

/* NULL when there is no memory for it. */
static char *
manifest_text(const struct mpivf_claim *claim, json_t *more)
{
    json_t *manifest = json_pack("{s:s, s:i, s:o, s:o}", "format", MPIVF_MANIFEST_FORMAT, "version",
                                 VERSION, "identity", json_loads(claim->identity, 0, NULL),
                                 "outputs", outputs_json(claim->outputs));
    char *text = NULL;
    if (manifest && more && json_object_update(manifest, more) == 0 &&
        !mpivf_fault(claim->par->ctx, MPIVF_FAULT_JSON_WRITE))
        text = json_dumps(manifest, JSON_INDENT(2));
    json_decref(manifest);
    return text;
}

mpivf_status
mpivf_claim_write(const struct mpivf_claim *claim, json_t *more)
{
    struct mpivf_context *ctx = claim->par->ctx;
    char path[MPIVF_PATH];
    mpivf_status status = mpivf_manifest_path(ctx, claim->folder, path);
    char *text = status == MPIVF_OK ? manifest_text(claim, more) : NULL;
    json_decref(more);
    if (status)
        return status;
    if (text == NULL)
        return mpivf_fail(ctx, MPIVF_MEMORY, "the machine has no memory for '%s'", path);
    status = mpivf_file_save(ctx, path, text, strlen(text));
    free(text);
    return status;
}
