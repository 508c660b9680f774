/* place: which file a name means, whatever the path to it says. All functions are local. */
#ifndef MPIVF_IO_PLACE_H
#define MPIVF_IO_PLACE_H

#include "io/file.h"

#include <limits.h>
#include <sys/stat.h>

/* Plain data. */
struct mpivf_place {
    const char *text;         /* not owned: as it was given */
    char name[NAME_MAX + 1];  /* the last part of the path; a longer one cannot be there */
    bool there, in_folder;    /* is there such a file, or such a folder? */
    struct stat file, folder; /* when they are */
};

/* The last part of a path. Local. */
const char *
mpivf_place_name(const char *path);

/* Look at `path`, links followed; `text` has to stay. Local. */
void
mpivf_place_look(struct mpivf_place *place, const char *text, const char *path);

/* Are they the same file, or would they be if they were there? Local. */
bool
mpivf_place_same(const struct mpivf_place *a, const struct mpivf_place *b);

/* Is `a` a file in the folder `b`? Local. */
bool
mpivf_place_inside(const struct mpivf_place *a, const struct mpivf_place *b);

/* Is the file of `place` still the one that was looked at, unchanged? Local. */
bool
mpivf_place_unchanged(const struct mpivf_place *place, const char *path);

/*
 * Follow `path` while it is a symbolic link, to something that need not be there; into MPIVF_PATH
 * bytes. MPIVF_IO when the links never end. Local.
 */
mpivf_status
mpivf_place_follow(struct mpivf_context *ctx, const char *path, char *target);

#endif
