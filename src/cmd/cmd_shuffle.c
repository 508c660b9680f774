#include "cmd/command.h"

#include <mpivf/report.h>
#include <mpivf/shuffle.h>

struct fields {
    struct mpivf_common common;
    int64_t seed;
    int read_mode;
    bool force;
};

#define AT(field) offsetof(struct fields, field)

static const struct mpivf_option options[] = {
    {"seed", 0, MPIVF_INTEGER, AT(seed), "1", 0, 1e15, "S", "another seed, another order"},
    MPIVF_READ_OPTION(AT(read_mode)),
    MPIVF_FORCE_OPTION(AT(force)),
    MPIVF_COMMON_OPTIONS};

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct fields *f = call->fields;
    const char *out = call->operand[1];
    struct mpivf_shuffle_made made;
    struct mpivf_shuffle_options o = {.seed = (uint64_t)f->seed,
                                      .reading = {(enum mpivf_read_mode)f->read_mode, false}};
    struct mpivf_call_files files;
    mpivf_call_name(call, &files);
    mpivf_status status = mpivf_outputs_declare_all(&call->outputs, f->force);
    if (status == MPIVF_OK)
        status = mpivf_shuffle_all(call->par, call->operand[0], files.output, &o, &call->report,
                                   &made);
    if (status)
        return status;
    mpivf_call_set(call, "rows", json_integer((json_int_t)made.rows));
    mpivf_call_set(call, "dim", json_integer((json_int_t)made.dim));
    mpivf_call_set(call, "type", json_string(mpivf_type_name(made.type)));
    mpivf_call_set(call, "seed", json_integer(f->seed));
    mpivf_call_set(call, "buckets", json_integer((json_int_t)made.buckets));
    mpivf_call_set(call, "dataset", json_string(made.name));
    mpivf_call_set(call, "file", json_string(out));
    return mpivf_report_write_all(call->par, &call->report, files.report, call->line);
}

extern const struct mpivf_command mpivf_cmd_shuffle;
const struct mpivf_command mpivf_cmd_shuffle = {
    .name = "shuffle",
    .group = "Data",
    .summary = "rewrite a dataset in seeded random order",
    .usage = "INPUT[:OBJECT] OUT.h5 [OPTIONS]\n\n"
             "Write the rows of INPUT ('train' when not named) in random order, in their own type\n"
             "and under their own name, and their row numbers as id, for build --ids OUT.h5:id.\n"
             "Two passes over OUT.h5 itself, whatever the size; the same seed gives the same bytes\n"
             "at any number of ranks and any --memory.",
    .options = options,
    .fields = sizeof(struct fields),
    .least = 2,
    .most = 2,
    .run_all = run_all,
};
