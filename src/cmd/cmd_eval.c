#include "cmd/command.h"

#include <mpivf/eval.h>

#include <math.h>
#include <string.h>

struct fields {
    struct mpivf_common common;
    double min_recall;
};

static const struct mpivf_option options[] = {
    {"min-recall", 0, MPIVF_REAL, offsetof(struct fields, min_recall), 0, 1, "R",
     "exit with 3 when the recall at the largest k, tie-aware where shown, is below R", NULL},
    MPIVF_COMMON_OPTIONS};

static void
print_share(const json_t *row, const char *name)
{
    const json_t *share = json_object_get(row, name);
    if (json_is_real(share))
        printf(" %12.4f", json_real_value(share));
    else
        printf(" %12s", "-");
}

static void
print_table(const json_t *result)
{
    size_t i;
    json_t *row;
    printf("%8s %12s %12s %12s\n", "k", "id recall", "tie-aware", "worst query");
    json_array_foreach (json_object_get(result, "recall"), i, row) {
        printf("%8lld", (long long)json_integer_value(json_object_get(row, "k")));
        print_share(row, "id_recall");
        print_share(row, "tie_recall");
        print_share(row, "worst_query");
        putchar('\n');
    }
    const json_t *ratio = json_object_get(result, "distance_ratio");
    const char *converted = json_string_value(json_object_get(result, "converted"));
    printf("%lld queries", (long long)json_integer_value(json_object_get(result, "queries")));
    if (json_is_real(ratio))
        printf(", distances %.6f times the true ones", json_real_value(ratio));
    if (converted)
        printf(" (converted from %s)", converted);
    if (strcmp(json_string_value(json_object_get(result, "counted")), "ids") == 0)
        printf(", counted by ids only");
    putchar('\n');
}

/* A number, or null for NaN. */
static json_t *
number_json(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void
show(struct mpivf_call *call, const struct mpivf_eval_summary *eval)
{
    json_t *table = json_array();
    for (int i = 0; i < eval->depths; i++)
        json_array_append_new(table,
                              json_pack("{s:I, s:f, s:o, s:f}", "k", (json_int_t)eval->at[i].k,
                                        "id_recall", eval->at[i].id_recall, "tie_recall",
                                        number_json(eval->at[i].tie_recall), "worst_query",
                                        eval->at[i].worst));
    mpivf_call_set(call, "queries", json_integer((json_int_t)eval->queries));
    mpivf_call_set(call, "queries_without_truth", json_integer((json_int_t)eval->silent));
    mpivf_call_set(call, "counted", json_string(mpivf_eval_counted_name(eval->counted)));
    mpivf_call_set(call, "converted", eval->converted ? json_string(eval->converted) : json_null());
    mpivf_call_set(call, "common_ids", json_integer((json_int_t)eval->common));
    mpivf_call_set(call, "unequal_distances", json_integer((json_int_t)eval->unequal));
    mpivf_call_set(call, "recall", table);
    mpivf_call_set(call, "distance_ratio", number_json(eval->mean_distance_ratio));
}

static mpivf_status
check_recall(struct mpivf_context *ctx, const struct mpivf_eval_summary *eval, double min)
{
    bool ids = eval->counted == MPIVF_EVAL_IDS;
    int last = eval->depths - 1;
    double recall = ids ? eval->at[last].id_recall : eval->at[last].tie_recall;
    if (recall >= min)
        return MPIVF_OK;
    return mpivf_fail(ctx, MPIVF_BELOW, "%srecall@%llu is %.4f, below --min-recall %g",
                      ids ? "id " : "", (unsigned long long)eval->at[last].k, recall, min);
}

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct fields *f = call->fields;
    const struct mpivf_par *par = call->par;
    struct mpivf_eval_summary eval;
    mpivf_status status = MPIVF_OK;
    if (par->rank == 0) {
        status = mpivf_eval_files(par->ctx, call->operand[0], call->operand[1], &eval);
        if (status == MPIVF_OK) {
            show(call, &eval);
            status = check_recall(par->ctx, &eval, f->min_recall);
        }
    }
    return mpivf_agree_all(par, status);
}

extern const struct mpivf_command mpivf_cmd_eval;
const struct mpivf_command mpivf_cmd_eval = {
    .name = "eval",
    .group = "Quality",
    .summary = "recall of a search result against the truth",
    .usage = "RESULT TRUTH [OPTIONS]",
    .text = "Compare two files with neighbors and distances (of mpivf or ann-benchmarks). id "
            "recall counts equal ids; tie-aware recall counts rows that are as near as the "
            "k-th. Distances are compared only when those of ids in both files are equal, as "
            "they are or converted (squared, with the other sign, 1 - x...); else only ids "
            "are counted, and a note says why.",
    .examples = "  mpivf eval result.h5 truth.h5\n"
                "  mpivf eval result.h5 truth.h5 --min-recall 0.95 || exit 1\n"
                "  mpivf eval result.h5 sift-128-euclidean.hdf5 --json\n",
    .options = options,
    .fields = sizeof(struct fields),
    .min = 2,
    .max = 2,
    .run_all = run_all,
    .print = print_table,
};
