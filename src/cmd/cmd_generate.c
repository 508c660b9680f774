#include "cmd/command.h"

#include <mpivf/generate.h>

struct fields {
    struct mpivf_common common;
    int64_t rows, queries, dim, clusters, intrinsic, seed;
    double noise;
    int type;
    bool force;
};

#define AT(field) offsetof(struct fields, field)

static const struct mpivf_option options[] = {
    {"rows", 'n', MPIVF_INTEGER, AT(rows), "200000", 1, 1e12, "N", "rows of /train"},
    {"dim", 'd', MPIVF_INTEGER, AT(dim), "96", 1, MPIVF_MOST_COLUMNS, "D", "columns"},
    {"queries", 0, MPIVF_INTEGER, AT(queries), "1000", 1, 1e9, "N", "rows of /test, not in /train"},
    {"clusters", 0, MPIVF_INTEGER, AT(clusters), "1000", 1, 1e7, "N", "clusters"},
    {"intrinsic", 0, MPIVF_INTEGER, AT(intrinsic), "12", 0, 65536, "N",
     "directions a cluster extends in"},
    {"noise", 0, MPIVF_REAL, AT(noise), "0.3", 0, 1000, "X", "deviation in all other directions"},
    {"type", 0, MPIVF_CHOICE, AT(type), "f32", 0, 0, "f32|f16", "element type"},
    {"seed", 0, MPIVF_INTEGER, AT(seed), "1", 0, 1e15, "S", "another seed, other vectors"},
    MPIVF_FORCE_OPTION(AT(force)),
    MPIVF_COMMON_OPTIONS};

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct fields *f = call->fields;
    struct mpivf_generate_options o = {.rows = (uint64_t)f->rows,
                                       .queries = (uint64_t)f->queries,
                                       .dim = (uint64_t)f->dim,
                                       .clusters = (uint64_t)f->clusters,
                                       .intrinsic = (uint64_t)f->intrinsic,
                                       .seed = (uint64_t)f->seed,
                                       .noise = f->noise,
                                       .type = f->type ? MPIVF_F16 : MPIVF_F32};
    struct mpivf_output *out = mpivf_outputs_write(&call->outputs, call->operand[0]);
    mpivf_status status = mpivf_outputs_declare_all(&call->outputs, f->force);
    if (status == MPIVF_OK)
        status = mpivf_generate_all(call->par, out, &o, &call->report);
    mpivf_call_set(call, "rows", json_integer(f->rows));
    mpivf_call_set(call, "queries", json_integer(f->queries));
    mpivf_call_set(call, "file", json_string(call->operand[0]));
    return status;
}

extern const struct mpivf_command mpivf_cmd_generate;
const struct mpivf_command mpivf_cmd_generate = {
    .name = "generate",
    .group = "Data",
    .summary = "make clustered vectors to try things on",
    .usage = "OUT.h5 [OPTIONS]\n\n"
             "Write /train and /test of clustered vectors of low intrinsic dimension, by all ranks.\n"
             "The same options give the same bytes at any number of ranks.",
    .options = options,
    .fields = sizeof(struct fields),
    .least = 1,
    .most = 1,
    .run_all = run_all,
};
