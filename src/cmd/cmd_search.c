#include "cmd/command.h"

#include <mpivf/report.h>
#include <mpivf/search.h>

struct fields {
    struct mpivf_common common;
    int64_t k, queries, probes, rerank;
    double recall;
    int read_mode, unwritten;
    bool force;
};

#define AT(field) offsetof(struct fields, field)

static const struct mpivf_option options[] = {
    {"neighbours", 'k', MPIVF_INTEGER, AT(k), "10", 1, 10000, "K", "neighbours of a query"},
    {"queries", 0, MPIVF_INTEGER, AT(queries), NULL, 1, 1e9, "N",
     "only N of the queries, evenly spread; default: all"},
    {"probes", 'p', MPIVF_INTEGER, AT(probes), NULL, 1, 1048576, "P",
     "lists a query looks into; default: 16"},
    {"recall", 'r', MPIVF_REAL, AT(recall), NULL, 0, 1, "R",
     "instead of --probes: as many as give this recall on 100 of the queries"},
    {"rerank", 0, MPIVF_INTEGER, AT(rerank), NULL, 1, 100000, "N",
     "compare the N best again with their raw rows (build --store source)"},
    MPIVF_READ_OPTION(AT(read_mode)),
    MPIVF_UNWRITTEN_OPTION(AT(unwritten)),
    MPIVF_FORCE_OPTION(AT(force)),
    MPIVF_COMMON_OPTIONS};

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct fields *f = call->fields;
    const char *out = call->operand[2];
    struct mpivf_searched searched;
    struct mpivf_search_options o = {.k = (uint64_t)f->k,
                                     .queries = (uint64_t)f->queries,
                                     .probes = f->probes ? (uint64_t)f->probes : 16,
                                     .recall = f->recall,
                                     .rerank = (uint64_t)f->rerank,
                                     .reading = {(enum mpivf_read_mode)f->read_mode,
                                                 f->unwritten != 0}};
    struct mpivf_call_files files;
    if (f->probes > 0 && f->recall > 0)
        return mpivf_fail(call->par->ctx, MPIVF_USAGE, "--probes and --recall exclude each other");
    mpivf_call_name(call, &files);
    mpivf_status status = mpivf_outputs_declare_all(&call->outputs, f->force);
    if (status == MPIVF_OK)
        status = mpivf_search_all(call->par, call->operand[0], call->operand[1], files.output, &o,
                                  &call->report, &searched);
    if (status)
        return status;
    mpivf_call_set(call, "queries", json_integer((json_int_t)searched.queries));
    mpivf_call_set(call, "k", json_integer(f->k));
    mpivf_call_set(call, "probes", json_integer((json_int_t)searched.probes));
    mpivf_call_set(call, "lists", json_integer((json_int_t)searched.lists));
    if (f->recall > 0)
        mpivf_call_set(call, "expected_recall", json_real(searched.expected_recall));
    if (searched.decoded)
        mpivf_call_figure(call, "decode_error", searched.decode_error);
    mpivf_call_set(call, "pairs_scanned", json_integer((json_int_t)searched.rows_scanned));
    mpivf_call_set(call, "seconds", json_real(call->report.phase[call->report.phases - 1].seconds));
    mpivf_call_set(call, "result", json_string(out));
    return mpivf_report_write_all(call->par, &call->report, files.report, call->line);
}

extern const struct mpivf_command mpivf_cmd_search;
const struct mpivf_command mpivf_cmd_search = {
    .name = "search",
    .group = "Index",
    .summary = "search a batch of queries",
    .usage = "INDEX QUERIES[:OBJECT] OUT [OPTIONS]\n\n"
             "Write the nearest rows of INDEX for each of QUERIES ('test' when not named), in the\n"
             "layout of ann-benchmarks. Each list is read once for all queries that probe it.",
    .options = options,
    .fields = sizeof(struct fields),
    .least = 3,
    .most = 3,
    .run_all = run_all,
};
