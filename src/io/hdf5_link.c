#include "io/hdf5_internal.h"

#include <string.h>

enum { DEEPEST = 32 }; /* links that lead to links */

/* ---- steps of a path ---- */

/* The length of the object's path up to the end of the next step; 0 behind the last. */
static size_t
next_step(const char *object, size_t at)
{
    at += strspn(object + at, "/");
    size_t step = strcspn(object + at, "/");
    return step > 0 ? at + step : 0;
}

/*
 * The first step of the path that is no link, or a link that leads nowhere, into `step` (of
 * strlen(object) + 1 bytes): 0 and its path; 1 when all are there; negative on damage.
 */
static htri_t
missing_step(hid_t file, const char *object, char *step)
{
    for (size_t end = 0; (end = next_step(object, end)) > 0;) {
        memcpy(step, object, end);
        step[end] = '\0';
        htri_t there = H5Lexists(file, step, H5P_DEFAULT);
        if (there <= 0)
            return there;
        H5L_info_t info;
        if (H5Lget_info(file, step, &info, H5P_DEFAULT) < 0)
            return -1;
        if (info.type != H5L_TYPE_HARD && H5Oexists_by_name(file, step, H5P_DEFAULT) <= 0)
            return 0;
    }
    return 1;
}

htri_t
mpivf_h5_exists(hid_t file, const char *object)
{
    char step[MPIVF_PATH];
    htri_t there = strlen(object) < sizeof step ? missing_step(file, object, step) : 0;
    H5Eclear2(H5E_DEFAULT);
    return there;
}

/* ---- links ---- */

/* Where a link that is not a hard one leads. */
struct link {
    H5L_type_t kind;
    char *value;        /* owned */
    const char *file;   /* of an external one; in the value */
    const char *object; /* in the value */
};

static mpivf_status
link_read(struct mpivf_context *ctx, hid_t file, const char *path, const char *step,
          struct link *link)
{
    H5L_info_t info;
    unsigned flags;
    *link = (struct link){H5L_TYPE_ERROR, NULL, NULL, NULL};
    if (H5Lget_info(file, step, &info, H5P_DEFAULT) < 0)
        return mpivf_h5_fail(ctx, MPIVF_CORRUPT, "cannot read the link '%s:%s'", path, step);
    size_t bytes = info.type == H5L_TYPE_HARD ? 0 : info.u.val_size;
    link->kind = info.type;
    link->value = mpivf_alloc_zero(ctx, "a link", bytes + 1, 1);
    link->object = link->value;
    if (link->value == NULL)
        return MPIVF_MEMORY;
    if (info.type == H5L_TYPE_HARD ||
        (H5Lget_val(file, step, link->value, bytes, H5P_DEFAULT) >= 0 &&
         (info.type != H5L_TYPE_EXTERNAL ||
          H5Lunpack_elink_val(link->value, bytes, &flags, &link->file, &link->object) >= 0)))
        return MPIVF_OK;
    mpivf_free(ctx, link->value);
    return mpivf_h5_fail(ctx, MPIVF_CORRUPT, "cannot read the link '%s:%s'", path, step);
}

/* The path that a link's object and the steps behind it make, in place of the steps up to it. */
static char *
joined(struct mpivf_context *ctx, const char *step, const struct link *link, const char *rest)
{
    size_t folder = 0; /* of the link, which a soft one may begin at */
    if (link->kind == H5L_TYPE_SOFT && link->object[0] != '/')
        folder = (size_t)(strrchr(step, '/') ? strrchr(step, '/') - step + 1 : 0);
    size_t object = strlen(link->object), more = strlen(rest);
    char *path = mpivf_alloc(ctx, "a name", folder + object + more + 1, 1);
    if (path) {
        memcpy(path, step, folder);
        memcpy(path + folder, link->object, object);
        memcpy(path + folder + object, rest, more + 1);
    }
    return path;
}

/* ---- links that lead nowhere ---- */

/* Why the file an external link leads to does not give the object. */
static mpivf_status
tell_external(struct mpivf_context *ctx, const char *path, const char *step, const char *to,
              const char *object)
{
    char found[MPIVF_PATH];
    const char *why;
    if (!mpivf_h5_resolve(path, MPIVF_H5_LINKED, to, found, &why))
        return mpivf_fail(ctx, MPIVF_INPUT,
                          "'%s:%s' is a link to '%s:%s', which cannot be opened: %s", path, step,
                          to, object, why);
    hid_t file = H5Fopen(found, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0)
        return mpivf_h5_fail(ctx, MPIVF_IO, "'%s:%s' is a link to '%s:%s', which cannot be opened",
                             path, step, to, object);
    H5Fclose(file);
    return mpivf_fail(ctx, MPIVF_INPUT,
                      "'%s:%s' is a link to '%s:%s', and there is no such object; "
                      "h5ls -r lists what '%s' has",
                      path, step, to, object, found);
}

static mpivf_status
tell_link(struct mpivf_context *ctx, hid_t file, const char *path, const char *step, int depth);

/* A soft link that leads to nothing, or to another link that leads nowhere. */
static mpivf_status
tell_soft(struct mpivf_context *ctx, hid_t file, const char *path, const char *step,
          const struct link *link, int depth)
{
    char *object = joined(ctx, step, link, "");
    char *next = object ? mpivf_alloc_zero(ctx, "a name", strlen(object) + 1, 1) : NULL;
    mpivf_status status = MPIVF_OK;
    if (next == NULL)
        status = MPIVF_MEMORY;
    else if (depth < DEEPEST && missing_step(file, object, next) == 0 &&
             H5Lexists(file, next, H5P_DEFAULT) > 0)
        status = tell_link(ctx, file, path, next, depth + 1);
    else
        status = mpivf_fail(ctx, MPIVF_INPUT,
                            "'%s:%s' is a link to '%s', and there is no such object; "
                            "h5ls -r lists what '%s' has",
                            path, step, link->object, path);
    mpivf_free(ctx, next);
    mpivf_free(ctx, object);
    return status;
}

/* What is wrong with a link that leads nowhere. */
static mpivf_status
tell_link(struct mpivf_context *ctx, hid_t file, const char *path, const char *step, int depth)
{
    struct link link;
    mpivf_status status = link_read(ctx, file, path, step, &link);
    if (status)
        return status;
    if (link.kind == H5L_TYPE_SOFT)
        status = tell_soft(ctx, file, path, step, &link, depth);
    else if (link.kind == H5L_TYPE_EXTERNAL)
        status = tell_external(ctx, path, step, link.file, link.object);
    else
        status = mpivf_fail(ctx, MPIVF_INPUT, "'%s:%s' is a link of a kind that is not followed",
                            path, step);
    mpivf_free(ctx, link.value);
    H5Eclear2(H5E_DEFAULT);
    return status;
}

/* The last link found missing: not there at all, or leading nowhere. */
static mpivf_status
tell_missing(struct mpivf_context *ctx, hid_t file, const char *path, const char *object,
             const char *step)
{
    if (H5Lexists(file, step, H5P_DEFAULT) > 0)
        return tell_link(ctx, file, path, step, 0);
    H5Eclear2(H5E_DEFAULT);
    char has[MPIVF_TEXT];
    mpivf_h5_contents(file, path, object, has, sizeof has);
    return mpivf_fail(ctx, MPIVF_INPUT, "'%s' has no object '%s'; %s", path, object, has);
}

mpivf_status
mpivf_h5_link_check(struct mpivf_context *ctx, hid_t file, const char *path, const char *object)
{
    char *step = mpivf_alloc_zero(ctx, "a name", strlen(object) + 1, 1);
    if (step == NULL)
        return MPIVF_MEMORY;
    mpivf_status status = MPIVF_OK;
    htri_t there = missing_step(file, object, step);
    if (there < 0)
        status = mpivf_h5_fail(ctx, MPIVF_CORRUPT, "cannot look up '%s:%s'", path, object);
    else if (there == 0)
        status = tell_missing(ctx, file, path, object, step);
    mpivf_free(ctx, step);
    return status;
}

/* ---- the files that links lead through ---- */

static mpivf_status
follow(struct mpivf_context *ctx, hid_t file, const char *path, const char *object, int depth,
       mpivf_visit_file visit, void *arg);

/* Go on behind a link: in this file, or in the one it names. */
static mpivf_status
follow_link(struct mpivf_context *ctx, hid_t file, const char *path, const char *step,
            const char *rest, int depth, mpivf_visit_file visit, void *arg)
{
    struct link link;
    char found[MPIVF_PATH];
    const char *why;
    mpivf_status status = link_read(ctx, file, path, step, &link);
    if (status)
        return status;
    char *object = joined(ctx, step, &link, rest);
    hid_t other = -1;
    if (object == NULL)
        status = MPIVF_MEMORY;
    else if (link.kind == H5L_TYPE_SOFT)
        status = follow(ctx, file, path, object, depth + 1, visit, arg);
    else if (link.kind == H5L_TYPE_EXTERNAL &&
             mpivf_h5_resolve(path, MPIVF_H5_LINKED, link.file, found, &why)) {
        status = visit(ctx, arg, found);
        other = status ? -1 : H5Fopen(found, H5F_ACC_RDONLY, H5P_DEFAULT);
        if (other >= 0)
            status = follow(ctx, other, found, object, depth + 1, visit, arg);
    }
    if (other >= 0)
        H5Fclose(other);
    mpivf_free(ctx, object);
    mpivf_free(ctx, link.value);
    return status;
}

static mpivf_status
follow(struct mpivf_context *ctx, hid_t file, const char *path, const char *object, int depth,
       mpivf_visit_file visit, void *arg)
{
    char *step = mpivf_alloc_zero(ctx, "a name", strlen(object) + 1, 1);
    mpivf_status status = step ? MPIVF_OK : MPIVF_MEMORY;
    bool linked = depth > DEEPEST || step == NULL;
    for (size_t end = 0; !linked && (end = next_step(object, end)) > 0;) {
        H5L_info_t info;
        memcpy(step, object, end);
        step[end] = '\0';
        linked = H5Lget_info(file, step, &info, H5P_DEFAULT) < 0 || info.type != H5L_TYPE_HARD;
        if (linked)
            status = follow_link(ctx, file, path, step, object + end, depth, visit, arg);
    }
    mpivf_free(ctx, step);
    return status;
}

mpivf_status
mpivf_h5_link_files(struct mpivf_context *ctx, hid_t file, const char *path, const char *object,
                    mpivf_visit_file visit, void *arg)
{
    return follow(ctx, file, path, object, 0, visit, arg);
}
