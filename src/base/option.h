/*
 * option: one table per command says everything about its options.
 *
 * Parsing, range checks and --help come from the table; nothing is written twice. Under it is
 * getopt_long of the C library: long names may be shortened, operands and options may mix.
 */
#ifndef MPIVF_BASE_OPTION_H
#define MPIVF_BASE_OPTION_H

#include <mpivf/context.h>

#include <stdbool.h>
#include <stdio.h>

/* The kind fixes the type of the field at `offset`. */
enum mpivf_option_kind {
    MPIVF_FLAG,    /* bool, no argument */
    MPIVF_INTEGER, /* int64_t, min..max */
    MPIVF_REAL,    /* double, min..max */
    MPIVF_SIZE,    /* uint64_t bytes, with K M G T (powers of 1024), at least min */
    MPIVF_CHOICE,  /* int, the position in `unit` ("l2|ip|cosine") */
    MPIVF_STRING,  /* const char *, borrowed from argv */
    MPIVF_PAIR     /* int64_t[2], "I/N" with 1 <= I <= N <= max */
};

struct mpivf_option {
    const char *name; /* without the dashes; NULL ends the table */
    char letter;      /* short form, 0 for none */
    enum mpivf_option_kind kind;
    size_t offset;
    const char *initial; /* as it would be typed; NULL = zero, explained in help */
    double min, max;
    const char *unit; /* what stands for the argument in --help, or the choices */
    const char *help;
};

/*
 * Fill `fields` from argv[1..argc-1] by `table`. Operands go, borrowed, to operand[0..most-1]
 * in order; there must be at least `least`. *help is set, and nothing else checked, when
 * --help or -h is given. MPIVF_USAGE with the option's name, value and range. Local.
 */
mpivf_status
mpivf_option_parse(struct mpivf_context *ctx, const struct mpivf_option *table, void *fields,
                   int argc, char **argv, const char **operand, int least, int most,
                   int *operands, bool *help);

/* The table as text, one line an option with its default and range. */
void
mpivf_option_print(const struct mpivf_option *table, FILE *out);

/* "64M", "1.5g", "4096" as bytes; false when it is none of that. */
bool
mpivf_option_size(const char *text, uint64_t *bytes);

#endif
