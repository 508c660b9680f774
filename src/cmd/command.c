#include "cmd/command.h"
#include "io/file.h"

#include <mpivf/index.h>

extern const struct mpivf_command mpivf_cmd_generate, mpivf_cmd_train, mpivf_cmd_build,
    mpivf_cmd_merge, mpivf_cmd_truth, mpivf_cmd_search, mpivf_cmd_eval, mpivf_cmd_info,
    mpivf_cmd_verify, mpivf_cmd_shuffle;

const struct mpivf_command *const mpivf_commands[] = {
    &mpivf_cmd_train, &mpivf_cmd_build, &mpivf_cmd_merge,  &mpivf_cmd_search,  &mpivf_cmd_truth,
    &mpivf_cmd_eval,  &mpivf_cmd_info,  &mpivf_cmd_verify, &mpivf_cmd_shuffle, &mpivf_cmd_generate,
    NULL,
};

void
mpivf_call_set(struct mpivf_call *call, const char *name, json_t *value)
{
    json_object_set_new(call->result, name, value);
}

void
mpivf_call_figure(struct mpivf_call *call, const char *name, double value)
{
    mpivf_call_set(call, name, json_real(value));
    mpivf_report_figure(&call->report, name, value);
}

mpivf_status
mpivf_call_check_all(const struct mpivf_call *call, const char *more, const char *others)
{
    struct mpivf_context *ctx = call->par->ctx;
    const char *output = call->operand[call->operands - 1];
    mpivf_status status = MPIVF_OK;
    for (int i = 0; call->par->rank == 0 && i < call->operands - 1 && status == MPIVF_OK; i++)
        status = mpivf_file_distinct(ctx, output, call->operand[i]);
    if (call->par->rank == 0 && status == MPIVF_OK && more)
        status = mpivf_file_distinct(ctx, output, more);
    if (call->par->rank == 0 && status == MPIVF_OK && others)
        status = mpivf_file_distinct(ctx, output, others);
    return mpivf_agree_all(call->par, status);
}

void
mpivf_spread_show(struct mpivf_call *call, const struct mpivf_spread *spread)
{
    mpivf_call_set(call, "list_size_mean", json_real(spread->mean));
    mpivf_call_set(call, "list_size_median", json_integer((json_int_t)spread->median));
    mpivf_call_set(call, "list_size_p99", json_integer((json_int_t)spread->p99));
    mpivf_call_set(call, "list_size_largest", json_integer((json_int_t)spread->largest));
    mpivf_call_set(call, "largest_over_mean", json_real(spread->max_over_mean));
    mpivf_call_set(call, "empty_lists", json_integer((json_int_t)spread->empty));
}

void
mpivf_result_print(const json_t *result)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)result, name, value) {
        if (json_is_real(value))
            printf("%-22s %.6g\n", name, json_real_value(value));
        else if (json_is_integer(value))
            printf("%-22s %lld\n", name, (long long)json_integer_value(value));
        else if (json_is_string(value))
            printf("%-22s %s\n", name, json_string_value(value));
        else if (json_is_boolean(value))
            printf("%-22s %s\n", name, json_is_true(value) ? "yes" : "no");
    }
}
