#include "base/then.h"
#include "cmd/train_options.h"

#include <mpivf/report.h>

struct fields {
    struct mpivf_common common;
    struct mpivf_train_options train;
    struct mpivf_reading reading;
    bool force;
};

#define AT(field) offsetof(struct fields, field)

/* clang-format off */
static const struct mpivf_option options[] = {
    MPIVF_TRAIN_OPTIONS(AT(train)),
    MPIVF_HEADING_OPTION("Input and output:"),
    MPIVF_BAD_ROWS_OPTION(AT(train.bad_rows)),
    MPIVF_READING_OPTIONS(AT(reading)),
    MPIVF_FORCE_OPTION(AT(force)),
    MPIVF_COMMON_OPTIONS};
/* clang-format on */

static void
defaults(void *fields)
{
    mpivf_train_options_init(&((struct fields *)fields)->train);
}

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct fields *f = call->fields;
    const struct mpivf_par *par = call->par;
    const char *path = call->operand[1];
    struct mpivf_source source = {0};
    struct mpivf_train_summary trained = {0};
    struct mpivf_call_files files;
    mpivf_call_name(call, &files);
    mpivf_status status = mpivf_outputs_declare_all(&call->outputs, f->force);
    mpivf_memory_credit(par->ctx); /* until training has planned */
    THEN(status, mpivf_source_open_all(&source, par, call->operand[0], "train", f->reading));
    if (status == MPIVF_OK)
        status =
            mpivf_train_file_all(par, &source, files.output, &f->train, &call->report, &trained);
    mpivf_source_close_all(&source);
    mpivf_trained_show(call, &trained);
    if (status == MPIVF_OK && trained.decoded)
        mpivf_call_figure(call, "decode_error", trained.decode_error);
    mpivf_call_set(call, "model", json_string(path));
    THEN(status, mpivf_report_write_all(par, &call->report, files.report, call->line));
    return status;
}

extern const struct mpivf_command mpivf_cmd_train;
const struct mpivf_command mpivf_cmd_train = {
    .name = "train",
    .group = "Index",
    .summary = "train the coarse quantizer: an index without rows",
    .usage = "FILE[:OBJECT] MODEL [OPTIONS]",
    .text = "Draw an unbiased sample of the rows, run k-means over all ranks, and write the "
            "centroids as MODEL, for build --model. The dataset is 'train' when not named.",
    .examples = "  mpirun -n 8 mpivf train base.h5 model.h5 --lists 65536 --sample 4M\n"
                "  mpivf train cells.h5ad:obsm/X_pca model.h5 --metric cosine\n"
                "  mpivf train emb.npy model.h5 --lists 4096 --memory 4G\n",
    .options = options,
    .fields = sizeof(struct fields),
    .defaults = defaults,
    .min = 2,
    .max = 2,
    .run_all = run_all,
};
