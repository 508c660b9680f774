/* train_options: the options that train and build share, said once. */
#ifndef MPIVF_CMD_TRAIN_OPTIONS_H
#define MPIVF_CMD_TRAIN_OPTIONS_H

#include "cmd/command.h"

#include <mpivf/train.h>

struct mpivf_train_fields {
    int64_t lists, sample, iterations, seed, max_list;
    double tolerance;
    int metric, bad_rows, read_mode, unwritten;
};

#define MPIVF_TRAIN_FIELD(at, field) ((at) + offsetof(struct mpivf_train_fields, field))

#define MPIVF_TRAIN_OPTIONS(at)                                                                    \
    {"lists", 'l', MPIVF_INTEGER, MPIVF_TRAIN_FIELD(at, lists), NULL, 1, MPIVF_MOST_LISTS, "N",            \
     "inverted lists; default: 4 sqrt(rows)"},                                                     \
        MPIVF_METRIC_OPTION(MPIVF_TRAIN_FIELD(at, metric)),                                        \
        {"sample", 0, MPIVF_INTEGER, MPIVF_TRAIN_FIELD(at, sample), NULL, 1, 1e12, "N",            \
         "rows to train on; default: 256 a list"},                                                 \
        {"iterations", 0, MPIVF_INTEGER, MPIVF_TRAIN_FIELD(at, iterations), "10", 1, 1000, "N",    \
         "of k-means, at most"},                                                                   \
        {"tolerance", 0, MPIVF_REAL, MPIVF_TRAIN_FIELD(at, tolerance), "0.001", 0, 1, "X",         \
         "stop when the objective gains less than this share"},                                    \
        {"max-list", 0, MPIVF_INTEGER, MPIVF_TRAIN_FIELD(at, max_list), NULL, 1, 1e12, "ROWS",     \
         "cut lists that would have more rows, judged by the sample: there will be more lists"},   \
        {"seed", 's', MPIVF_INTEGER, MPIVF_TRAIN_FIELD(at, seed), "1", 0, 1e15, "S",               \
         "of everything random"},                                                                  \
        MPIVF_BAD_ROWS_OPTION(MPIVF_TRAIN_FIELD(at, bad_rows)),                                    \
        MPIVF_UNWRITTEN_OPTION(MPIVF_TRAIN_FIELD(at, unwritten)),                                  \
        MPIVF_READ_OPTION(MPIVF_TRAIN_FIELD(at, read_mode))

static inline struct mpivf_train_options
mpivf_train_options_of(const struct mpivf_train_fields *f)
{
    return (struct mpivf_train_options){.lists = (uint64_t)f->lists,
                                        .sample = (uint64_t)f->sample,
                                        .seed = (uint64_t)f->seed,
                                        .iterations = (uint64_t)f->iterations,
                                        .tolerance = f->tolerance,
                                        .max_list = (uint64_t)f->max_list,
                                        .metric = (enum mpivf_metric)f->metric,
                                        .bad_rows = (enum mpivf_bad_rows)f->bad_rows};
}

static inline struct mpivf_reading
mpivf_train_reading_of(const struct mpivf_train_fields *f)
{
    return (struct mpivf_reading){(enum mpivf_read_mode)f->read_mode, f->unwritten != 0};
}

static inline void
mpivf_trained_show(struct mpivf_call *call, const struct mpivf_trained *trained)
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
