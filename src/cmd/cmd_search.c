#include "base/then.h"
#include "cmd/command.h"

#include <mpivf/report.h>
#include <mpivf/search.h>

struct fields {
    struct mpivf_common common;
    struct mpivf_search_options search;
    bool force;
};

#define AT(field) offsetof(struct fields, field)

static const struct mpivf_option options[] = {
    MPIVF_HEADING_OPTION("Question:"),
    {"neighbours", 'k', MPIVF_INTEGER, AT(search.k), 1, 10000, "K", "neighbours of a query", NULL},
    {"queries", 0, MPIVF_INTEGER, AT(search.queries), 1, 1e9, "N",
     "only N of the queries, evenly spread; default: all", NULL},
    {"probes", 'p', MPIVF_INTEGER, AT(search.probes), 1, MPIVF_MAX_LISTS, "P",
     "lists a query looks into; default: 16", NULL},
    {"recall", 'r', MPIVF_REAL, AT(search.recall), 0, 1, "R",
     "instead of --probes: as many as give this recall on 100 of the queries", NULL},
    {"rerank", 0, MPIVF_INTEGER, AT(search.rerank), 1, 100000, "N",
     "compare the N best again with their raw rows (build --store source)", NULL},
    MPIVF_HEADING_OPTION("Input and output:"),
    MPIVF_READING_OPTIONS(AT(search.reading)),
    MPIVF_FORCE_OPTION(AT(force)),
    MPIVF_COMMON_OPTIONS};

static void
defaults(void *fields)
{
    mpivf_search_options_init(&((struct fields *)fields)->search);
}

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct fields *f = call->fields;
    const char *out = call->operand[2];
    struct mpivf_search_summary summary;
    const struct mpivf_search_options *o = &f->search;
    struct mpivf_call_files files;
    if (o->probes > 0 && o->recall > 0)
        return mpivf_fail(call->par->ctx, MPIVF_USAGE, "--probes and --recall exclude each other");
    mpivf_call_name(call, &files);
    mpivf_status status = mpivf_outputs_declare_all(&call->outputs, f->force);
    THEN(status, mpivf_search_all(call->par, call->operand[0], call->operand[1], files.output, o,
                                  &call->report, &summary));
    if (status)
        return status;
    mpivf_call_set(call, "queries", json_integer((json_int_t)summary.queries));
    mpivf_call_set(call, "k", json_integer((json_int_t)o->k));
    mpivf_call_set(call, "probes", json_integer((json_int_t)summary.probes));
    mpivf_call_set(call, "lists", json_integer((json_int_t)summary.lists));
    if (o->recall > 0)
        mpivf_call_set(call, "expected_recall", json_real(summary.expected_recall));
    if (summary.decoded)
        mpivf_call_figure(call, "decode_error", summary.decode_error);
    mpivf_call_set(call, "pairs_scanned", json_integer((json_int_t)summary.rows_scanned));
    mpivf_call_set(call, "seconds", json_real(call->report.phase[call->report.phases - 1].seconds));
    mpivf_call_set(call, "result", json_string(out));
    return mpivf_report_write_all(call->par, &call->report, files.report, call->line);
}

extern const struct mpivf_command mpivf_cmd_search;
const struct mpivf_command mpivf_cmd_search = {
    .name = "search",
    .group = "Index",
    .summary = "search a batch of queries",
    .usage = "INDEX QUERIES[:OBJECT] OUT [OPTIONS]",
    .text = "Write the nearest rows of INDEX for each of QUERIES ('test' when not named), in "
            "the layout of ann-benchmarks. Each list is read once for all queries that probe "
            "it.",
    .examples = "  mpirun -n 8 mpivf search sift.idx sift.h5:test result.h5 -k 100 --probes 32\n"
                "  mpivf search sift.idx sift.h5:test result.h5 --recall 0.95\n"
                "  mpivf search emb.idx queries.npy result.h5 --rerank 200\n",
    .options = options,
    .fields = sizeof(struct fields),
    .defaults = defaults,
    .min = 3,
    .max = 3,
    .run_all = run_all,
};
