/* folder: what all tests do with folders of their own: count what is in them, remove them whole. */
#ifndef MPIVF_TESTS_FOLDER_H
#define MPIVF_TESTS_FOLDER_H

#include "io/folder.h"

#include <mpivf/context.h>

#include <stdio.h>

static inline mpivf_status
count_one(struct mpivf_context *ctx, void *arg, const char *name)
{
    (void)ctx;
    (void)name;
    ++*(int *)arg;
    return MPIVF_OK;
}

/* How many entries a folder has; -1 when it cannot be listed. */
static inline int
count_entries(struct mpivf_context *ctx, const char *folder)
{
    int n = 0;
    return mpivf_folder_list(ctx, folder, count_one, &n) == MPIVF_OK ? n : -1;
}

static inline mpivf_status
remove_one(struct mpivf_context *ctx, void *arg, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", (const char *)arg, name);
    if (remove(path) == 0)
        return MPIVF_OK;
    mpivf_status status = mpivf_folder_list(ctx, path, remove_one, path);
    return status ? status : mpivf_folder_remove(ctx, path);
}

/* Remove a folder and all that is in it. */
static inline mpivf_status
remove_tree(struct mpivf_context *ctx, char *folder)
{
    mpivf_status status = mpivf_folder_list(ctx, folder, remove_one, folder);
    return status ? status : mpivf_folder_remove(ctx, folder);
}

#endif
