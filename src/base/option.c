#include "base/option.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OPTIONS = 48, LONG = 1000, HELP = LONG + MOST_OPTIONS }; /* what getopt returns */

bool
mpivf_option_size(const char *text, uint64_t *bytes)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || errno != 0 || !(value >= 0))
        return false;
    static const char units[] = "kmgt";
    const char *unit = *end ? strchr(units, *end | 0x20) : NULL;
    if (unit) {
        value *= pow(1024, (double)(unit - units + 1));
        end++;
        if (strcmp(end, "iB") == 0)
            end += 2;
        else if (strcmp(end, "B") == 0)
            end++;
    }
    if (*end != '\0' || value >= 9e18)
        return false;
    *bytes = (uint64_t)value;
    return true;
}

static bool
parse_integer(const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0)
        return false;
    *value = parsed;
    return true;
}

static bool
parse_real(const char *text, double *value)
{
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && errno == 0;
}

static bool
parse_choice(const char *choices, const char *text, int *value)
{
    size_t length = strchr(text, '|') ? 0 : strlen(text);
    for (int i = 0; length > 0; i++) {
        if (strncmp(choices, text, length) == 0 && (choices[length] == '|' || choices[length] == '\0')) {
            *value = i;
            return true;
        }
        choices = strchr(choices, '|');
        if (choices == NULL)
            return false;
        choices++;
    }
    return false;
}

static bool
parse_pair(const char *text, int64_t pair[2])
{
    char end;
    long long a, b;
    if (sscanf(text, "%lld/%lld%c", &a, &b, &end) != 2)
        return false;
    pair[0] = a;
    pair[1] = b;
    return true;
}

/* What a value of this option has to be, for messages and help. */
static void
describe_range(const struct mpivf_option *option, char *text, size_t size)
{
    if (option->kind == MPIVF_CHOICE)
        snprintf(text, size, "one of %s", option->unit);
    else if (option->kind == MPIVF_PAIR)
        snprintf(text, size, "I/N with 1 <= I <= N <= %.0f", option->max);
    else if (option->kind == MPIVF_SIZE)
        snprintf(text, size, "a size of at least %.0f bytes, like 512M or 4G", option->min);
    else if (option->kind == MPIVF_INTEGER)
        snprintf(text, size, "a whole number, %.0f to %.0f", option->min, option->max);
    else
        snprintf(text, size, "a number, %g to %g", option->min, option->max);
}

static bool
store(const struct mpivf_option *option, const char *text, void *field)
{
    switch (option->kind) {
    case MPIVF_FLAG:
        *(bool *)field = true;
        return true;
    case MPIVF_INTEGER: {
        int64_t *value = field;
        return parse_integer(text, value) && (double)*value >= option->min &&
               (double)*value <= option->max;
    }
    case MPIVF_REAL: {
        double *value = field;
        return parse_real(text, value) && *value >= option->min && *value <= option->max;
    }
    case MPIVF_SIZE: {
        uint64_t *value = field;
        return mpivf_option_size(text, value) && (double)*value >= option->min;
    }
    case MPIVF_CHOICE:
        return parse_choice(option->unit, text, field);
    case MPIVF_STRING:
        *(const char **)field = text;
        return true;
    case MPIVF_PAIR: {
        int64_t *pair = field;
        return parse_pair(text, pair) && 1 <= pair[0] && pair[0] <= pair[1] &&
               (double)pair[1] <= option->max;
    }
    }
    return false;
}

static mpivf_status
set(struct mpivf_context *ctx, const struct mpivf_option *option, const char *text, void *fields)
{
    if (store(option, text, (char *)fields + option->offset))
        return MPIVF_OK;
    char range[160];
    describe_range(option, range, sizeof range);
    return mpivf_fail(ctx, MPIVF_USAGE, "--%s '%s' is not %s", option->name, text, range);
}

/* A long option that is none, or the beginning of several. */
static mpivf_status
refuse_name(struct mpivf_context *ctx, const struct mpivf_option *table, const char *word)
{
    char all[240] = "";
    const char *name = strncmp(word, "--", 2) == 0 ? word + 2 : word;
    size_t length = strcspn(name, "=");
    int fit = 0;
    for (; table->name; table++) {
        size_t used = strlen(all);
        if (strncmp(table->name, name, length) != 0)
            continue;
        snprintf(all + used, sizeof all - used, "%s--%s", fit > 0 ? ", " : "", table->name);
        fit++;
    }
    if (fit < 2)
        return mpivf_fail(ctx, MPIVF_USAGE, "unknown option '%s'; see --help", word);
    return mpivf_fail(ctx, MPIVF_USAGE, "option '%s' could be %s; write more of it", word, all);
}

mpivf_status
mpivf_option_parse(struct mpivf_context *ctx, const struct mpivf_option *table, void *fields,
                   int argc, char **argv, const char **operand, int least, int most,
                   int *operands, bool *help)
{
    struct option longs[MOST_OPTIONS + 2];
    char shorts[2 * MOST_OPTIONS + 4] = ":h";
    int n = 0;
    mpivf_status status = MPIVF_OK;
    for (; table[n].name && n < MOST_OPTIONS; n++) {
        int argument = table[n].kind == MPIVF_FLAG ? no_argument : required_argument;
        longs[n] = (struct option){table[n].name, argument, NULL, LONG + n};
        if (table[n].letter)
            snprintf(shorts + strlen(shorts), 3, "%c%s", table[n].letter, argument ? ":" : "");
        if (table[n].initial)
            status = set(ctx, &table[n], table[n].initial, fields);
        if (status)
            return status;
    }
    longs[n] = (struct option){"help", no_argument, NULL, HELP};
    longs[n + 1] = (struct option){0};

    *help = false;
    optind = 0; /* starts getopt afresh */
    opterr = 0;
    for (int found; (found = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        if (found == HELP || found == 'h') {
            *help = true;
            return MPIVF_OK;
        }
        if (found == ':')
            return mpivf_fail(ctx, MPIVF_USAGE, "option '%s' needs a value", argv[optind - 1]);
        if (found == '?' && optopt >= LONG)
            return mpivf_fail(ctx, MPIVF_USAGE, "option '%s' takes no value", argv[optind - 1]);
        if (found == '?' && optopt > 0)
            return mpivf_fail(ctx, MPIVF_USAGE, "unknown option '-%c'; see --help", optopt);
        if (found == '?')
            return refuse_name(ctx, table, argv[optind - 1]);
        int at = found - LONG;
        for (int i = 0; i < n && found < LONG; i++)
            if (table[i].letter == found)
                at = i;
        status = set(ctx, &table[at], optarg ? optarg : "", fields);
        if (status)
            return status;
    }
    *operands = argc - optind;
    if (*operands == least - 1)
        return mpivf_fail(ctx, MPIVF_USAGE, "an operand is missing; see --help");
    if (*operands < least)
        return mpivf_fail(ctx, MPIVF_USAGE, "%d operands are missing; see --help", least - *operands);
    if (*operands > most)
        return mpivf_fail(ctx, MPIVF_USAGE, "'%s' is one operand too many; see --help",
                          argv[optind + most]);
    for (int i = 0; i < *operands; i++)
        operand[i] = argv[optind + i];
    return MPIVF_OK;
}

void
mpivf_option_print(const struct mpivf_option *table, FILE *out)
{
    for (; table->name; table++) {
        char name[72], letter[8] = "    ";
        if (table->letter)
            snprintf(letter, sizeof letter, "-%c, ", table->letter);
        snprintf(name, sizeof name, "%s--%s %s", letter, table->name,
                 table->kind == MPIVF_FLAG ? "" : table->unit);
        fprintf(out, "  %-42s %s", name, table->help);
        if (table->kind == MPIVF_INTEGER || table->kind == MPIVF_REAL)
            fprintf(out, " (%.10g..%.10g)", table->min, table->max);
        if (table->initial)
            fprintf(out, " [%s]", table->initial);
        fputc('\n', out);
    }
    fprintf(out, "  %-42s %s\n", "-h, --help", "this text");
}
