#include "cmd/command.h"

#include <mpivf/eval.h>

#include <math.h>

struct fields {
    struct mpivf_common common;
    double min_recall;
};

static const struct mpivf_option options[] = {
    {"min-recall", 0, MPIVF_REAL, offsetof(struct fields, min_recall), NULL, 0, 1, "R",
     "exit with 3 when the tie-aware recall at the largest k is below R"},
    MPIVF_COMMON_OPTIONS};

static void
print_table(const json_t *result)
{
    size_t i;
    json_t *row;
    printf("%8s %12s %12s %12s\n", "k", "id recall", "tie-aware", "worst query");
    json_array_foreach(json_object_get(result, "recall"), i, row)
        printf("%8lld %12.4f %12.4f %12.4f\n",
               (long long)json_integer_value(json_object_get(row, "k")),
               json_real_value(json_object_get(row, "id_recall")),
               json_real_value(json_object_get(row, "tie_recall")),
               json_real_value(json_object_get(row, "worst_query")));
    const json_t *ratio = json_object_get(result, "distance_ratio");
    printf("%lld queries", (long long)json_integer_value(json_object_get(result, "queries")));
    if (json_is_real(ratio))
        printf(", distances %.6f times the true ones", json_real_value(ratio));
    putchar('\n');
}

static void
show(struct mpivf_call *call, const struct mpivf_eval *eval)
{
    json_t *table = json_array();
    for (int i = 0; i < eval->depths; i++)
        json_array_append_new(
            table, json_pack("{s:I, s:f, s:f, s:f}", "k", (json_int_t)eval->at[i].k, "id_recall",
                             eval->at[i].id_recall, "tie_recall", eval->at[i].tie_recall,
                             "worst_query", eval->at[i].worst));
    mpivf_call_set(call, "queries", json_integer((json_int_t)eval->queries));
    mpivf_call_set(call, "recall", table);
    mpivf_call_set(call, "distance_ratio", isfinite(eval->mean_distance_ratio) ? json_real(eval->mean_distance_ratio) : json_null());
}

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct fields *f = call->fields;
    const struct mpivf_par *par = call->par;
    struct mpivf_eval eval;
    mpivf_status status = MPIVF_OK;
    if (par->rank == 0) {
        status = mpivf_eval_files(par->ctx, call->operand[0], call->operand[1], &eval);
        if (status == MPIVF_OK) {
            show(call, &eval);
            double recall = eval.at[eval.depths - 1].tie_recall;
            if (recall < f->min_recall)
                status = mpivf_fail(par->ctx, MPIVF_BELOW, "recall@%llu is %.4f, below --min-recall %g",
                                    (unsigned long long)eval.at[eval.depths - 1].k, recall,
                                    f->min_recall);
        }
    }
    return mpivf_agree_all(par, status);
}

extern const struct mpivf_command mpivf_cmd_eval;
const struct mpivf_command mpivf_cmd_eval = {
    .name = "eval",
    .group = "Quality",
    .summary = "recall of a search result against the truth",
    .usage = "RESULT TRUTH [OPTIONS]\n\n"
             "Compare two files with neighbors and distances (of mpivf or ann-benchmarks). id\n"
             "recall counts equal ids; tie-aware recall counts rows that are as near as the k-th.",
    .options = options,
    .fields = sizeof(struct fields),
    .least = 2,
    .most = 2,
    .run_all = run_all,
    .print = print_table,
};
