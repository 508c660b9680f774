#define _GNU_SOURCE /* renameat2 */
#include "io/output.h"

#include "base/fault.h"
#include "base/text.h"
#include "base/then.h"
#include "io/claim.h"
#include "io/folder.h"
#include "io/hdf5.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIGITS = MPIVF_OUTPUT_ENDING - 9 };

const char *
mpivf_output_path(const struct mpivf_output *output)
{
    return output ? output->path : "";
}

bool
mpivf_output_owns(const struct mpivf_output *output, const char *name)
{
    const char *base = mpivf_place_name(output->path);
    size_t length = strlen(base);
    if (output->kind == MPIVF_OUTPUT_FOLDER || strlen(name) != length + MPIVF_OUTPUT_ENDING ||
        memcmp(name, base, length) != 0 || name[length] != '.')
        return false;
    const char *digits = name + length + 1;
    return strspn(digits, "0123456789abcdef") == DIGITS && strcmp(digits + DIGITS, ".partial") == 0;
}

/* ---- naming ---- */

void
mpivf_outputs_init(struct mpivf_outputs *outputs, const struct mpivf_par *par)
{
    *outputs = (struct mpivf_outputs){.par = par};
}

/* A new output at the end of the list; where links lead is rank 0's to see. */
static struct mpivf_output *
add(struct mpivf_outputs *outputs, enum mpivf_output_kind kind, const char *given)
{
    struct mpivf_context *ctx = outputs->par->ctx;
    struct mpivf_output *output = mpivf_alloc_zero(ctx, "the outputs", 1, sizeof *output);
    if (output == NULL) {
        outputs->status = MPIVF_MEMORY;
        return NULL;
    }
    output->kind = kind;
    output->file.fd = -1;
    mpivf_status status = given[0] ? mpivf_path(ctx, output->given, "%s", given)
                                   : mpivf_fail(ctx, MPIVF_USAGE,
                                                "the name of an output is empty "
                                                "(a variable that is not set?)");
    if (status == MPIVF_OK && kind == MPIVF_OUTPUT_FOLDER)
        strcpy(output->path, output->given);
    else if (status == MPIVF_OK && outputs->par->rank == 0)
        status = mpivf_place_follow(ctx, given, output->path);
    if (outputs->status == MPIVF_OK)
        outputs->status = status;
    *(outputs->last ? &outputs->last->next : &outputs->first) = output;
    outputs->last = output;
    return output;
}

struct mpivf_output *
mpivf_outputs_write(struct mpivf_outputs *outputs, const char *path)
{
    return add(outputs, MPIVF_OUTPUT_FILE, path);
}

static struct mpivf_output *
add_derived(struct mpivf_outputs *outputs, enum mpivf_output_kind kind, const char *path,
            const char *ending)
{
    char given[MPIVF_PATH];
    mpivf_status status = mpivf_path(outputs->par->ctx, given, "%s.%s", path, ending);
    if (outputs->status == MPIVF_OK)
        outputs->status = status;
    return status ? NULL : add(outputs, kind, given);
}

struct mpivf_output *
mpivf_outputs_report(struct mpivf_outputs *outputs, const char *of)
{
    return add_derived(outputs, MPIVF_OUTPUT_REPORT, of, "report.json");
}

struct mpivf_output *
mpivf_outputs_folder(struct mpivf_outputs *outputs, const char *of, const char *scratch,
                     const char *kind)
{
    char inside[MPIVF_PATH];
    struct mpivf_context *ctx = outputs->par->ctx;
    if (scratch == NULL)
        return add_derived(outputs, MPIVF_OUTPUT_FOLDER, of, kind);
    mpivf_status status = scratch[0]
                              ? mpivf_path(ctx, inside, "%s/%s", scratch, mpivf_place_name(of))
                              : mpivf_fail(ctx, MPIVF_USAGE,
                                           "the name of the scratch folder is empty (a "
                                           "variable that is not set?)");
    if (outputs->status == MPIVF_OK)
        outputs->status = status;
    return status ? NULL : add_derived(outputs, MPIVF_OUTPUT_FOLDER, inside, kind);
}

static mpivf_status
add_input(struct mpivf_outputs *outputs, const char *text, const char *path)
{
    struct mpivf_context *ctx = outputs->par->ctx;
    mpivf_status status = mpivf_grow(ctx, "the inputs", &outputs->input, outputs->inputs, 1,
                                     sizeof *outputs->input, &outputs->room);
    if (status)
        return status;
    mpivf_place_look(&outputs->input[outputs->inputs++], text, path);
    return MPIVF_OK;
}

struct standing {
    struct mpivf_outputs *outputs;
    const char *name; /* of the input, for messages */
};

static mpivf_status
add_file(struct mpivf_context *ctx, void *arg, const char *path)
{
    const struct standing *standing = arg;
    (void)ctx;
    return add_input(standing->outputs, standing->name, path);
}

/*
 * The files that an input stands on: a dataset of HDF5 may have its values in others than the one
 * that was named. Without an OBJECT it is one of those that commands take by themselves. What is
 * wrong with it is told by who opens it.
 */
static mpivf_status
add_files(struct mpivf_outputs *outputs, const char *name)
{
    static const char *const usual[] = {"train", "test", "id"};
    struct mpivf_context *ctx = outputs->par->ctx;
    char path[MPIVF_PATH];
    struct standing standing = {outputs, name};
    size_t length = mpivf_path_file(name);
    mpivf_status status = mpivf_path(ctx, path, "%.*s", (int)length, name);
    THEN(status, add_input(outputs, name, path));
    if (status || !mpivf_h5_is(path))
        return status;
    const char *given = name[length] ? name + length + 1 : NULL;
    for (size_t i = 0; i < (given ? 1 : sizeof usual / sizeof usual[0]); i++) {
        const char *object = given ? given : usual[i];
        if (status == MPIVF_OK && mpivf_h5_has(path, object))
            status = mpivf_h5_stands_on(ctx, path, object, add_file, &standing);
        if (status == MPIVF_INPUT || status == MPIVF_CORRUPT) {
            mpivf_clear_error(ctx);
            status = MPIVF_OK;
        }
    }
    return status;
}

void
mpivf_outputs_read(struct mpivf_outputs *outputs, const char *name)
{
    if (name && outputs->par->rank == 0 && outputs->status == MPIVF_OK)
        outputs->status = add_files(outputs, name);
}

/* ---- partials ---- */

static mpivf_status
make_partial(struct mpivf_context *ctx, struct mpivf_output *output)
{
    uint64_t digits;
    struct stat info;
    if (getrandom(&digits, sizeof digits, 0) != sizeof digits)
        return mpivf_fail(ctx, MPIVF_IO, "cannot draw a name: %s", strerror(errno));
    mpivf_status status = mpivf_path(ctx, output->partial, "%s.%016llx.partial", output->path,
                                     (unsigned long long)digits);
    THEN(status, mpivf_file_create(ctx, output->partial, &output->file));
    if (status)
        return status;
    (void)mpivf_file_hold(&output->file); /* without locks the commit is what refuses */
    output->inode = fstat(output->file.fd, &info) == 0 ? info.st_ino : 0;
    return MPIVF_OK;
}

/* Looking for partials of the same outputs in their folder. */
struct looking {
    const struct mpivf_outputs *outputs;
    const char *folder;
    bool locked; /* nobody is between making one and locking it */
    bool seen;   /* locks are seen here: who holds none is not at work */
};

static bool
is_listed(const struct mpivf_outputs *outputs, const char *name)
{
    bool listed = false;
    for (const struct mpivf_output *o = outputs->first; o; o = o->next)
        listed |= o->kind == MPIVF_OUTPUT_FOLDER && mpivf_claim_lists(o->path, name);
    return listed;
}

/* Does anybody hold this file, as an output under its partial or its final name? */
static bool
is_held(const char *path)
{
    struct mpivf_file file = {.fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
    bool held = file.fd >= 0 && mpivf_file_held(&file);
    mpivf_file_drop(&file);
    return held;
}

/* One that is not ours: is somebody at work? */
static mpivf_status
meet(struct mpivf_context *ctx, const struct looking *looking, struct mpivf_output *output,
     const char *name)
{
    char path[MPIVF_PATH];
    struct stat info;
    mpivf_status status = mpivf_path(ctx, path, "%s/%s", looking->folder, name);
    if (status)
        return status;
    struct mpivf_file file = {.fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
    if (file.fd < 0 || fstat(file.fd, &info) < 0 || !S_ISREG(info.st_mode)) {
        mpivf_file_drop(&file); /* it went just now, or it is no business of ours */
        return MPIVF_OK;
    }
    if (mpivf_file_held(&file))
        output->busy = true;
    else if (info.st_size == 0 && looking->locked && looking->seen)
        (void)unlink(path); /* made by a run that was killed before it wrote a byte */
    else if (looking->seen && !is_listed(looking->outputs, name))
        mpivf_note(ctx, "'%s' was left by an earlier run of mpivf; it may be removed", path);
    mpivf_file_drop(&file);
    return status;
}

static mpivf_status
look_at(struct mpivf_context *ctx, void *arg, const char *name)
{
    const struct looking *looking = arg;
    char folder[MPIVF_PATH];
    if (!mpivf_ends_with(name, ".partial"))
        return MPIVF_OK;
    for (struct mpivf_output *o = looking->outputs->first; o; o = o->next) {
        if (!mpivf_output_owns(o, name) || strcmp(mpivf_place_name(o->partial), name) == 0)
            continue;
        mpivf_path_folder(o->path, folder);
        if (strcmp(folder, looking->folder) == 0)
            return meet(ctx, looking, o, name);
    }
    return MPIVF_OK;
}

/* Make the partials of the outputs in one folder that have none, then look for those of others. */
static mpivf_status
hold_folder(struct mpivf_outputs *outputs, const char *folder, bool force)
{
    struct mpivf_context *ctx = outputs->par->ctx;
    char here[MPIVF_PATH];
    int lock = mpivf_folder_lock(folder);
    struct looking looking = {.outputs = outputs, .folder = folder, .locked = lock >= 0};
    mpivf_status status = MPIVF_OK;
    for (struct mpivf_output *o = outputs->first; o && status == MPIVF_OK; o = o->next) {
        mpivf_path_folder(o->path, here);
        if (o->kind == MPIVF_OUTPUT_FOLDER || o->file.fd >= 0 || strcmp(here, folder) != 0)
            continue;
        status = make_partial(ctx, o);
        looking.seen = status == MPIVF_OK && is_held(o->partial); /* our own, opened again */
        o->busy = is_held(o->path); /* named by a command that has not ended */
        if (status == MPIVF_OK && !o->busy)
            status = mpivf_output_again(ctx, o, force);
    }
    if (status == MPIVF_OK && access(folder, R_OK) == 0) /* else the commit refuses */
        status = mpivf_folder_list(ctx, folder, look_at, &looking);
    mpivf_folder_unlock(lock);
    for (const struct mpivf_output *o = outputs->first; o && status == MPIVF_OK; o = o->next)
        if (o->busy)
            status = mpivf_fail(ctx, MPIVF_EXISTS, "another process is at work on '%s'", o->given);
    return status;
}

static mpivf_status
hold(struct mpivf_outputs *outputs, bool force)
{
    char folder[MPIVF_PATH];
    mpivf_status status = MPIVF_OK;
    for (struct mpivf_output *o = outputs->first; o && status == MPIVF_OK; o = o->next) {
        mpivf_path_folder(o->path, folder);
        if (o->kind != MPIVF_OUTPUT_FOLDER && o->file.fd < 0)
            status = hold_folder(outputs, folder, force);
    }
    return status;
}

mpivf_status
mpivf_outputs_declare(struct mpivf_outputs *outputs, bool force)
{
    mpivf_status status = outputs->status ? outputs->status : mpivf_outputs_check(outputs, force);
    THEN(status, hold(outputs, force));
    return status;
}

mpivf_status
mpivf_outputs_declare_all(struct mpivf_outputs *outputs, bool force)
{
    const struct mpivf_par *par = outputs->par;
    mpivf_status status = mpivf_agree_all(
        par, par->rank == 0 ? mpivf_outputs_declare(outputs, force) : outputs->status);
    for (struct mpivf_output *o = outputs->first; o && status == MPIVF_OK; o = o->next) {
        mpivf_bcast_all(par, o->path, sizeof o->path);
        mpivf_bcast_all(par, o->partial, sizeof o->partial);
    }
    return status;
}

mpivf_status
mpivf_outputs_tidy(const struct mpivf_outputs *outputs, const char *name)
{
    struct mpivf_context *ctx = outputs->par->ctx;
    char folder[MPIVF_PATH], path[MPIVF_PATH];
    mpivf_status status = MPIVF_OK;
    for (const struct mpivf_output *o = outputs->first; o && status == MPIVF_OK; o = o->next) {
        if (!mpivf_output_owns(o, name) || strcmp(mpivf_place_name(o->partial), name) == 0)
            continue;
        mpivf_path_folder(o->path, folder);
        status = mpivf_path(ctx, path, "%s/%s", folder, name);
        if (status)
            return status;
        struct mpivf_file file = {.fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
        if (file.fd >= 0 && !mpivf_file_held(&file))
            status = mpivf_file_remove(ctx, path);
        mpivf_file_drop(&file);
    }
    return status;
}

void
mpivf_outputs_end(struct mpivf_outputs *outputs)
{
    if (outputs->par == NULL)
        return;
    struct mpivf_context *ctx = outputs->par->ctx;
    for (struct mpivf_output *o = outputs->first, *next; o; o = next) {
        next = o->next;
        if (!o->named && !o->kept && mpivf_file_is(&o->file, o->partial))
            (void)unlink(o->partial);
        mpivf_file_drop(&o->file);
        mpivf_free(ctx, o);
    }
    mpivf_free(ctx, outputs->input);
    *outputs = (struct mpivf_outputs){.par = NULL};
}

mpivf_status
mpivf_output_space(struct mpivf_context *ctx, const struct mpivf_output *output, uint64_t bytes,
                   const char *what)
{
    char folder[MPIVF_PATH];
    mpivf_path_folder(output->path, folder);
    return mpivf_folder_space(ctx, folder, bytes, what);
}

/* ---- names ---- */

/* rename, unless something has the new name: then EEXIST. */
static int
rename_new(const char *from, const char *to)
{
    struct stat info;
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (link(from, to) == 0)
        return unlink(from);
    if (errno == EEXIST)
        return -1;
    if (lstat(to, &info) == 0) /* neither is known here: look, and then be quick */
        return errno = EEXIST, -1;
    return rename(from, to);
}

static mpivf_status
give_name(struct mpivf_context *ctx, struct mpivf_output *output)
{
    int result;
    output->kept = true; /* hours may have gone into it */
    if (!mpivf_file_is(&output->file, output->partial))
        return mpivf_fail(ctx, MPIVF_IO, "'%s' was taken away while this command was at work",
                          output->partial);
    if (mpivf_fault_system(ctx, MPIVF_FAULT_FILE_RENAME))
        result = -1;
    else if (output->replace && mpivf_place_unchanged(&output->place, output->path))
        result = rename(output->partial, output->path);
    else
        result = rename_new(output->partial, output->path);
    if (result == 0)
        output->named = true;
    else if (errno == EEXIST)
        return mpivf_fail(ctx, MPIVF_EXISTS,
                          "'%s' appeared while this command was at work and is "
                          "kept; the result is in '%s'",
                          output->given, output->partial);
    else
        return mpivf_fail(ctx, MPIVF_IO,
                          "cannot give the final name to '%s': %s; the result is in "
                          "'%s'",
                          output->given, strerror(errno), output->partial);
    return MPIVF_OK;
}

mpivf_status
mpivf_output_commit(struct mpivf_context *ctx, struct mpivf_output *output)
{
    char folder[MPIVF_PATH];
    mpivf_status status = mpivf_file_sync(ctx, &output->file);
    if (status)
        return status;
    mpivf_path_folder(output->path, folder);
    int lock = mpivf_folder_lock(folder);
    status = give_name(ctx, output);
    mpivf_folder_unlock(lock);
    if (status == MPIVF_OK)
        mpivf_folder_sync(output->path);
    return status;
}

void
mpivf_output_withdraw(struct mpivf_output *output)
{
    output->kept = true;
    if (output->named && mpivf_file_is(&output->file, output->path))
        output->named = rename_new(output->path, output->partial) != 0;
}
