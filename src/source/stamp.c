#include "source/stamp.h"

#include "io/checksum.h"
#include "io/inputs.h"

#include <stdio.h>

static void
add_files(struct mpivf_stamp *stamp, const struct mpivf_inputs *inputs)
{
    for (size_t i = 0; i < inputs->files; i++) {
        const struct mpivf_input *file = &inputs->file[i];
        uint64_t link[3] = {stamp->version, file->bytes, (uint64_t)file->modified};
        stamp->version = mpivf_checksum_of(link, sizeof link);
        stamp->bytes += file->bytes;
        if (file->modified > stamp->modified)
            stamp->modified = file->modified;
    }
}

struct mpivf_stamp
mpivf_source_stamp(const struct mpivf_source *source, const struct mpivf_source *ids)
{
    struct mpivf_stamp stamp = {.version = 0};
    add_files(&stamp, source->inputs);
    if (ids)
        add_files(&stamp, ids->inputs);
    stamp.version += stamp.version == 0; /* 0 says that there is none */
    return stamp;
}

void
mpivf_stamp_text(const struct mpivf_stamp *stamp, char text[MPIVF_STAMP_TEXT])
{
    char when[MPIVF_TIME_TEXT];
    mpivf_inputs_time_text(stamp->modified, when);
    if (stamp->version == 0)
        snprintf(text, MPIVF_STAMP_TEXT, "several versions of it");
    else
        snprintf(text, MPIVF_STAMP_TEXT, "%llu bytes modified %s", (unsigned long long)stamp->bytes,
                 when);
}

mpivf_status
mpivf_source_changed(const struct mpivf_source *source, const struct mpivf_source *ids,
                     const struct mpivf_stamp *then, const char *what)
{
    char before[MPIVF_STAMP_TEXT], after[MPIVF_STAMP_TEXT];
    struct mpivf_stamp now = mpivf_source_stamp(source, ids);
    mpivf_stamp_text(then, before);
    mpivf_stamp_text(&now, after);
    return mpivf_fail(source->par->ctx, MPIVF_MISMATCH,
                      "'%s' changed since this work began: %s then, %s now, and %s have changed; "
                      "start over with --force",
                      source->inputs->file[0].path, before, after, what);
}

void
mpivf_source_claim(const struct mpivf_source *source, char text[MPIVF_CLAIM_SOURCE])
{
    char seen[MPIVF_STAMP_TEXT], name[MPIVF_PATH + MPIVF_OBJECT];
    struct mpivf_stamp stamp = mpivf_source_stamp(source, NULL);
    mpivf_stamp_text(&stamp, seen);
    snprintf(name, sizeof name, "%s%s%s", source->inputs->file[0].path,
             source->object[0] ? ":" : "", source->object);
    mpivf_claim_source(source->fingerprint, stamp.version, name, seen, text);
}
