#include "cmd/command.h"

extern const struct mpivf_command mpivf_cmd_generate, mpivf_cmd_train, mpivf_cmd_build,
    mpivf_cmd_merge, mpivf_cmd_truth, mpivf_cmd_search, mpivf_cmd_eval, mpivf_cmd_info,
    mpivf_cmd_verify;

const struct mpivf_command *const mpivf_commands[] = {
    &mpivf_cmd_train, &mpivf_cmd_build,  &mpivf_cmd_merge, &mpivf_cmd_search, &mpivf_cmd_truth,
    &mpivf_cmd_eval,  &mpivf_cmd_info,   &mpivf_cmd_verify, &mpivf_cmd_generate, NULL,
};

void
mpivf_call_set(struct mpivf_call *call, const char *name, json_t *value)
{
    json_object_set_new(call->result, name, value);
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
