#include "cmd/train_options.h"

#include "base/then.h"
#include "codec/codec.h"
#include "io/file.h"
#include "measure/observer.h"

#include <mpivf/report.h>

#include <string.h>

struct fields {
    struct mpivf_common common;
    struct mpivf_build_options build;
    const char *scratch, *truth;
    int64_t part[2], truth_k;
};

#define AT(field) offsetof(struct fields, field)

static const struct mpivf_option options[] = {
    MPIVF_TRAIN_OPTIONS(AT(build.train)),
    {"model", 0, MPIVF_STRING, AT(build.model), 0, 0, "MODEL",
     "do not train, use this model: lists, metric and seed come from it", NULL},
    MPIVF_HEADING_OPTION("Index:"),
    {"codec", 'c', MPIVF_CHOICE, AT(build.codec), 0, 0, NULL, "how rows are stored in lists",
     mpivf_codec_kind_name},
    {"store", 0, MPIVF_EITHER, AT(build.store), 0, 0, "none|source",
     "source: keep the rows too, as float32, for search --rerank", NULL},
    {"ids", 0, MPIVF_STRING, AT(build.ids), 0, 0, "FILE[:OBJECT]",
     "64-bit ids, one a row; default: row numbers", NULL},
    MPIVF_HEADING_OPTION("Input and output:"),
    MPIVF_BAD_ROWS_OPTION(AT(build.train.bad_rows)),
    MPIVF_READING_OPTIONS(AT(build.reading)),
    {"part", 0, MPIVF_PAIR, AT(part), 1, 1e6, "I/N",
     "add only the I-th of N shares of the rows: a shard for merge; needs --model", NULL},
    {"truth", 0, MPIVF_STRING, AT(truth), 0, 0, "QUERIES:OUT",
     "also write to OUT the exact neighbours of QUERIES, from the rows as they are read", NULL},
    {"truth-k", 0, MPIVF_INTEGER, AT(truth_k), 1, 10000, "K", "neighbours of --truth", NULL},
    {"scratch", 0, MPIVF_STRING, AT(scratch), 0, 0, "DIR",
     "shared folder for the work folder; default: beside INDEX", NULL},
    {"fan-in", 0, MPIVF_INTEGER, AT(build.fan_in), 2, 1024, "F", "shards merged at once", NULL},
    MPIVF_START_OVER_OPTION(AT(build.force)),
    MPIVF_COMMON_OPTIONS};

static void
defaults(void *fields)
{
    struct fields *f = fields;
    struct mpivf_truth_options truth;
    mpivf_truth_options_init(&truth);
    mpivf_build_options_init(&f->build);
    f->truth_k = (int64_t)truth.k;
}

static void
show(struct mpivf_call *call, const struct mpivf_build_summary *summary)
{
    mpivf_trained_show(call, &summary->trained);
    mpivf_call_set(call, "rows", json_integer((json_int_t)summary->rows));
    mpivf_call_set(call, "rejected", json_integer((json_int_t)summary->rejected));
    if (summary->too_large > 0)
        mpivf_call_set(call, "rejected_too_large", json_integer((json_int_t)summary->too_large));
    if (summary->decoded)
        mpivf_call_figure(call, "decode_error", summary->decode_error);
    if (summary->coded) {
        mpivf_call_figure(call, "code_error", summary->code_error);
        mpivf_call_set(call, "vanished_values", json_integer((json_int_t)summary->vanished));
    }
    mpivf_call_set(call, "reused_rows", json_integer((json_int_t)summary->reused_rows));
    mpivf_call_set(call, "shards", json_integer((json_int_t)summary->shards));
    mpivf_call_set(call, "merge_rounds", json_integer((json_int_t)summary->rounds));
    mpivf_list_sizes_show(call, &summary->list_sizes);
    mpivf_call_set(call, "slab_difference", json_real(summary->slab_difference));
    mpivf_call_set(call, "slab_difference_expected", json_real(summary->slab_difference_expected));
    mpivf_call_set(call, "index_bytes", json_integer((json_int_t)summary->index_bytes));
    if (summary->index_bytes > 0)
        mpivf_call_set(call, "bytes_written_ratio",
                       json_real((double)summary->bytes_written / (double)summary->index_bytes));
}

/* The truth that is made on the way. */
struct truth {
    char queries[MPIVF_PATH];
    const char *out;
    struct mpivf_truth_files files;
    struct mpivf_truth_options options;
    struct mpivf_observer observer;
    struct mpivf_observer_state *state; /* owned */
    struct mpivf_truth_summary summary;
};

/* Take QUERIES[:OBJECT]:OUT apart. */
static mpivf_status
split_truth(struct mpivf_call *call, struct truth *truth)
{
    const struct fields *f = call->fields;
    struct mpivf_context *ctx = call->par->ctx;
    const char *colon = strrchr(f->truth, ':');
    if (colon == NULL || colon == f->truth || colon[1] == '\0')
        return mpivf_fail(ctx, MPIVF_USAGE, "--truth '%s' is not QUERIES:OUT", f->truth);
    if (f->part[1] > 0)
        return mpivf_fail(ctx, MPIVF_USAGE, "--truth is over all rows: not with --part");
    truth->out = colon + 1;
    return mpivf_path(ctx, truth->queries, "%.*s", (int)(colon - f->truth), f->truth);
}

/* The metric of the index to come. */
static mpivf_status
metric_all(struct mpivf_call *call, enum mpivf_metric *metric)
{
    const struct fields *f = call->fields;
    struct mpivf_index model;
    *metric = f->build.train.metric;
    if (f->build.model == NULL)
        return MPIVF_OK;
    mpivf_status status = mpivf_index_open_all(call->par, f->build.model, &model);
    if (status == MPIVF_OK)
        *metric = model.meta.metric;
    mpivf_index_close(&model);
    return status;
}

/* A build that goes on may have its truth already. */
static void
set_truth_options(const struct fields *f, struct mpivf_truth_options *o)
{
    mpivf_truth_options_init(o);
    o->k = (uint64_t)f->truth_k;
    o->bad_rows = f->build.train.bad_rows;
    o->reading = f->build.reading;
    o->ids = f->build.ids;
    o->force = f->build.force;
    o->again = !f->build.force;
}

static mpivf_status
truth_begin_all(struct mpivf_call *call, struct truth *truth)
{
    mpivf_status status = mpivf_agree_all(call->par, metric_all(call, &truth->options.metric));
    if (status)
        return status;
    return mpivf_observer_begin_all(call->par, call->operand[0], truth->queries, &truth->files,
                                    &truth->options, &call->report, &truth->observer,
                                    &truth->state);
}

/* What the command reads and writes. */
static mpivf_status
declare_all(struct mpivf_call *call, struct truth *truth, struct mpivf_build_files *files,
            struct mpivf_output **report)
{
    const struct fields *f = call->fields;
    struct mpivf_call_files named;
    mpivf_call_name(call, &named);
    *report = named.report;
    *files = (struct mpivf_build_files){.outputs = &call->outputs, .index = named.output};
    files->work =
        mpivf_outputs_folder(&call->outputs, mpivf_output_path(named.output), f->scratch, "work");
    mpivf_outputs_read(&call->outputs, f->build.model);
    mpivf_outputs_read(&call->outputs, f->build.ids);
    if (f->truth) {
        mpivf_status status = split_truth(call, truth);
        if (status)
            return status;
        set_truth_options(f, &truth->options);
        mpivf_outputs_read(&call->outputs, truth->queries);
        mpivf_truth_name(&call->outputs, truth->out, &truth->options, &truth->files);
    }
    return mpivf_outputs_declare_all(&call->outputs, f->build.force);
}

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct fields *f = call->fields;
    const char *input = call->operand[0], *path = call->operand[1];
    struct mpivf_build_summary summary;
    struct mpivf_build_options o = f->build;
    o.part = f->part[0];
    o.parts = f->part[1];
    if (o.parts > 0 && o.model == NULL)
        return mpivf_fail(call->par->ctx, MPIVF_USAGE,
                          "--part needs --model: the parts of an index share one trained model");
    struct truth truth = {.out = NULL};
    struct mpivf_build_files files;
    struct mpivf_output *report;
    mpivf_status status = declare_all(call, &truth, &files, &report);
    THEN(status, mpivf_call_check_fan_in_all(call, o.fan_in));
    if (status == MPIVF_OK && f->truth)
        status = truth_begin_all(call, &truth);
    o.observer = truth.state ? &truth.observer : NULL;
    THEN(status, mpivf_build_all(call->par, input, &files, &o, &call->report, &summary));
    mpivf_observer_end_all(&truth.state);
    if (status == MPIVF_OK && f->truth)
        status = mpivf_truth_all(call->par, input, truth.queries, &truth.files, &truth.options,
                                 &call->report, &truth.summary);
    if (status)
        return status;
    show(call, &summary);
    if (f->truth)
        mpivf_call_set(call, "truth", json_string(truth.out));
    mpivf_call_set(call, "index", json_string(path));
    status = mpivf_report_write_all(call->par, &call->report, report, call->line);
    if (status == MPIVF_OK && f->truth)
        status = mpivf_truth_clean_all(call->par, &truth.files);
    THEN(status, mpivf_build_clean_all(call->par, &files));
    return status;
}

extern const struct mpivf_command mpivf_cmd_build;
const struct mpivf_command mpivf_cmd_build = {
    .name = "build",
    .group = "Index",
    .summary = "train, add all rows and merge: from a dataset to one index file",
    .usage = "FILE[:OBJECT] INDEX [OPTIONS]",
    .text = "Build INDEX from the rows of a dataset ('train' when not named). All work stays "
            "in INDEX.work until the index is whole; the same command again goes on after a "
            "kill, with any number of ranks, and gives the same bytes; another one starts "
            "over there with --force only. INDEX.report.json holds seconds, rows, bytes and "
            "memory of each phase and rank.",
    .examples = "  mpirun -n 8 mpivf build sift.h5:train sift.idx --lists 4096 --memory 8G\n"
                "  mpivf build emb.npy emb.idx --metric cosine --codec f16 --store source\n"
                "  mpivf build base.h5 part-3 --model model.h5 --part 3/8\n",
    .options = options,
    .fields = sizeof(struct fields),
    .defaults = defaults,
    .min = 2,
    .max = 2,
    .run_all = run_all,
};
