#include "cmd/command.h"

#include "base/limit.h"

#include <mpivf/index.h>

extern const struct mpivf_command mpivf_cmd_generate, mpivf_cmd_train, mpivf_cmd_build,
    mpivf_cmd_merge, mpivf_cmd_truth, mpivf_cmd_search, mpivf_cmd_eval, mpivf_cmd_info,
    mpivf_cmd_verify, mpivf_cmd_shuffle;

const struct mpivf_command *const mpivf_commands[] = {
    &mpivf_cmd_train,
    &mpivf_cmd_build,
    &mpivf_cmd_merge,
    &mpivf_cmd_search,
    &mpivf_cmd_truth,
    &mpivf_cmd_eval,
    &mpivf_cmd_info,
    &mpivf_cmd_verify,
    &mpivf_cmd_shuffle,
    &mpivf_cmd_generate,
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

void
mpivf_call_name(struct mpivf_call *call, struct mpivf_call_files *files)
{
    for (int i = 0; i < call->operands - 1; i++)
        mpivf_outputs_read(&call->outputs, call->operand[i]);
    files->output = mpivf_outputs_write(&call->outputs, call->operand[call->operands - 1]);
    files->report = mpivf_outputs_report(&call->outputs, mpivf_output_path(files->output));
}

mpivf_status
mpivf_call_check_fan_in_all(const struct mpivf_call *call, uint64_t fan_in)
{
    return mpivf_agree_all(call->par, mpivf_limit_files(call->par->ctx, fan_in));
}

void
mpivf_list_sizes_show(struct mpivf_call *call, const struct mpivf_list_sizes *list_sizes)
{
    mpivf_call_set(call, "list_size_mean", json_real(list_sizes->mean));
    mpivf_call_set(call, "list_size_median", json_integer((json_int_t)list_sizes->median));
    mpivf_call_set(call, "list_size_p99", json_integer((json_int_t)list_sizes->p99));
    mpivf_call_set(call, "list_size_largest", json_integer((json_int_t)list_sizes->largest));
    mpivf_call_set(call, "largest_over_mean", json_real(list_sizes->max_over_mean));
    mpivf_call_set(call, "empty_lists", json_integer((json_int_t)list_sizes->empty));
}

void
mpivf_stamp_show(struct mpivf_call *call, const struct mpivf_stamp *stamp)
{
    char text[MPIVF_STAMP_TEXT];
    mpivf_stamp_text(stamp, text);
    mpivf_call_set(call, "source_version", json_string(text));
    snprintf(text, sizeof text, "%016llx", (unsigned long long)stamp->rows);
    mpivf_call_set(call, "rows_checksum", json_string(text));
}

void
mpivf_result_print(const json_t *result)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)result, name, value) {
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
