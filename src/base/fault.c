#include "base/fault.h"

#ifdef MPIVF_FAULTS

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
#define X(site, name) name,
    MPIVF_FAULT_SITES(X)
#undef X
};

static void
log_pass(const char *name, int rank)
{
    const char *path = getenv("MPIVF_FAULT_LOG");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file == NULL)
        return;
    fprintf(file, "%s %d\n", name, rank);
    fclose(file);
}

bool
mpivf_fault(const struct mpivf_context *ctx, enum mpivf_fault_site site)
{
    static atomic_int passes; /* through the one armed site; faults are a test build's affair */
    log_pass(names[site], ctx->rank);
    const char *armed = getenv("MPIVF_FAULT");
    size_t length = strlen(names[site]);
    if (armed == NULL || strncmp(armed, names[site], length) != 0 || armed[length] != ':')
        return false;
    int rank, nth;
    if (sscanf(armed + length, ":%d:%d", &rank, &nth) != 2 || rank != ctx->rank || ++passes != nth)
        return false;
    if (strstr(armed, ":kill") != NULL)
        raise(SIGKILL);
    const char *command = getenv("MPIVF_FAULT_RUN");
    if (strstr(armed, ":run") == NULL || command == NULL)
        return true;
    return system(command) != 0; /* nothing fails but what the command has done */
}

size_t
mpivf_fault_taken(size_t measured)
{
    const char *taken = getenv("MPIVF_FAULT_TAKEN");
    return taken ? strtoul(taken, NULL, 10) * 1024 : measured;
}

#endif
