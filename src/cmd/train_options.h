/* train_options: the options that train and build share, said once. */
#ifndef MPIVF_CMD_TRAIN_OPTIONS_H
#define MPIVF_CMD_TRAIN_OPTIONS_H

#include "cmd/command.h"

#include <mpivf/train.h>

#define MPIVF_TRAIN_FIELD(at, field) ((at) + offsetof(struct mpivf_train_options, field))

/* By the offset of a struct mpivf_train_options. */
/* clang-format off */
#define MPIVF_TRAIN_OPTIONS(at)                                                                    \
    MPIVF_HEADING_OPTION("Training:"),                                                             \
        {"lists", 'l', MPIVF_INTEGER, MPIVF_TRAIN_FIELD(at, lists), 1, MPIVF_MAX_LISTS, "N",      \
         "inverted lists; default: 4 sqrt(rows)", NULL},                                           \
        MPIVF_METRIC_OPTION(MPIVF_TRAIN_FIELD(at, metric)),                                        \
        {"sample", 0, MPIVF_INTEGER, MPIVF_TRAIN_FIELD(at, sample), 1, 1e12, "N",                  \
         "rows to train on; default: 256 a list", NULL},                                           \
        {"iterations", 0, MPIVF_INTEGER, MPIVF_TRAIN_FIELD(at, iterations), 1, 1000, "N",          \
         "of k-means over all lists, at most", NULL},                                              \
        {"tolerance", 0, MPIVF_REAL, MPIVF_TRAIN_FIELD(at, tolerance), 0, 1, "X",                  \
         "stop when an iteration lowers the objective by less than this share of it", NULL},       \
        {"max-list", 0, MPIVF_INTEGER, MPIVF_TRAIN_FIELD(at, max_list), 1, 1e12, "ROWS",           \
         "cut lists that would have more rows, judged by the sample: there will be more lists",    \
         NULL},                                                                                    \
        {"seed", 's', MPIVF_INTEGER, MPIVF_TRAIN_FIELD(at, seed), 0, 1e15, "S",                    \
         "another seed gives another sample and another start of k-means", NULL}
/* clang-format on */

static inline void
mpivf_trained_show(struct mpivf_call *call, const struct mpivf_train_summary *trained)
{
    if (trained->lists == 0)
        return;
    mpivf_call_set(call, "lists", json_integer((json_int_t)trained->lists));
    mpivf_call_set(call, "sample", json_integer((json_int_t)trained->sample));
    mpivf_call_set(call, "iterations", json_integer((json_int_t)trained->iterations));
    mpivf_call_set(call, "first_objective", json_real(trained->first_objective));
    mpivf_call_set(call, "objective", json_real(trained->objective));
    mpivf_call_set(call, "local_iterations", json_integer((json_int_t)trained->local));
    if (trained->split > 0)
        mpivf_call_set(call, "split_lists", json_integer((json_int_t)trained->split));
    mpivf_call_set(call, "repaired_lists", json_integer((json_int_t)trained->repaired));
}

#endif
