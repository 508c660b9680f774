#include "io/place.h"

#include "base/then.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *
mpivf_place_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

void
mpivf_place_look(struct mpivf_place *place, const char *text, const char *path)
{
    char folder[MPIVF_PATH];
    *place = (struct mpivf_place){.text = text};
    snprintf(place->name, sizeof place->name, "%s", mpivf_place_name(path));
    place->there = stat(path, &place->file) == 0;
    mpivf_path_folder(path, folder);
    place->in_folder = stat(folder, &place->folder) == 0 && S_ISDIR(place->folder.st_mode);
}

bool
mpivf_place_same(const struct mpivf_place *a, const struct mpivf_place *b)
{
    if (a->there || b->there)
        return a->there && b->there && same_file(&a->file, &b->file);
    return a->in_folder && b->in_folder && same_file(&a->folder, &b->folder) &&
           strcmp(a->name, b->name) == 0;
}

bool
mpivf_place_inside(const struct mpivf_place *a, const struct mpivf_place *b)
{
    return a->in_folder && b->there && same_file(&a->folder, &b->file);
}

bool
mpivf_place_unchanged(const struct mpivf_place *place, const char *path)
{
    struct stat now;
    const struct stat *then = &place->file;
    return place->there && lstat(path, &now) == 0 && same_file(&now, then) &&
           now.st_size == then->st_size && now.st_mtim.tv_sec == then->st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == then->st_mtim.tv_nsec;
}

mpivf_status
mpivf_place_follow(struct mpivf_context *ctx, const char *path, char *target)
{
    enum { LINKS = 40 }; /* as many as Linux follows */
    char link[MPIVF_PATH], folder[MPIVF_PATH];
    mpivf_status status = mpivf_path(ctx, target, "%s", path);
    for (int i = 0; i < LINKS && status == MPIVF_OK; i++) {
        ssize_t length = readlink(target, link, sizeof link - 1);
        if (length < 0)
            return MPIVF_OK;
        link[length] = '\0';
        mpivf_path_folder(target, folder);
        status = link[0] == '/' ? mpivf_path(ctx, target, "%s", link)
                                : mpivf_path(ctx, target, "%s/%s", folder, link);
    }
    THEN(status, mpivf_fail(ctx, MPIVF_IO, "'%s' cannot be written: %s", path, strerror(ELOOP)));
    return status;
}
