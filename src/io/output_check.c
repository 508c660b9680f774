/* What can be known of the names of inputs and outputs before anything is written. */
#include "io/output.h"

#include "base/then.h"
#include "io/claim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *
kind_of(const struct mpivf_output *output)
{
    static const char *const kind[] = {"output", "report", "work folder"};
    return kind[output->kind];
}

/* What is written once it has its name is not written for another name, and not read. */
static mpivf_status
check_apart(const struct mpivf_outputs *outputs, const struct mpivf_output *output)
{
    struct mpivf_context *ctx = outputs->par->ctx;
    for (size_t i = 0; i < outputs->inputs; i++) {
        const struct mpivf_place *input = &outputs->input[i];
        if (mpivf_place_same(&output->place, input))
            return mpivf_fail(ctx, MPIVF_USAGE, "the %s '%s' is also an input; name another output",
                              kind_of(output), output->given);
        if (output->kind == MPIVF_OUTPUT_FOLDER && mpivf_place_inside(input, &output->place))
            return mpivf_fail(ctx, MPIVF_USAGE,
                              "the input '%s' lies in '%s', which is the work "
                              "folder of this command; name another output",
                              input->text, output->given);
    }
    for (const struct mpivf_output *o = outputs->first; o; o = o->next) {
        if (o != output && mpivf_place_same(&o->place, &output->place))
            return mpivf_fail(ctx, MPIVF_USAGE,
                              "'%s' is the name of two outputs, %s and %s; name "
                              "another output",
                              output->given, kind_of(o), kind_of(output));
        if (output->kind == MPIVF_OUTPUT_FOLDER && mpivf_place_inside(&o->place, &output->place))
            return mpivf_fail(ctx, MPIVF_USAGE,
                              "the %s '%s' lies in '%s', which is the work "
                              "folder of this command; name another output",
                              kind_of(o), o->given, output->given);
    }
    return MPIVF_OK;
}

static mpivf_status
check_folder(struct mpivf_context *ctx, const struct mpivf_output *output)
{
    char folder[MPIVF_PATH];
    const char *name = mpivf_place_name(output->path);
    size_t more = output->kind == MPIVF_OUTPUT_FOLDER ? 0 : MPIVF_OUTPUT_ENDING;
    mpivf_path_folder(output->path, folder);
    if (!output->place.in_folder)
        return mpivf_fail(ctx, MPIVF_IO, "cannot write '%s': there is no folder '%s'",
                          output->given, folder);
    if (access(folder, W_OK | X_OK) < 0)
        return mpivf_fail(ctx, MPIVF_IO, "cannot write '%s': %s", output->given, strerror(errno));
    long max = pathconf(folder, _PC_NAME_MAX);
    if (max > 0 && strlen(name) + more > (size_t)max)
        return mpivf_fail(ctx, MPIVF_USAGE,
                          "the name '%.40s...' is too long: with what is added "
                          "while it is written it has %zu bytes, and '%s' takes %ld",
                          name, strlen(name) + more, folder, max);
    return MPIVF_OK;
}

static bool
is_our_report(const char *path)
{
    static const char begin[] = "{\n  \"format\": \"mpivf-report\"";
    char text[sizeof begin] = "";
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    size_t n = fread(text, 1, sizeof begin - 1, file);
    fclose(file);
    return n == sizeof begin - 1 && memcmp(text, begin, n) == 0;
}

static mpivf_status
check_target(struct mpivf_context *ctx, struct mpivf_output *output, bool force)
{
    const struct stat *info = &output->place.file;
    if (!output->place.there)
        return mpivf_place_name(output->path)[0] ? MPIVF_OK
                                                 : mpivf_fail(ctx, MPIVF_USAGE,
                                                              "'%s' names a folder, not a "
                                                              "file to write",
                                                              output->given);
    if (S_ISDIR(info->st_mode))
        return mpivf_fail(ctx, MPIVF_EXISTS, "'%s' is a folder, not a file to write",
                          output->given);
    if (!S_ISREG(info->st_mode))
        return mpivf_fail(ctx, MPIVF_EXISTS, "'%s' is not a regular file and is not replaced",
                          output->given);
    output->replace = force || (output->kind == MPIVF_OUTPUT_REPORT && is_our_report(output->path));
    return MPIVF_OK;
}

mpivf_status
mpivf_output_check(struct mpivf_context *ctx, const struct mpivf_output *output)
{
    if (!output->place.there || output->replace)
        return MPIVF_OK;
    if (output->kind == MPIVF_OUTPUT_REPORT)
        return mpivf_fail(ctx, MPIVF_EXISTS,
                          "'%s' exists and is not a report of mpivf; move it "
                          "away, or --force replaces it",
                          output->given);
    return mpivf_fail(ctx, MPIVF_EXISTS, "'%s' exists; --force replaces it", output->given);
}

mpivf_status
mpivf_output_again(struct mpivf_context *ctx, struct mpivf_output *output, bool force)
{
    if (output->place.there || !mpivf_file_exists(output->path))
        return MPIVF_OK;
    mpivf_place_look(&output->place, output->given, output->path);
    mpivf_status status = check_target(ctx, output, force);
    THEN(status, mpivf_output_check(ctx, output));
    return status;
}

/* A work folder is a folder or nothing. A link to one could not be removed as a folder is. */
static mpivf_status
check_work(struct mpivf_context *ctx, const struct mpivf_output *output)
{
    struct stat info;
    if (lstat(output->path, &info) < 0 || S_ISDIR(info.st_mode))
        return MPIVF_OK;
    return mpivf_fail(ctx, MPIVF_EXISTS,
                      "'%s' is the name of the work folder, and %s is there; "
                      "move it away (where the output is a link, the work folder lies beside the "
                      "file that it leads to)",
                      output->given, S_ISLNK(info.st_mode) ? "a symbolic link" : "another file");
}

mpivf_status
mpivf_outputs_check(struct mpivf_outputs *outputs, bool force)
{
    struct mpivf_context *ctx = outputs->par->ctx;
    mpivf_status status = MPIVF_OK;
    bool again = false; /* an earlier run may have given outputs their names */
    for (struct mpivf_output *o = outputs->first; o; o = o->next) {
        mpivf_place_look(&o->place, o->given, o->path);
        again |= o->kind == MPIVF_OUTPUT_FOLDER && mpivf_claim_exists(o->path);
    }
    for (struct mpivf_output *o = outputs->first; o && status == MPIVF_OK; o = o->next)
        status = check_apart(outputs, o);
    for (struct mpivf_output *o = outputs->first; o && status == MPIVF_OK; o = o->next) {
        bool folder = o->kind == MPIVF_OUTPUT_FOLDER;
        status = folder ? check_work(ctx, o) : check_target(ctx, o, force);
        THEN(status, check_folder(ctx, o));
        if (status == MPIVF_OK && !folder && (!again || o->kind == MPIVF_OUTPUT_REPORT))
            status = mpivf_output_check(ctx, o);
    }
    return status;
}
