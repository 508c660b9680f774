#include "base/then.h"
#include "cmd/command.h"

#include <mpivf/generate.h>

struct fields {
    struct mpivf_common common;
    struct mpivf_generate_options generate;
    bool half, force;
};

#define AT(field) offsetof(struct fields, field)

static const struct mpivf_option options[] = {
    {"rows", 'n', MPIVF_INTEGER, AT(generate.rows), 1, 1e12, "N", "rows of /train", NULL},
    {"dim", 'd', MPIVF_INTEGER, AT(generate.dim), 1, MPIVF_MAX_COLUMNS, "D", "columns", NULL},
    {"queries", 0, MPIVF_INTEGER, AT(generate.queries), 1, 1e9, "N", "rows of /test, not in /train",
     NULL},
    {"clusters", 0, MPIVF_INTEGER, AT(generate.clusters), 1, 1e7, "N", "clusters", NULL},
    {"intrinsic", 0, MPIVF_INTEGER, AT(generate.intrinsic), 0, 65536, "N",
     "directions a cluster extends in", NULL},
    {"noise", 0, MPIVF_REAL, AT(generate.noise), 0, 1000, "X", "deviation in all other directions",
     NULL},
    {"type", 0, MPIVF_EITHER, AT(half), 0, 0, "f32|f16", "element type", NULL},
    {"seed", 0, MPIVF_INTEGER, AT(generate.seed), 0, 1e15, "S", "another seed gives other vectors",
     NULL},
    MPIVF_FORCE_OPTION(AT(force)),
    MPIVF_COMMON_OPTIONS};

static void
defaults(void *fields)
{
    mpivf_generate_options_init(&((struct fields *)fields)->generate);
}

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct fields *f = call->fields;
    struct mpivf_generate_options o = f->generate;
    o.type = f->half ? MPIVF_F16 : MPIVF_F32;
    struct mpivf_output *out = mpivf_outputs_write(&call->outputs, call->operand[0]);
    mpivf_status status = mpivf_outputs_declare_all(&call->outputs, f->force);
    THEN(status, mpivf_generate_all(call->par, out, &o, &call->report));
    mpivf_call_set(call, "rows", json_integer((json_int_t)o.rows));
    mpivf_call_set(call, "queries", json_integer((json_int_t)o.queries));
    mpivf_call_set(call, "file", json_string(call->operand[0]));
    return status;
}

extern const struct mpivf_command mpivf_cmd_generate;
const struct mpivf_command mpivf_cmd_generate = {
    .name = "generate",
    .group = "Data",
    .summary = "make clustered vectors to try things on",
    .usage = "OUT.h5 [OPTIONS]",
    .text = "Write /train and /test of clustered vectors of low intrinsic dimension, by all "
            "ranks. The same options give the same bytes at any number of ranks.",
    .examples = "  mpivf generate try.h5\n"
                "  mpirun -n 8 mpivf generate big.h5 -n 100M -d 96 --type f16\n"
                "  mpivf generate wide.h5 -n 50K -d 3072 --clusters 200\n",
    .options = options,
    .fields = sizeof(struct fields),
    .defaults = defaults,
    .min = 1,
    .max = 1,
    .run_all = run_all,
};
