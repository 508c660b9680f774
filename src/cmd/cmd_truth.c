#include "cmd/command.h"

#include <mpivf/report.h>
#include <mpivf/truth.h>

struct fields {
    struct mpivf_common common;
    int64_t k, queries;
    int metric, bad_rows, read_mode;
    bool force;
};

#define AT(field) offsetof(struct fields, field)

static const struct mpivf_option options[] = {
    {"neighbours", 'k', MPIVF_INTEGER, AT(k), "100", 1, 10000, "K", "neighbours of a query"},
    {"queries", 0, MPIVF_INTEGER, AT(queries), NULL, 1, 1e9, "N",
     "only N of the queries, evenly spread; default: all"},
    MPIVF_METRIC_OPTION(AT(metric)),
    MPIVF_BAD_ROWS_OPTION(AT(bad_rows)),
    MPIVF_READ_OPTION(AT(read_mode)),
    MPIVF_FORCE_OPTION(AT(force)),
    MPIVF_COMMON_OPTIONS};

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct fields *f = call->fields;
    const char *out = call->operand[2];
    struct mpivf_truth_made made;
    struct mpivf_truth_options o = {.k = (uint64_t)f->k,
                                    .queries = (uint64_t)f->queries,
                                    .metric = (enum mpivf_metric)f->metric,
                                    .bad_rows = (enum mpivf_bad_rows)f->bad_rows,
                                    .read_mode = (enum mpivf_read_mode)f->read_mode,
                                    .force = f->force};
    mpivf_status status = mpivf_call_check_all(call, NULL, NULL);
    if (status)
        return status;
    status = mpivf_truth_all(call->par, call->operand[0], call->operand[1], out, &o,
                                          &call->report, &made);
    if (status)
        return status;
    mpivf_call_set(call, "queries", json_integer((json_int_t)made.queries));
    mpivf_call_set(call, "k", json_integer(f->k));
    mpivf_call_set(call, "rows", json_integer((json_int_t)made.rows));
    mpivf_call_set(call, "rejected", json_integer((json_int_t)made.rejected));
    mpivf_call_set(call, "passes", json_integer((json_int_t)made.passes));
    mpivf_call_set(call, "truth", json_string(out));
    return mpivf_report_write_all(call->par, &call->report, out, call->line);
}

extern const struct mpivf_command mpivf_cmd_truth;
const struct mpivf_command mpivf_cmd_truth = {
    .name = "truth",
    .group = "Quality",
    .summary = "exact neighbours, to judge a search by",
    .usage = "BASE[:OBJECT] QUERIES[:OBJECT] OUT [OPTIONS]\n\n"
             "Write the exact nearest rows of BASE ('train' when not named) for each of QUERIES\n"
             "('test'), in the layout of ann-benchmarks: neighbors and distances. l2 distances are\n"
             "not squared; ip is the negative inner product; ties go to the smaller id.",
    .options = options,
    .fields = sizeof(struct fields),
    .least = 3,
    .most = 3,
    .run_all = run_all,
};
