#include "cmd/train_options.h"

#include <mpivf/build.h>
#include <mpivf/report.h>

struct fields {
    struct mpivf_common common;
    struct mpivf_train_fields train;
    const char *model, *ids, *scratch;
    int codec, store;
    bool force;
    int64_t part[2], fan_in;
};

#define AT(field) offsetof(struct fields, field)

static const struct mpivf_option options[] = {
    MPIVF_TRAIN_OPTIONS(AT(train)),
    {"codec", 'c', MPIVF_CHOICE, AT(codec), "f32", 0, 0, "f32|f16", "how rows are stored in lists"},
    {"store", 0, MPIVF_CHOICE, AT(store), "none", 0, 0, "none|source",
     "source: keep the raw rows too, for search --rerank"},
    {"ids", 0, MPIVF_STRING, AT(ids), NULL, 0, 0, "FILE[:OBJECT]",
     "64-bit ids, one a row; default: row numbers"},
    {"model", 0, MPIVF_STRING, AT(model), NULL, 0, 0, "MODEL",
     "use this trained model (lists, metric and seed come from it)"},
    {"part", 0, MPIVF_PAIR, AT(part), NULL, 1, 1e6, "I/N",
     "add only the I-th of N shares of the rows: a shard for merge; needs --model"},
    {"scratch", 0, MPIVF_STRING, AT(scratch), NULL, 0, 0, "DIR",
     "shared folder for the work folder; default: beside INDEX"},
    {"fan-in", 0, MPIVF_INTEGER, AT(fan_in), "16", 2, 1024, "F", "shards joined at once"},
    MPIVF_FORCE_OPTION(AT(force)),
    MPIVF_COMMON_OPTIONS};

static void
show(struct mpivf_call *call, const struct mpivf_built *built)
{
    mpivf_trained_show(call, &built->trained);
    mpivf_call_set(call, "rows", json_integer((json_int_t)built->rows));
    mpivf_call_set(call, "rejected", json_integer((json_int_t)built->rejected));
    mpivf_call_set(call, "reused_rows", json_integer((json_int_t)built->reused_rows));
    mpivf_call_set(call, "shards", json_integer((json_int_t)built->shards));
    mpivf_call_set(call, "merge_rounds", json_integer((json_int_t)built->rounds));
    mpivf_spread_show(call, &built->spread);
    mpivf_call_set(call, "index_bytes", json_integer((json_int_t)built->index_bytes));
    if (built->index_bytes > 0)
        mpivf_call_set(call, "bytes_written_ratio",
                       json_real((double)built->bytes_written / (double)built->index_bytes));
}

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct fields *f = call->fields;
    const char *input = call->operand[0], *path = call->operand[1];
    struct mpivf_built built;
    struct mpivf_build_options o = {.train = mpivf_train_options_of(&f->train),
                                    .model = f->model,
                                    .ids = f->ids,
                                    .scratch = f->scratch,
                                    .codec = (enum mpivf_codec_kind)f->codec,
                                    .store = f->store != 0,
                                    .force = f->force,
                                    .part = f->part[0],
                                    .parts = f->part[1],
                                    .fan_in = (uint64_t)f->fan_in,
                                    .read_mode = (enum mpivf_read_mode)f->train.read_mode};
    if (f->part[1] > 0 && f->model == NULL)
        return mpivf_fail(call->par->ctx, MPIVF_USAGE,
                          "--part needs --model: the parts of an index share one trained model");
    mpivf_status status = mpivf_call_check_all(call, f->model, f->ids);
    if (status)
        return status;
    status = mpivf_build_all(call->par, input, path, &o, &call->report, &built);
    if (status)
        return status;
    show(call, &built);
    mpivf_call_set(call, "index", json_string(path));
    status = mpivf_report_write_all(call->par, &call->report, path, call->line);
    return status ? status : mpivf_build_clean_all(call->par, path, f->scratch);
}

extern const struct mpivf_command mpivf_cmd_build;
const struct mpivf_command mpivf_cmd_build = {
    .name = "build",
    .group = "Index",
    .summary = "train, add all rows and merge: from a dataset to one index file",
    .usage = "FILE[:OBJECT] INDEX [OPTIONS]\n\n"
             "Build INDEX from the rows of a dataset ('train' when not named). All work stays in\n"
             "INDEX.work until the index is whole; the same command again goes on after a kill,\n"
             "with any number of ranks, and gives the same bytes. INDEX.report.json holds\n"
             "seconds, rows, bytes and memory of each phase and rank.",
    .options = options,
    .fields = sizeof(struct fields),
    .least = 2,
    .most = 2,
    .run_all = run_all,
};
