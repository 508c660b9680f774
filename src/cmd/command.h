/*
 * command: what a subcommand is. Each is a const struct in a file of its own, beside the
 * functions it calls; main.c knows them by the table in command.c.
 */
#ifndef MPIVF_CMD_COMMAND_H
#define MPIVF_CMD_COMMAND_H

#include "base/option.h"

#include <mpivf/output.h>
#include <mpivf/progress.h>
#include <mpivf/source.h>

#include <jansson.h>

enum { MPIVF_OPERANDS = 4096 };

/* Options that every command has; the first field of every command's own struct. */
struct mpivf_common {
    int64_t threads;
    uint64_t memory;
    bool json, quiet;
};

/* clang-format off */
#define MPIVF_HEADING_OPTION(text) {"", 0, MPIVF_HEADING, 0, 0, 0, NULL, text, NULL}
/* clang-format on */

/* The end of every table. */
/* clang-format off */
#define MPIVF_COMMON_OPTIONS                                                                       \
    MPIVF_HEADING_OPTION("Every command:"),                                                        \
        {"threads", 't', MPIVF_INTEGER, offsetof(struct mpivf_common, threads), 1, 1024, "N",      \
         "threads of a rank; default: OMP_NUM_THREADS, Slurm's grant, or its processors", NULL},   \
        {"memory", 'M', MPIVF_SIZE, offsetof(struct mpivf_common, memory), 1 << 20, 0, "SIZE",     \
         "resident memory of a rank, at most; default: 80 % of its share of the limit", NULL},     \
        {"json", 0, MPIVF_FLAG, offsetof(struct mpivf_common, json), 0, 0, "",                     \
         "results as JSON on standard output", NULL},                                              \
        {"quiet", 'q', MPIVF_FLAG, offsetof(struct mpivf_common, quiet), 0, 0, "",                 \
         "no notes and no progress on standard error; warnings stay", NULL},                       \
    {                                                                                              \
        0                                                                                          \
    }
/* clang-format on */

/* Options that several commands have, by the offset of their field. */
#define MPIVF_METRIC_OPTION(at)                                                                    \
    {                                                                                              \
        "metric", 'm', MPIVF_CHOICE, at, 0, 0, NULL,                                               \
            "Euclidean distance, inner product (largest first) or cosine distance",                \
            mpivf_metric_name                                                                      \
    }
#define MPIVF_BAD_ROWS_OPTION(at)                                                                  \
    {                                                                                              \
        "bad-rows", 0, MPIVF_CHOICE, at, 0, 0, NULL,                                               \
            "on a row with NaN or infinity: end the run, or leave the row out",                    \
            mpivf_bad_rows_name                                                                    \
    }
/* Two, of a struct mpivf_reading. */
/* clang-format off */
#define MPIVF_READING_OPTIONS(at)                                                                  \
    {"unwritten", 0, MPIVF_EITHER, (at) + offsetof(struct mpivf_reading, unwritten_is_bad), 0, 0,  \
     "fill|bad", "rows of HDF5 that were never written: their fill value, or bad rows", NULL},     \
        MPIVF_READ_OPTION(at)
/* clang-format on */
#define MPIVF_READ_OPTION(at)                                                                      \
    {                                                                                              \
        "read", 0, MPIVF_CHOICE, (at) + offsetof(struct mpivf_reading, mode), 0, 0, NULL,          \
            "how HDF5 is read: by file offset where possible, else by each rank alone, or by all " \
            "ranks together (MPI-IO)",                                                             \
            mpivf_read_mode_name                                                                   \
    }
#define MPIVF_FORCE_OPTION(at)                                                                     \
    {                                                                                              \
        "force", 'f', MPIVF_FLAG, at, 0, 0, "", "replace an output that exists", NULL              \
    }
#define MPIVF_START_OVER_OPTION(at)                                                                \
    {                                                                                              \
        "force", 'f', MPIVF_FLAG, at, 0, 0, "",                                                    \
            "replace outputs that exist; start over where the work folder holds the work of "      \
            "another command",                                                                     \
            NULL                                                                                   \
    }

/* Ids that are printed as the last member of a result, as many as there are. */
struct mpivf_listing {
    const char *name;
    int64_t *id; /* owned */
    uint64_t count;
};

/* A command line taken apart, and the run it starts. */
struct mpivf_call {
    const struct mpivf_par *par; /* not owned */
    const char **operand;        /* not owned */
    int operands;
    const void *fields;           /* the command's own struct */
    struct mpivf_outputs outputs; /* ended by main: what has no name by then goes */
    struct mpivf_report report;
    const char *line;             /* the whole command line */
    json_t *result;               /* owned; printed by rank 0 at the end unless empty */
    struct mpivf_listing listing; /* what would be too long for it */
};

struct mpivf_command {
    const char *name;
    const char *group;    /* heading in the list of commands */
    const char *summary;  /* one line */
    const char *usage;    /* operands */
    const char *text;     /* what it does, one paragraph */
    const char *examples; /* command lines, each with its end */
    const struct mpivf_option *options;
    size_t fields;                  /* bytes of the command's own struct */
    void (*defaults)(void *fields); /* set those that are not zero; NULL = none */
    int min, max;                   /* operands */
    mpivf_status (*run_all)(struct mpivf_call *call);
    void (*print)(const json_t *result); /* for people; NULL = one line a member */
};

/* All of them, NULL at the end. */
extern const struct mpivf_command *const mpivf_commands[];

/* Add a value to the result. Local. */
void
mpivf_call_set(struct mpivf_call *call, const char *name, json_t *value);

/* Add a number to the result and to the report. Local. */
void
mpivf_call_figure(struct mpivf_call *call, const char *name, double value);

/* Name the last operand as the output, with a report beside it, and the others as inputs. Local. */
struct mpivf_call_files {
    struct mpivf_output *output, *report;
};
void
mpivf_call_name(struct mpivf_call *call, struct mpivf_call_files *files);

/*
 * Refuse a merge that would have more files open than the system allows. Collective, agreed.
 */
mpivf_status
mpivf_call_check_fan_in_all(const struct mpivf_call *call, uint64_t fan_in);

/* Add how rows spread over lists. Local. */
struct mpivf_list_sizes;
void
mpivf_list_sizes_show(struct mpivf_call *call, const struct mpivf_list_sizes *list_sizes);

/* Add what a shard tells of its source. Local. */
struct mpivf_stamp;
void
mpivf_stamp_show(struct mpivf_call *call, const struct mpivf_stamp *stamp);

/* Print a result, one "name value" a line. Local. */
void
mpivf_result_print(const json_t *result);

#endif
