#include "cmd/train_options.h"

#include <mpivf/report.h>

struct fields {
    struct mpivf_common common;
    struct mpivf_train_fields train;
    bool force;
};

static const struct mpivf_option options[] = {
    MPIVF_TRAIN_OPTIONS(offsetof(struct fields, train)),
    MPIVF_FORCE_OPTION(offsetof(struct fields, force)),
    MPIVF_COMMON_OPTIONS};

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct fields *f = call->fields;
    const struct mpivf_par *par = call->par;
    const char *path = call->operand[1];
    struct mpivf_source source = {0};
    struct mpivf_train_options train = mpivf_train_options_of(&f->train);
    struct mpivf_trained trained = {0};
    struct mpivf_call_files files;
    mpivf_call_name(call, &files);
    mpivf_status status = mpivf_outputs_declare_all(&call->outputs, f->force);
    if (status == MPIVF_OK)
        status = mpivf_source_open_all(&source, par, call->operand[0], "train",
                                       mpivf_train_reading_of(&f->train));
    if (status == MPIVF_OK)
        status = mpivf_train_file_all(par, &source, &train, &call->report, files.output,
                                      &trained);
    mpivf_source_close_all(&source);
    mpivf_trained_show(call, &trained);
    if (status == MPIVF_OK && trained.decoded)
        mpivf_call_figure(call, "decode_error", trained.decode_error);
    mpivf_call_set(call, "model", json_string(path));
    return status ? status : mpivf_report_write_all(par, &call->report, files.report, call->line);
}

extern const struct mpivf_command mpivf_cmd_train;
const struct mpivf_command mpivf_cmd_train = {
    .name = "train",
    .group = "Index",
    .summary = "train the coarse quantizer: an index without rows",
    .usage = "FILE[:OBJECT] MODEL [OPTIONS]\n\n"
             "Draw an unbiased sample of the rows, run k-means over all ranks, and write the\n"
             "centroids as MODEL, for build --model. The dataset is 'train' when not named.",
    .options = options,
    .fields = sizeof(struct fields),
    .least = 2,
    .most = 2,
    .run_all = run_all,
};
