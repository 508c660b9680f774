#include "io/inputs.h"

#include "base/fault.h"
#include "base/then.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HOST = 64, DIFFERENCE = 160 };
static const int64_t SECOND = 1000000000;

/* ---- one file ---- */

/* Opening asks the server of a network file system; the name alone may be answered from a cache. */
static bool
look(struct mpivf_context *ctx, const char *path, struct mpivf_input *input)
{
    struct stat info;
    int fd = mpivf_fault_system(ctx, MPIVF_FAULT_FILE_OPEN)
                 ? -1
                 : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    bool found = fd >= 0 && fstat(fd, &info) == 0;
    int cause = errno;
    if (fd >= 0)
        close(fd);
    errno = cause;
    if (!found)
        return false;
    input->bytes = (uint64_t)info.st_size;
    input->modified = info.st_mtim.tv_sec * SECOND + info.st_mtim.tv_nsec;
    return true;
}

bool
mpivf_inputs_same_time(int64_t a, int64_t b)
{
    return a == b || (a / SECOND == b / SECOND && (a % SECOND == 0 || b % SECOND == 0));
}

static bool
same(const struct mpivf_input *a, const struct mpivf_input *b)
{
    return a->bytes == b->bytes && mpivf_inputs_same_time(a->modified, b->modified);
}

void
mpivf_inputs_time_text(int64_t modified, char text[MPIVF_TIME_TEXT])
{
    time_t seconds = (time_t)(modified / SECOND);
    struct tm local;
    localtime_r(&seconds, &local);
    size_t n = strftime(text, MPIVF_TIME_TEXT, "%Y-%m-%d %H:%M:%S", &local);
    snprintf(text + n, MPIVF_TIME_TEXT - n, ".%03d", (int)(modified % SECOND / 1000000));
}

static const char *
host_name(char name[HOST])
{
    if (gethostname(name, HOST - 1) != 0)
        strcpy(name, "an unknown host");
    name[HOST - 1] = '\0';
    return name;
}

/* ---- a list of them ---- */

static mpivf_status
grow(struct mpivf_context *ctx, struct mpivf_inputs *inputs)
{
    return mpivf_grow(ctx, "the inputs", &inputs->file, inputs->files, 1, sizeof *inputs->file,
                      &inputs->room);
}

/* What cannot be looked at is told in the words of who opens files. */
static mpivf_status
refuse(struct mpivf_context *ctx, const char *path)
{
    int cause = errno;
    struct mpivf_file file;
    mpivf_status status = mpivf_file_open(ctx, path, &file);
    mpivf_file_drop(&file);
    THEN(status, mpivf_fail(ctx, MPIVF_IO, "cannot open '%s': %s", path, strerror(cause)));
    return status;
}

mpivf_status
mpivf_inputs_add(struct mpivf_context *ctx, struct mpivf_inputs *inputs, const char *path)
{
    struct mpivf_input input = {.path = NULL};
    for (size_t i = 0; i < inputs->files; i++)
        if (strcmp(inputs->file[i].path, path) == 0)
            return MPIVF_OK;
    mpivf_status status = grow(ctx, inputs);
    if (status == MPIVF_OK && !look(ctx, path, &input))
        status = refuse(ctx, path);
    if (status)
        return status;
    input.path = mpivf_alloc(ctx, "the inputs", strlen(path) + 1, 1);
    if (input.path == NULL)
        return MPIVF_MEMORY;
    strcpy(input.path, path);
    inputs->file[inputs->files++] = input;
    return MPIVF_OK;
}

void
mpivf_inputs_clear(struct mpivf_context *ctx, struct mpivf_inputs *inputs)
{
    for (size_t i = 0; i < inputs->files; i++)
        mpivf_free(ctx, inputs->file[i].path);
    mpivf_free(ctx, inputs->file);
    *inputs = (struct mpivf_inputs){.file = NULL};
}

/* ---- ranks ---- */

/* Look at a file that rank 0 sees as `input`. */
static mpivf_status
compare_rank(const struct mpivf_par *par, const struct mpivf_input *input)
{
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_input mine = {.bytes = 0};
    char host[HOST], here[MPIVF_TIME_TEXT], there[MPIVF_TIME_TEXT], what[DIFFERENCE];
    if (!look(ctx, input->path, &mine))
        return mpivf_fail(ctx, MPIVF_INPUT,
                          "rank %d on %s cannot open '%s': %s; put it on a file "
                          "system that all ranks share",
                          par->rank, host_name(host), input->path, strerror(errno));
    if (same(&mine, input))
        return MPIVF_OK;
    mpivf_inputs_time_text(input->modified, here);
    mpivf_inputs_time_text(mine.modified, there);
    if (mine.bytes != input->bytes)
        snprintf(what, sizeof what, "%llu bytes there, %llu on rank 0",
                 (unsigned long long)mine.bytes, (unsigned long long)input->bytes);
    else
        snprintf(what, sizeof what, "modified %s there, %s on rank 0", there, here);
    return mpivf_fail(ctx, MPIVF_INPUT,
                      "rank %d on %s sees another '%s': %s; copy it with its "
                      "time (cp -p), or put it on a file system that all ranks share",
                      par->rank, host_name(host), input->path, what);
}

/* Rank 0's i-th file on every rank. */
static mpivf_status
share_file_all(const struct mpivf_par *par, struct mpivf_inputs *inputs, size_t i)
{
    struct mpivf_input input = {.path = NULL};
    uint64_t length = 0;
    mpivf_status status = MPIVF_OK;
    if (par->rank == 0) {
        input = inputs->file[i];
        length = strlen(input.path) + 1;
    }
    mpivf_bcast_all(par, &length, sizeof length);
    mpivf_bcast_all(par, &input.bytes, sizeof input.bytes);
    mpivf_bcast_all(par, &input.modified, sizeof input.modified);
    if (par->rank != 0) {
        status = grow(par->ctx, inputs);
        input.path = mpivf_alloc(par->ctx, "the inputs", length, 1);
        status = input.path ? status : MPIVF_MEMORY;
        if (status == MPIVF_OK)
            inputs->file[inputs->files++] = input;
        else
            mpivf_free(par->ctx, input.path);
    }
    status = mpivf_agree_all(par, status);
    if (status == MPIVF_OK)
        mpivf_bcast_all(par, input.path, length);
    return status;
}

mpivf_status
mpivf_inputs_share_all(const struct mpivf_par *par, struct mpivf_inputs *inputs)
{
    uint64_t files = inputs->files;
    mpivf_status status = MPIVF_OK;
    mpivf_bcast_all(par, &files, sizeof files);
    for (size_t i = 0; i < files && status == MPIVF_OK; i++)
        status = share_file_all(par, inputs, i);
    if (status)
        return status;
    for (size_t i = 0; par->rank != 0 && i < files && status == MPIVF_OK; i++)
        status = compare_rank(par, &inputs->file[i]);
    return mpivf_agree_all(par, status);
}

mpivf_status
mpivf_inputs_content_all(const struct mpivf_par *par, const char *path, uint64_t mark)
{
    uint64_t first = mark;
    char host[HOST];
    mpivf_bcast_all(par, &first, sizeof first);
    mpivf_status status = MPIVF_OK;
    if (mark != first)
        status = mpivf_fail(par->ctx, MPIVF_INPUT,
                            "rank %d on %s finds other content in '%s' than "
                            "rank 0, of the same size and time; put it on a file system that all "
                            "ranks share",
                            par->rank, host_name(host), path);
    return mpivf_agree_all(par, status);
}

/* ---- time ---- */

static mpivf_status
compare_time(struct mpivf_context *ctx, const struct mpivf_input *before)
{
    struct mpivf_input now = {.bytes = 0};
    char when[MPIVF_TIME_TEXT];
    if (!look(ctx, before->path, &now))
        return mpivf_fail(ctx, MPIVF_INPUT, "cannot see '%s' any more after reading it: %s",
                          before->path, strerror(errno));
    if (same(&now, before))
        return MPIVF_OK;
    mpivf_inputs_time_text(now.modified, when);
    return mpivf_fail(ctx, MPIVF_INPUT,
                      "'%s' was modified while it was read (at %s); start again "
                      "when nobody writes to it",
                      before->path, when);
}

mpivf_status
mpivf_inputs_unchanged_all(const struct mpivf_par *par, const struct mpivf_inputs *inputs)
{
    mpivf_status status = MPIVF_OK;
    for (size_t i = 0; i < inputs->files && status == MPIVF_OK; i++)
        status = compare_time(par->ctx, &inputs->file[i]);
    return mpivf_agree_all(par, status);
}
