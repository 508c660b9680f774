#include "io/hdf5_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { INNERMOST = 200 };

/* What a text of HDF5 tells about the cause, and what helps. */
static const struct {
    const char *says, *cause;
    bool damage;
} known[] = {
    {"truncated", "the file is truncated: copy it again", true},
    {"incorrect metadata checksum", "its metadata are damaged: copy it again", true},
    {"file signature not found", "it does not begin as an HDF5 file does: copy it again", true},
    {"inflate() failed",
     "inflate() failed: the chunk is damaged, copy the file again or write it anew", true},
    {"Fletcher32",
     "data error detected by Fletcher32 checksum: the chunk is damaged, copy the file again "
     "or write it anew",
     true},
    {"errno = 11,",
     "another program has it open for writing: close it there; where the locks of a file "
     "system do not work, HDF5_USE_FILE_LOCKING=FALSE does without",
     false},
    {"unable to lock file", "its file system has no locks: set HDF5_USE_FILE_LOCKING=FALSE", false},
    {"h5clear",
     "it is being written, or was not closed by its writer: close it there, or clear the "
     "mark with h5clear -s",
     false},
};

struct cause {
    char innermost[INNERMOST];
    int known; /* position in the table, -1 = none */
};

static herr_t
look(unsigned n, const H5E_error2_t *error, void *arg)
{
    struct cause *cause = arg;
    if (error->desc == NULL)
        return 0;
    if (n == 0)
        snprintf(cause->innermost, sizeof cause->innermost, "%s", error->desc);
    for (int i = 0; i < (int)(sizeof known / sizeof known[0]) && cause->known < 0; i++)
        if (strstr(error->desc, known[i].says))
            cause->known = i;
    return 0;
}

mpivf_status
mpivf_h5_fail(struct mpivf_context *ctx, mpivf_status status, const char *what, ...)
{
    struct cause cause = {"unknown cause", -1};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, look, &cause);
    H5Eclear2(H5E_DEFAULT);
    char text[MPIVF_TEXT];
    va_list args;
    va_start(args, what);
    vsnprintf(text, sizeof text, what, args);
    va_end(args);
    if (cause.known < 0)
        return mpivf_fail(ctx, status, "%s: HDF5 says: %s", text, cause.innermost);
    return mpivf_fail(ctx, known[cause.known].damage ? MPIVF_CORRUPT : status, "%s: %s", text,
                      known[cause.known].cause);
}

void
mpivf_h5_quiet(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}
