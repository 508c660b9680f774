#include "build/merge.h"

#include "base/then.h"
#include "build/join.h"
#include "build/shard.h"
#include "par/root.h"

#include <assert.h>
#include <string.h>

enum { ITEMS_A_RANK = 4 };

/* One round: which inputs go together, under which names. */
struct round {
    struct mpivf_merge *merge;
    const char *const *input;
    uint64_t inputs, groups;
    bool last;
    bool consume; /* remove the inputs once they are merged */
};

static uint64_t
group_first(const struct round *round, uint64_t group)
{
    return mpivf_share_first(round->inputs, (int)group, (int)round->groups);
}

/* The file that a group's output is written to. */
static mpivf_status
partial_name(const struct round *round, uint64_t group, char partial[MPIVF_PATH])
{
    struct mpivf_context *ctx = round->merge->par->ctx;
    return round->last
               ? mpivf_path(ctx, partial, "%s", round->merge->output->partial)
               : mpivf_path(ctx, partial, MPIVF_JOINED_NAME, round->merge->folder,
                            (unsigned long long)round->merge->rounds, (unsigned long long)group);
}

/* The last one is open on rank 0, who has group 0. */
static mpivf_status
create_output(const struct round *round, uint64_t group, uint64_t *rows)
{
    struct mpivf_context *ctx = round->merge->par->ctx;
    char partial[MPIVF_PATH];
    struct mpivf_file file = {.fd = -1};
    uint64_t first = group_first(round, group), inputs = group_first(round, group + 1) - first;
    if (round->last)
        return mpivf_join_create(ctx, round->input, inputs, round->merge->model,
                                 &round->merge->output->file, rows);
    mpivf_status status = partial_name(round, group, partial);
    THEN(status, mpivf_file_create(ctx, partial, &file));
    THEN(status, mpivf_join_create(ctx, round->input + first, inputs, NULL, &file, rows));
    mpivf_status closed = mpivf_file_close(ctx, &file);
    return status ? status : closed;
}

static mpivf_status
create_outputs(const struct round *round, uint64_t *rows)
{
    const struct mpivf_par *par = round->merge->par;
    mpivf_status status = MPIVF_OK;
    for (uint64_t g = (uint64_t)par->rank; g < round->groups && status == MPIVF_OK;
         g += (uint64_t)par->size) {
        uint64_t some = 0;
        status = create_output(round, g, &some);
        *rows += some;
    }
    return status;
}

/* Each rank's contiguous share of the items of a round, an agreement after each. */
static mpivf_status
fill_outputs_all(const struct round *round, struct mpivf_progress *progress)
{
    const struct mpivf_par *par = round->merge->par;
    char partial[MPIVF_PATH];
    uint64_t parts = ((uint64_t)par->size * ITEMS_A_RANK + round->groups - 1) / round->groups;
    uint64_t items = parts * round->groups, item = mpivf_share_first(items, par->rank, par->size);
    uint64_t end = mpivf_share_first(items, par->rank + 1, par->size);
    mpivf_status status = MPIVF_OK;
    for (bool more = true; more; item++) {
        uint64_t rows = 0, bytes = 0;
        if (item < end) {
            uint64_t group = item / parts, first = group_first(round, group);
            status = partial_name(round, group, partial);
            THEN(status, mpivf_join_fill(par->ctx, round->input + first,
                                         group_first(round, group + 1) - first, partial,
                                         item % parts, parts, &rows, &bytes));
        }
        progress->phase->rows += rows;
        progress->phase->bytes_read += bytes;
        progress->phase->bytes_written += bytes;
        status = mpivf_round_all(progress, status, rows, item + 1 < end, &more);
    }
    return status;
}

/* A joined shard gets the name of what it covers. */
static mpivf_status
name_shard(const struct round *round, uint64_t group, char path[MPIVF_PATH])
{
    struct mpivf_context *ctx = round->merge->par->ctx;
    char partial[MPIVF_PATH];
    struct mpivf_index index = {.fd = -1};
    mpivf_status status = partial_name(round, group, partial);
    THEN(status, mpivf_index_open(ctx, partial, &index));
    THEN(status, mpivf_path(ctx, path, MPIVF_SHARD_NAME, round->merge->folder,
                            (unsigned long long)index.range[0].row,
                            (unsigned long long)(index.meta.rows + index.meta.rejected)));
    mpivf_index_close(&index);
    THEN(status, mpivf_file_commit(ctx, partial, path));
    return status;
}

/* Give the outputs their names, then let the inputs go. */
static mpivf_status
commit_outputs(const struct round *round, char (*output)[MPIVF_PATH])
{
    struct mpivf_context *ctx = round->merge->par->ctx;
    mpivf_status status = MPIVF_OK;
    for (uint64_t g = 0; g < round->groups && status == MPIVF_OK; g++) {
        char *path = output[g];
        if (round->last)
            status = mpivf_path(ctx, path, "%s", round->merge->output->path);
        status = status        ? status
                 : round->last ? mpivf_output_commit(ctx, round->merge->output)
                               : name_shard(round, g, path);
        for (uint64_t i = group_first(round, g);
             round->consume && i < group_first(round, g + 1) && status == MPIVF_OK; i++)
            if (strcmp(round->input[i], path) != 0) /* a group of one keeps its name */
                status = mpivf_file_remove(ctx, round->input[i]);
    }
    return status;
}

static void
drop_partials(const struct round *round)
{
    char partial[MPIVF_PATH];
    for (uint64_t g = 0; g < round->groups && !round->last; g++)
        if (partial_name(round, g, partial) == MPIVF_OK)
            (void)mpivf_file_remove(round->merge->par->ctx, partial);
}

static mpivf_status
round_all(const struct round *round, struct mpivf_progress *progress, char (*output)[MPIVF_PATH])
{
    const struct mpivf_par *par = round->merge->par;
    uint64_t rows = 0;
    mpivf_status status = mpivf_agree_all(par, create_outputs(round, &rows));
    progress->total += mpivf_sum_u64_all(par, rows);
    THEN(status, fill_outputs_all(round, progress));
    if (status == MPIVF_OK && round->merge->rounds == 0 && round->merge->seen)
        status = mpivf_inputs_unchanged_all(par, round->merge->seen);
    THEN(status, ROOT_ALL(par, commit_outputs(round, output)));
    if (status && par->rank == 0)
        drop_partials(round);
    if (status == MPIVF_OK)
        mpivf_bcast_all(par, output, round->groups * sizeof *output);
    return status;
}

mpivf_status
mpivf_merge_all(struct mpivf_merge *merge, struct mpivf_report *report)
{
    const struct mpivf_par *par = merge->par;
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_progress progress;
    assert(mpivf_same_all(par, merge->inputs) && mpivf_same_all(par, merge->fan_in));
    if (merge->fan_in < 2)
        return mpivf_fail(ctx, MPIVF_USAGE, "a merge needs a fan-in of 2 at least");
    mpivf_phase_begin(&progress, par, report, "merge", "rows", 0);
    uint64_t max = (merge->inputs + merge->fan_in - 1) / merge->fan_in;
    /* names of a round's outputs, twice: they are the next round's inputs */
    char(*name)[MPIVF_PATH] = mpivf_alloc(ctx, "names of shards", 2 * max + 2, sizeof *name);
    const char **input = mpivf_alloc(ctx, "names of shards", max + 1, sizeof *input);
    mpivf_status status = mpivf_agree_all(par, name && input ? MPIVF_OK : MPIVF_MEMORY);

    struct round round = {
        .merge = merge, .input = merge->input, .inputs = merge->inputs, .consume = merge->consume};
    for (merge->rounds = 0; status == MPIVF_OK && !round.last; merge->rounds++) {
        round.groups = (round.inputs + merge->fan_in - 1) / merge->fan_in;
        round.last = round.groups == 1;
        char(*output)[MPIVF_PATH] = name + (merge->rounds % 2 ? max + 1 : 0);
        status = round_all(&round, &progress, output);
        for (uint64_t g = 0; g < round.groups && status == MPIVF_OK; g++)
            input[g] = output[g];
        round.input = input;
        round.inputs = round.groups;
        round.consume = true; /* from now on the inputs are our own */
    }
    merge->bytes_written = mpivf_sum_u64_all(par, progress.phase->bytes_written);
    if (status == MPIVF_OK)
        status =
            mpivf_agree_all(par, mpivf_file_size(ctx, merge->output->path, &merge->index_bytes));
    mpivf_free(ctx, name);
    mpivf_free(ctx, input);
    mpivf_phase_end(&progress);
    return status;
}
