/*
 * option: one table per command says everything about its options.
 *
 * Parsing, range checks and --help come from the table; nothing is written twice. Defaults are what
 * the fields hold before: the same that the library's options have (mpivf_*_options_init). Under it
 * is getopt_long of the C library: long names may be shortened, operands and options may mix.
 */
#ifndef MPIVF_BASE_OPTION_H
#define MPIVF_BASE_OPTION_H

#include <mpivf/context.h>

#include <stdbool.h>
#include <stdio.h>

/* The kind fixes the type of the field at `offset`. */
enum mpivf_option_kind {
    MPIVF_HEADING, /* no option: `help` stands above those that follow */
    MPIVF_FLAG,    /* bool, no argument */
    MPIVF_INTEGER, /* int64_t or uint64_t, min..max, with K M G T (powers of 1000) */
    MPIVF_REAL,    /* double, min..max */
    MPIVF_SIZE,    /* uint64_t bytes, with K M G T (powers of 1024), at least min */
    MPIVF_CHOICE,  /* int or an enum, by its names */
    MPIVF_EITHER,  /* bool, the first or the second word of `unit` ("no|yes") */
    MPIVF_STRING,  /* const char *, borrowed from argv */
    MPIVF_PAIR     /* int64_t[2], "I/N" with 1 <= I <= N <= max */
};

struct mpivf_option {
    const char *name; /* without the dashes; NULL ends the table */
    char letter;      /* short form, 0 for none */
    enum mpivf_option_kind kind;
    size_t offset;
    double min, max;
    const char *unit;                  /* what stands for the argument in --help */
    const char *help;                  /* says what 0 and NULL mean where they are the default */
    const char *(*name_of)(int value); /* of a choice; NULL behind the last */
};

/*
 * Fill `fields`, which hold the defaults, from argv[1..argc-1] by `table`. Operands go, borrowed,
 * to operand[0..max_operands-1] in order; there must be at least `min_operands`. *help is set, and
 * nothing else checked, when --help or -h is given. MPIVF_USAGE with the option's name, value and
 * range. Local.
 */
mpivf_status
mpivf_option_parse(struct mpivf_context *ctx, const struct mpivf_option *table, void *fields,
                   int argc, char **argv, const char **operand, int min_operands, int max_operands,
                   int *operands, bool *help);

/* The table as text of 80 columns, with ranges and the defaults that `fields` hold. Local. */
void
mpivf_option_print(const struct mpivf_option *table, const void *fields, FILE *out);

/* The words of `text` in lines of 80 columns, each but the first begun by so many blanks. Local. */
void
mpivf_option_wrap(FILE *out, int indent, const char *text);

/* "64M", "1.5g", "4096" as bytes; false when it is none of that. Local. */
bool
mpivf_option_size(const char *text, uint64_t *bytes);

/* "250000", "250K", "1.5G": a whole number, K M G T being powers of 1000. Local. */
bool
mpivf_option_count(const char *text, int64_t *count);

#endif
