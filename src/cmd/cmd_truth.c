#include "base/then.h"
#include "cmd/command.h"

#include <mpivf/report.h>
#include <mpivf/truth.h>

#include <stdlib.h>
#include <string.h>

enum { NAMES = 256 };

struct fields {
    struct mpivf_common common;
    struct mpivf_truth_options truth;
    const char *prefix, *also;
};

#define AT(field) offsetof(struct fields, field)

/* clang-format off */
static const struct mpivf_option options[] = {
    MPIVF_HEADING_OPTION("Question:"),
    {"neighbours", 'k', MPIVF_INTEGER, AT(truth.k), 1, 10000, "K", "neighbours of a query", NULL},
    MPIVF_METRIC_OPTION(AT(truth.metric)),
    {"queries", 0, MPIVF_INTEGER, AT(truth.queries), 1, 2e9, "N",
     "only N of the queries, evenly spread; default: all", NULL},
    {"self", 0, MPIVF_FLAG, AT(truth.self), 0, 0, "",
     "the queries are the rows of BASE, each left out of its own neighbours; no QUERIES "
     "then", NULL},
    {"prefix", 0, MPIVF_STRING, AT(prefix), 0, 0, "N,N,...",
     "one truth for the first N rows each (100K, 1M, 1G), ascending: OUT-N", NULL},
    MPIVF_HEADING_OPTION("Input and output:"),
    {"ids", 0, MPIVF_STRING, AT(truth.ids), 0, 0, "FILE[:OBJ]",
     "one 64-bit id a row; default: row numbers", NULL},
    {"also", 0, MPIVF_STRING, AT(also), 0, 0, "xbin,vecs",
     "write the same neighbours in other formats too: OUT.bin (big-ann), OUT.ivecs and OUT.fvecs",
     NULL},
    MPIVF_BAD_ROWS_OPTION(AT(truth.bad_rows)),
    MPIVF_READING_OPTIONS(AT(truth.reading)),
    {"checkpoint", 0, MPIVF_REAL, AT(truth.checkpoint), 0, 86400, "SECONDS",
     "keep progress so often; 0: after every read", NULL},
    MPIVF_START_OVER_OPTION(AT(truth.force)),
    MPIVF_COMMON_OPTIONS};
/* clang-format on */

static void
defaults(void *fields)
{
    mpivf_truth_options_init(&((struct fields *)fields)->truth);
}

/* Take "1M,10M" apart in `names`, which the options then point into. */
static mpivf_status
read_prefixes(struct mpivf_context *ctx, const char *text, char names[NAMES],
              struct mpivf_truth_options *o)
{
    if (text == NULL)
        return MPIVF_OK;
    if (strlen(text) >= NAMES)
        return mpivf_fail(ctx, MPIVF_USAGE, "--prefix is too long");
    strcpy(names, text);
    char *rest = names;
    for (char *name = strsep(&rest, ","); name; name = strsep(&rest, ",")) {
        if (o->prefixes == MPIVF_PREFIXES)
            return mpivf_fail(ctx, MPIVF_USAGE, "--prefix takes at most %d numbers",
                              MPIVF_PREFIXES);
        int64_t rows;
        if (strchr(name, '/') || !mpivf_option_count(name, &rows) || rows <= 0)
            return mpivf_fail(ctx, MPIVF_USAGE,
                              "--prefix '%s' is no number of rows like 250000, 100K, "
                              "1M",
                              name);
        o->prefix[o->prefixes] = (uint64_t)rows;
        if (o->prefixes > 0 && o->prefix[o->prefixes] <= o->prefix[o->prefixes - 1])
            return mpivf_fail(ctx, MPIVF_USAGE, "--prefix takes numbers of rows that ascend");
        o->prefix_name[o->prefixes++] = name;
    }
    return MPIVF_OK;
}

static mpivf_status
read_also(struct mpivf_context *ctx, const char *text, int *also)
{
    char names[NAMES];
    if (text == NULL)
        return MPIVF_OK;
    snprintf(names, sizeof names, "%s", text);
    char *rest = names;
    for (char *name = strsep(&rest, ","); name; name = strsep(&rest, ",")) {
        if (strcmp(name, "xbin") == 0)
            *also |= MPIVF_TRUTH_XBIN;
        else if (strcmp(name, "vecs") == 0)
            *also |= MPIVF_TRUTH_VECS;
        else
            return mpivf_fail(ctx, MPIVF_USAGE, "--also '%s' is none of xbin, vecs", name);
    }
    return MPIVF_OK;
}

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct fields *f = call->fields;
    struct mpivf_context *ctx = call->par->ctx;
    const char *out = call->operand[call->operands - 1];
    char names[NAMES];
    struct mpivf_truth_summary summary;
    struct mpivf_truth_files files;
    struct mpivf_truth_options o = f->truth;
    mpivf_status status = read_prefixes(ctx, f->prefix, names, &o);
    THEN(status, read_also(ctx, f->also, &o.also));
    if (status == MPIVF_OK && call->operands != (o.self ? 2 : 3))
        status = mpivf_fail(ctx, MPIVF_USAGE,
                            o.self ? "--self takes BASE and OUT only"
                                   : "expected BASE, QUERIES and OUT");
    if (status == MPIVF_OK && o.self && o.ids)
        status = mpivf_fail(ctx, MPIVF_USAGE, "--self and --ids exclude each other");
    if (status == MPIVF_OK && o.self && o.bad_rows == MPIVF_BAD_ROWS_SKIP)
        status = mpivf_fail(ctx, MPIVF_USAGE,
                            "--self and --bad-rows skip exclude each other: a bad row "
                            "has no neighbours; leave such rows out of BASE");
    if (status)
        return status;
    for (int i = 0; i < call->operands - 1; i++)
        mpivf_outputs_read(&call->outputs, call->operand[i]);
    mpivf_outputs_read(&call->outputs, o.ids);
    mpivf_truth_name(&call->outputs, out, &o, &files);
    struct mpivf_output *report = mpivf_outputs_report(
        &call->outputs, o.prefixes == 0 ? mpivf_output_path(files.output[0]) : out);
    status = mpivf_outputs_declare_all(&call->outputs, o.force);
    THEN(status, mpivf_truth_all(call->par, call->operand[0], o.self ? NULL : call->operand[1],
                                 &files, &o, &call->report, &summary));
    if (status)
        return status;
    mpivf_call_set(call, "queries", json_integer((json_int_t)summary.queries));
    mpivf_call_set(call, "k", json_integer((json_int_t)o.k));
    mpivf_call_set(call, "rows", json_integer((json_int_t)summary.rows));
    mpivf_call_set(call, "rejected", json_integer((json_int_t)summary.rejected));
    mpivf_call_set(call, "passes", json_integer((json_int_t)summary.passes));
    mpivf_call_set(call, "reused_rows", json_integer((json_int_t)summary.reused_rows));
    mpivf_call_set(call, "queries_in_base", json_integer((json_int_t)summary.duplicates));
    mpivf_call_set(call, "filter", json_string(summary.filter));
    mpivf_call_set(call, "axes", json_integer((json_int_t)summary.axes));
    mpivf_call_set(call, "computed_per_neighbour", json_real(summary.survivors));
    mpivf_call_set(call, "truth", json_string(out));
    status = mpivf_report_write_all(call->par, &call->report, report, call->line);
    THEN(status, mpivf_truth_clean_all(call->par, &files));
    return status;
}

extern const struct mpivf_command mpivf_cmd_truth;
const struct mpivf_command mpivf_cmd_truth = {
    .name = "truth",
    .group = "Quality",
    .summary = "exact neighbours, to judge a search by",
    .usage = "BASE[:OBJECT] QUERIES[:OBJECT] OUT [OPTIONS]\n"
             "       mpivf truth BASE[:OBJECT] OUT --self [OPTIONS]",
    .text = "Write the exact nearest rows of BASE ('train' when not named) for each of "
            "QUERIES ('test'), in the layout of ann-benchmarks: neighbors and distances, and "
            "for each query ties (rows exactly as far as the last neighbour) and duplicates "
            "(rows equal to it). l2 distances are not squared; ip is the negative inner "
            "product; ties go to the smaller id. Progress is kept in OUT.work: the same "
            "command again goes on from there, with any number of ranks.",
    .examples = "  mpirun -n 8 mpivf truth sift.h5:train sift.h5:test truth.h5 -k 100\n"
                "  mpivf truth cells.h5ad:obsm/X_pca knn.h5 --self -k 15\n"
                "  mpirun -n 8 mpivf truth base.h5 q.h5 gt.h5 --prefix 1M,10M,100M --also xbin\n",
    .options = options,
    .fields = sizeof(struct fields),
    .defaults = defaults,
    .min = 2,
    .max = 3,
    .run_all = run_all,
};
