#include "io/claim_identity.h"

#include "io/claim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
mpivf_claim_source(uint64_t fingerprint, uint64_t version, const char *name, const char *seen,
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
             "{\"fingerprint\": \"%016llx\", \"version\": \"%016llx\", \"name\": \"%s\", "
             "\"seen\": \"%s\"}",
             (unsigned long long)fingerprint, (unsigned long long)version, plain, seen);
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
        return mpivf_fail(ctx, MPIVF_MISMATCH,
                          "'%s' holds the unfinished work on '%s' (%s), not on "
                          "'%s' (%s); finish that one, or start over with --force",
                          folder, before, text_of(there, "seen"), now, text_of(here, "seen"));
    return mpivf_fail(ctx, MPIVF_MISMATCH,
                      "'%s' changed since the work in '%s' began: %s then, %s "
                      "now; start over with --force",
                      now, folder, text_of(there, "seen"), text_of(here, "seen"));
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
        mpivf_fail(ctx, MPIVF_MISMATCH,
                   "'%s' holds the unfinished work of another command (%s is "
                   "%s there and %s here); finish that one, or start over with --force",
                   folder, key, a ? a : "not set", b ? b : "?");
    free(a);
    free(b);
    return status;
}

mpivf_status
mpivf_claim_compare(struct mpivf_context *ctx, const char *folder, const json_t *there,
                    json_t *here)
{
    json_t *value;
    const char *key;
    json_object_foreach (here, key, value)
        if (!same_member(json_object_get(there, key), value))
            return fail_member(ctx, folder, key, json_object_get(there, key), value);
    if (json_object_size(there) == json_object_size(here))
        return MPIVF_OK;
    return mpivf_fail(ctx, MPIVF_MISMATCH,
                      "'%s' holds the unfinished work of another command (its "
                      "options differ); finish that one, or start over with --force",
                      folder);
}
