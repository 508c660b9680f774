#include <mpivf/context.h>

#include "base/compare.h"
#include "base/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGN = 64 };

/* In front of every allocation, so that free needs no size. */
struct header {
    size_t bytes;
    char pad[ALIGN - sizeof(size_t)];
};

static double
mib(size_t bytes)
{
    return (double)bytes / (1024.0 * 1024.0);
}

mpivf_status
mpivf_memory_reserve(struct mpivf_context *ctx, const char *what, size_t bytes)
{
    struct mpivf_memory *memory = &ctx->memory;
    pthread_mutex_lock(&ctx->lock);
    bool fits = memory->limit == 0 || memory->credit ||
                (memory->used <= memory->limit && bytes <= memory->limit - memory->used);
    if (fits)
        memory->used += bytes;
    if (memory->used > memory->peak)
        memory->peak = memory->used;
    pthread_mutex_unlock(&ctx->lock);
    return fits ? MPIVF_OK : mpivf_memory_short(ctx, what, bytes, NULL);
}

void
mpivf_memory_release(struct mpivf_context *ctx, size_t bytes)
{
    pthread_mutex_lock(&ctx->lock);
    ctx->memory.used -= bytes;
    pthread_mutex_unlock(&ctx->lock);
}

size_t
mpivf_alloc_bytes(size_t bytes)
{
    return (bytes + sizeof(struct header) + ALIGN - 1) / ALIGN * ALIGN;
}

void *
mpivf_alloc(struct mpivf_context *ctx, const char *what, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2) {
        mpivf_fail(ctx, MPIVF_MEMORY, "%s would need more memory than can be addressed", what);
        return NULL;
    }
    bytes = mpivf_alloc_bytes(bytes);
    if (mpivf_memory_reserve(ctx, what, bytes))
        return NULL;
    struct header *header =
        mpivf_fault(ctx, MPIVF_FAULT_ALLOC) ? NULL : aligned_alloc(ALIGN, bytes);
    if (header == NULL) {
        mpivf_memory_release(ctx, bytes);
        mpivf_fail(ctx, MPIVF_MEMORY,
                   "the machine has no %.1f MiB of memory for %s; lower --memory", mib(bytes),
                   what);
        return NULL;
    }
    header->bytes = bytes;
    return header + 1;
}

void *
mpivf_alloc_zero(struct mpivf_context *ctx, const char *what, size_t count, size_t size)
{
    void *memory = mpivf_alloc(ctx, what, count, size);
    if (memory)
        memset(memory, 0, count * size);
    return memory;
}

mpivf_status
mpivf_grow(struct mpivf_context *ctx, const char *what, void *array, size_t count, size_t more,
           size_t size, size_t *room)
{
    enum { FIRST = 8 };
    void **old = array;
    size_t need = count + more, twice = *room ? 2 * *room : FIRST;
    if (need <= *room && *old)
        return MPIVF_OK;
    void *longer = mpivf_alloc(ctx, what, need > twice ? need : twice, size);
    if (longer == NULL)
        return MPIVF_MEMORY;
    if (count > 0)
        memcpy(longer, *old, count * size);
    mpivf_free(ctx, *old);
    *old = longer;
    *room = need > twice ? need : twice;
    return MPIVF_OK;
}

void
mpivf_free(struct mpivf_context *ctx, void *memory)
{
    if (memory == NULL)
        return;
    struct header *header = (struct header *)memory - 1;
    mpivf_memory_release(ctx, header->bytes);
    free(header);
}

size_t
mpivf_memory_left(const struct mpivf_context *ctx)
{
    const struct mpivf_memory *memory = &ctx->memory;
    if (memory->limit == 0)
        return SIZE_MAX;
    return memory->used < memory->limit ? memory->limit - memory->used : 0;
}

mpivf_status
mpivf_memory_short(struct mpivf_context *ctx, const char *what, size_t bytes, const char *other)
{
    static const size_t MIB = 1 << 20;
    const struct mpivf_memory *memory = &ctx->memory;
    pthread_mutex_lock(&ctx->lock);
    size_t used = memory->used, limit = memory->limit, lent = memory->lent;
    pthread_mutex_unlock(&ctx->lock);
    /* a MiB more: what the process takes beside differs from run to run */
    size_t enough = (memory->beside + used + bytes) / MIB + 2, before = used - lent;
    if (lent > 0 && memory->lent_other[0])
        other = memory->lent_other;
    return mpivf_fail(ctx, MPIVF_MEMORY,
                      "%s%s%s %s %.1f MiB of buffers at least, %.1f MiB are left; "
                      "raise --memory to %zuM%s%s",
                      lent > 0 ? memory->lent_what : "", lent > 0 ? " and " : "", what,
                      lent > 0 ? "need" : "needs", mib(bytes + lent),
                      mib(limit > before ? limit - before : 0), enough, other ? " or " : "",
                      other ? other : "");
}

void
mpivf_memory_credit(struct mpivf_context *ctx)
{
    ctx->memory.credit = ctx->memory.limit > 0;
    ctx->memory.lent = 0;
}

bool
mpivf_memory_lent(const struct mpivf_context *ctx)
{
    return ctx->memory.limit > 0 && ctx->memory.used > ctx->memory.limit;
}

/* Could the machine have so much, if nobody else wanted any? */
static bool
machine_has(size_t bytes)
{
    return bytes / (size_t)sysconf(_SC_PAGESIZE) < (size_t)sysconf(_SC_PHYS_PAGES);
}

mpivf_status
mpivf_memory_ask(struct mpivf_context *ctx, const char *what, size_t need, const char *other)
{
    struct mpivf_memory *memory = &ctx->memory;
    if (need <= mpivf_memory_left(ctx))
        return MPIVF_OK;
    if (!memory->credit || !machine_has(memory->used + need))
        return mpivf_memory_short(ctx, what, need, other);
    if (memory->lent == 0) {
        snprintf(memory->lent_what, sizeof memory->lent_what, "%s", what);
        snprintf(memory->lent_other, sizeof memory->lent_other, "%s", other ? other : "");
    }
    memory->lent += need;
    return MPIVF_OK;
}

void
mpivf_memory_settle(struct mpivf_context *ctx)
{
    ctx->memory.credit = false;
    ctx->memory.lent = 0;
}

mpivf_status
mpivf_memory_plan(struct mpivf_context *ctx, const char *what, size_t need, size_t max,
                  const char *other, size_t *bytes)
{
    size_t left = mpivf_memory_left(ctx);
    max = need > max ? need : max;
    if (left < need || mpivf_memory_lent(ctx))
        return mpivf_memory_short(ctx, what, need, other);
    mpivf_memory_settle(ctx);
    if (bytes)
        *bytes = mpivf_smaller(left, max);
    return MPIVF_OK;
}

size_t
mpivf_memory_resident(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    if (file == NULL)
        return 0;
    char line[256];
    size_t kib = 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %zu", &kib) == 1)
            break;
    fclose(file);
    return kib * 1024;
}

/* The number in a one-line file; SIZE_MAX when there is none ("max", no such file). */
static size_t
number_in(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return SIZE_MAX;
    size_t number;
    if (fscanf(file, "%zu", &number) != 1)
        number = SIZE_MAX;
    fclose(file);
    return number;
}

/* What the cgroup of this process grants, in either version of the hierarchy. */
static size_t
cgroup_limit(void)
{
    size_t limit = mpivf_smaller(number_in("/sys/fs/cgroup/memory.max"),
                                 number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    FILE *file = fopen("/proc/self/cgroup", "r");
    if (file == NULL)
        return limit;
    char line[512], path[1200];
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *folder = strrchr(line, ':');
        if (folder == NULL || strstr(folder, "/..") != NULL)
            continue;
        /* every level up to the root may hold a limit */
        for (folder++; folder[0] == '/' && folder[1] != '\0'; *strrchr(folder, '/') = '\0') {
            snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", folder);
            limit = mpivf_smaller(limit, number_in(path));
            snprintf(path, sizeof path, "/sys/fs/cgroup/memory%s/memory.limit_in_bytes", folder);
            limit = mpivf_smaller(limit, number_in(path));
        }
    }
    fclose(file);
    return limit;
}

/* Megabytes granted by Slurm to this node, in bytes; SIZE_MAX outside of Slurm. */
static size_t
slurm_limit(void)
{
    const char *node = getenv("SLURM_MEM_PER_NODE");
    const char *cpu = getenv("SLURM_MEM_PER_CPU");
    const char *cpus = getenv("SLURM_CPUS_ON_NODE");
    size_t megabytes = 0;
    if (node)
        megabytes = strtoul(node, NULL, 10);
    else if (cpu && cpus)
        megabytes = strtoul(cpu, NULL, 10) * strtoul(cpus, NULL, 10);
    return megabytes > 0 ? megabytes << 20 : SIZE_MAX;
}

size_t
mpivf_memory_default(int processes)
{
    size_t machine = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    size_t all = mpivf_smaller(machine, mpivf_smaller(cgroup_limit(), slurm_limit()));
    return all / 5 * 4 / (size_t)(processes > 0 ? processes : 1);
}
