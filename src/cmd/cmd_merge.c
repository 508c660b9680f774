#include "base/then.h"
#include "cmd/command.h"

#include <mpivf/build.h>
#include <mpivf/report.h>

struct fields {
    struct mpivf_common common;
    struct mpivf_merge_options merge;
    const char *scratch;
    bool force;
};

#define AT(field) offsetof(struct fields, field)

static const struct mpivf_option options[] = {
    {"fan-in", 0, MPIVF_INTEGER, AT(merge.fan_in), 2, 1024, "F", "shards merged at once", NULL},
    {"scratch", 0, MPIVF_STRING, AT(scratch), 0, 0, "DIR",
     "shared folder for intermediate shards; default: beside OUT", NULL},
    {"partial", 0, MPIVF_FLAG, AT(merge.partial), 0, 0, "",
     "allow rows of the source to be missing: OUT is then a shard", NULL},
    MPIVF_FORCE_OPTION(AT(force)),
    MPIVF_COMMON_OPTIONS};

static void
defaults(void *fields)
{
    mpivf_merge_options_init(&((struct fields *)fields)->merge);
}

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct fields *f = call->fields;
    uint64_t inputs = (uint64_t)call->operands - 1;
    const char *path = call->operand[inputs];
    struct mpivf_build_summary summary;
    const struct mpivf_merge_options *o = &f->merge;
    struct mpivf_call_files named;
    mpivf_call_name(call, &named);
    struct mpivf_build_files files = {.outputs = &call->outputs, .index = named.output};
    files.work =
        mpivf_outputs_folder(&call->outputs, mpivf_output_path(named.output), f->scratch, "merge");
    mpivf_status status = mpivf_outputs_declare_all(&call->outputs, f->force);
    THEN(status, mpivf_call_check_fan_in_all(call, inputs < o->fan_in ? inputs : o->fan_in));
    THEN(status, mpivf_merge_files_all(call->par, call->operand, inputs, &files, o, &call->report,
                                       &summary));
    if (status)
        return status;
    mpivf_call_set(call, "rows", json_integer((json_int_t)summary.rows));
    mpivf_call_set(call, "rejected", json_integer((json_int_t)summary.rejected));
    mpivf_call_set(call, "shards", json_integer((json_int_t)summary.shards));
    mpivf_call_set(call, "merge_rounds", json_integer((json_int_t)summary.rounds));
    mpivf_call_set(call, "source_versions", json_integer((json_int_t)summary.versions));
    mpivf_call_set(call, "index_bytes", json_integer((json_int_t)summary.index_bytes));
    mpivf_call_set(call, "index", json_string(path));
    return mpivf_report_write_all(call->par, &call->report, named.report, call->line);
}

extern const struct mpivf_command mpivf_cmd_merge;
const struct mpivf_command mpivf_cmd_merge = {
    .name = "merge",
    .group = "Index",
    .summary = "join the shards of a job array into one index",
    .usage = "SHARD... OUT [OPTIONS]",
    .text = "Join shards made by build --part with one model from one source. Every row has "
            "to be in exactly one shard; a missing, damaged or foreign shard is an error. The "
            "inputs stay; more than --fan-in are joined by way of the folder OUT.merge. OUT "
            "has the bytes that one build of all rows would have given. Shards of a source "
            "that had another size or time are noted.",
    .examples = "  mpirun -n 4 mpivf merge part-1 part-2 part-3 part-4 base.idx\n"
                "  mpirun -n 4 mpivf merge part-* base.idx --scratch /scratch\n"
                "  mpivf merge part-1 part-2 half.idx --partial\n",
    .options = options,
    .fields = sizeof(struct fields),
    .defaults = defaults,
    .min = 2,
    .max = MPIVF_OPERANDS,
    .run_all = run_all,
};
