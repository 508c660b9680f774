#include "cmd/command.h"

#include <mpivf/index.h>

struct fields {
    struct mpivf_common common;
};

static const struct mpivf_option options[] = {MPIVF_COMMON_OPTIONS};

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct mpivf_par *par = call->par;
    struct mpivf_index index;
    struct mpivf_verdict verdict;
    mpivf_status status = mpivf_index_open_all(par, call->operand[0], &index);
    if (status == MPIVF_OK) {
        status = mpivf_index_verify_all(par, &index, &verdict);
        if (status == MPIVF_OK) {
            mpivf_call_set(call, "rows", json_integer((json_int_t)index.meta.rows));
            mpivf_call_set(call, "lists", json_integer((json_int_t)index.meta.lists));
            if (index.meta.stamped)
                mpivf_stamp_show(call, &index.meta.stamp);
            mpivf_call_set(call, "verdict", json_string("every byte of data is as it was written"));
        }
    }
    mpivf_index_close(&index);
    return status;
}

extern const struct mpivf_command mpivf_cmd_verify;
const struct mpivf_command mpivf_cmd_verify = {
    .name = "verify",
    .group = "Quality",
    .summary = "check every byte of an index against its checksums",
    .usage = "FILE [OPTIONS]",
    .text = "Read all data of an index, shard or model, by all ranks, and name the list that "
            "is damaged, if one is.",
    .examples = "  mpivf verify sift.idx\n"
                "  mpirun -n 8 mpivf verify sift.idx\n"
                "  mpivf verify part-3 --json\n",
    .options = options,
    .fields = sizeof(struct fields),
    .min = 1,
    .max = 1,
    .run_all = run_all,
};
