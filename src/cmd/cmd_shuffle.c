#include "base/then.h"
#include "cmd/command.h"

#include <mpivf/report.h>
#include <mpivf/shuffle.h>

struct fields {
    struct mpivf_common common;
    struct mpivf_shuffle_options shuffle;
    bool force;
};

#define AT(field) offsetof(struct fields, field)

/* clang-format off */
static const struct mpivf_option options[] = {
    {"seed", 0, MPIVF_INTEGER, AT(shuffle.seed), 0, 1e15, "S", "another seed gives another order",
     NULL},
    MPIVF_READ_OPTION(AT(shuffle.reading)),
    MPIVF_FORCE_OPTION(AT(force)),
    MPIVF_COMMON_OPTIONS};
/* clang-format on */

static void
defaults(void *fields)
{
    mpivf_shuffle_options_init(&((struct fields *)fields)->shuffle);
}

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct fields *f = call->fields;
    const char *out = call->operand[1];
    struct mpivf_shuffle_summary summary;
    struct mpivf_call_files files;
    mpivf_call_name(call, &files);
    mpivf_status status = mpivf_outputs_declare_all(&call->outputs, f->force);
    THEN(status, mpivf_shuffle_all(call->par, call->operand[0], files.output, &f->shuffle,
                                   &call->report, &summary));
    if (status)
        return status;
    mpivf_call_set(call, "rows", json_integer((json_int_t)summary.rows));
    mpivf_call_set(call, "dim", json_integer((json_int_t)summary.dim));
    mpivf_call_set(call, "type", json_string(mpivf_type_name(summary.type)));
    mpivf_call_set(call, "seed", json_integer((json_int_t)f->shuffle.seed));
    mpivf_call_set(call, "buckets", json_integer((json_int_t)summary.buckets));
    mpivf_call_set(call, "dataset", json_string(summary.name));
    mpivf_call_set(call, "file", json_string(out));
    return mpivf_report_write_all(call->par, &call->report, files.report, call->line);
}

extern const struct mpivf_command mpivf_cmd_shuffle;
const struct mpivf_command mpivf_cmd_shuffle = {
    .name = "shuffle",
    .group = "Data",
    .summary = "rewrite a dataset in seeded random order",
    .usage = "INPUT[:OBJECT] OUT.h5 [OPTIONS]",
    .text = "Write the rows of INPUT ('train' when not named) in random order, in their own "
            "type and under their own name, and their row numbers as id, for build --ids "
            "OUT.h5:id. Two passes over OUT.h5 itself, whatever the size; the same seed gives "
            "the same bytes at any number of ranks and any --memory.",
    .examples = "  mpirun -n 8 mpivf shuffle big.h5:train mixed.h5 --seed 7\n"
                "  mpivf shuffle emb.npy mixed.h5 --memory 2G\n"
                "  mpivf build mixed.h5 mixed.idx --ids mixed.h5:id\n",
    .options = options,
    .fields = sizeof(struct fields),
    .defaults = defaults,
    .min = 2,
    .max = 2,
    .run_all = run_all,
};
