#include "base/option.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTIONS = 48, LONG = 1000, HELP = LONG + MAX_OPTIONS }; /* what getopt returns */

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

bool
mpivf_option_count(const char *text, int64_t *count)
{
    static const char units[] = "kmgt";
    char *end;
    errno = 0;
    long long whole = strtoll(text, &end, 10);
    if (end != text && *end == '\0') {
        *count = whole;
        return errno == 0;
    }
    double value = strtod(text, &end);
    const char *unit = end != text && *end ? strchr(units, *end | 0x20) : NULL;
    if (unit == NULL || end[1] != '\0')
        return false;
    value *= pow(1000, (double)(unit - units + 1));
    *count = fabs(value) < 1e18 ? (int64_t)value : 0;
    return (double)*count == value;
}

static bool
parse_real(const char *text, double *value)
{
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && errno == 0;
}

/* The words of a choice as "l2|ip|cosine". */
static void
list_choices(const struct mpivf_option *option, char *text, size_t size)
{
    text[0] = '\0';
    for (int i = 0; option->name_of(i); i++) {
        size_t length = strlen(text);
        snprintf(text + length, size - length, "%s%s", i ? "|" : "", option->name_of(i));
    }
}

static bool
parse_choice(const struct mpivf_option *option, const char *text, int *value)
{
    for (int i = 0; option->name_of(i); i++)
        if (strcmp(option->name_of(i), text) == 0) {
            *value = i;
            return true;
        }
    return false;
}

/* Is `text` the first or the second word of "no|yes"? */
static bool
parse_either(const char *words, const char *text, bool *value)
{
    size_t first = strcspn(words, "|"), length = strlen(text);
    *value = strcmp(words + first + 1, text) == 0;
    return *value || (length == first && memcmp(words, text, first) == 0);
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

/* A number as people write it: 4096, 10K, 1T. */
static void
write_number(double value, char *text, size_t size)
{
    static const char units[] = "KMGT";
    int unit = -1;
    while (unit < 3 && value >= (unit < 0 ? 10000 : 1000) && fmod(value, 1000) == 0) {
        value /= 1000;
        unit++;
    }
    snprintf(text, size, "%.10g%.*s", value, unit >= 0, unit >= 0 ? units + unit : "");
}

/* The same for bytes, in powers of 1024. */
static void
write_size(double value, char *text, size_t size)
{
    static const char units[] = "KMGT";
    int unit = -1;
    while (unit < 3 && value >= 1024 && fmod(value, 1024) == 0) {
        value /= 1024;
        unit++;
    }
    snprintf(text, size, "%.10g%.*s", value, unit >= 0, unit >= 0 ? units + unit : "");
}

/* What a value of this option has to be, for messages. */
static void
describe_range(const struct mpivf_option *option, char *text, size_t size)
{
    char min_operands[32], max_operands[32], choices[120];
    write_number(option->min, min_operands, sizeof min_operands);
    write_number(option->max, max_operands, sizeof max_operands);
    if (option->kind == MPIVF_CHOICE) {
        list_choices(option, choices, sizeof choices);
        snprintf(text, size, "one of %s", choices);
    } else if (option->kind == MPIVF_EITHER) {
        snprintf(text, size, "one of %s", option->unit);
    } else if (option->kind == MPIVF_PAIR) {
        snprintf(text, size, "I/N with 1 <= I <= N <= %s", max_operands);
    } else if (option->kind == MPIVF_SIZE) {
        snprintf(text, size, "a size of at least %.0f bytes, like 512M or 4G", option->min);
    } else if (option->kind == MPIVF_INTEGER) {
        snprintf(text, size, "a whole number, %s to %s", min_operands, max_operands);
    } else {
        snprintf(text, size, "a number, %s to %s", min_operands, max_operands);
    }
}

static bool
store(const struct mpivf_option *option, const char *text, void *field)
{
    switch (option->kind) {
    case MPIVF_HEADING:
        return false;
    case MPIVF_FLAG:
        *(bool *)field = true;
        return true;
    case MPIVF_INTEGER: {
        int64_t *value = field;
        return mpivf_option_count(text, value) && (double)*value >= option->min &&
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
        return parse_choice(option, text, field);
    case MPIVF_EITHER:
        return parse_either(option->unit, text, field);
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
        if (table->kind == MPIVF_HEADING || strncmp(table->name, name, length) != 0)
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
                   int argc, char **argv, const char **operand, int min_operands, int max_operands,
                   int *operands, bool *help)
{
    struct option longs[MAX_OPTIONS + 2];
    char shorts[2 * MAX_OPTIONS + 4] = ":h";
    int n = 0, m = 0;
    mpivf_status status = MPIVF_OK;
    for (; table[n].name && n < MAX_OPTIONS; n++) {
        if (table[n].kind == MPIVF_HEADING)
            continue;
        int argument = table[n].kind == MPIVF_FLAG ? no_argument : required_argument;
        longs[m++] = (struct option){table[n].name, argument, NULL, LONG + n};
        if (table[n].letter)
            snprintf(shorts + strlen(shorts), 3, "%c%s", table[n].letter, argument ? ":" : "");
    }
    longs[m] = (struct option){"help", no_argument, NULL, HELP};
    longs[m + 1] = (struct option){0};

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
    if (*operands == min_operands - 1)
        return mpivf_fail(ctx, MPIVF_USAGE, "an operand is missing; see --help");
    if (*operands < min_operands)
        return mpivf_fail(ctx, MPIVF_USAGE, "%d operands are missing; see --help",
                          min_operands - *operands);
    if (*operands > max_operands)
        return mpivf_fail(ctx, MPIVF_USAGE, "'%s' is one operand too many; see --help",
                          argv[optind + max_operands]);
    for (int i = 0; i < *operands; i++)
        operand[i] = argv[optind + i];
    return MPIVF_OK;
}

/* ---- help ---- */

enum { COLUMNS = 80, INDENT = 26 };

void
mpivf_option_wrap(FILE *out, int indent, const char *text)
{
    int at = indent;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (at > indent && at + 1 + length > COLUMNS) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
        }
        at += fprintf(out, "%s%.*s", at > indent ? " " : "", length, text);
        text += length + (text[length] == ' ');
    }
    fputc('\n', out);
}

/* The text of an option whose name ends before column `at`. */
static void
explain(FILE *out, int at, const char *text)
{
    if (at > INDENT - 2) {
        fputc('\n', out);
        at = 0;
    }
    fprintf(out, "%*s", INDENT - at, "");
    mpivf_option_wrap(out, INDENT, text);
}

/* "1 to 1M; default 16", as far as there is such a thing. */
static void
describe_values(const struct mpivf_option *option, const void *field, char *text, size_t size)
{
    char min_operands[32], max_operands[32], value[32] = "";
    size_t bar = option->unit ? strcspn(option->unit, "|") : 0;
    write_number(option->min, min_operands, sizeof min_operands);
    write_number(option->max, max_operands, sizeof max_operands);
    if (option->kind == MPIVF_INTEGER && *(const int64_t *)field != 0)
        write_number((double)*(const int64_t *)field, value, sizeof value);
    else if (option->kind == MPIVF_REAL && *(const double *)field > 0)
        write_number(*(const double *)field, value, sizeof value);
    else if (option->kind == MPIVF_SIZE && *(const uint64_t *)field > 0)
        write_size((double)*(const uint64_t *)field, value, sizeof value);
    else if (option->kind == MPIVF_CHOICE)
        snprintf(value, sizeof value, "%s", option->name_of(*(const int *)field));
    else if (option->kind == MPIVF_EITHER)
        snprintf(value, sizeof value, "%.*s", *(const bool *)field ? 31 : (int)bar,
                 option->unit + (*(const bool *)field ? bar + 1 : 0));
    bool range = option->kind == MPIVF_INTEGER || option->kind == MPIVF_REAL;
    snprintf(text, size, "%s%s%s%s%s%s%s%s", range || value[0] ? " (" : "",
             range ? min_operands : "", range ? " to " : "", range ? max_operands : "",
             range && value[0] ? "; " : "", value[0] ? "default " : "", value,
             range || value[0] ? ")" : "");
}

void
mpivf_option_print(const struct mpivf_option *table, const void *fields, FILE *out)
{
    for (; table->name; table++) {
        char choices[120], values[120], text[400];
        const char *unit = table->unit ? table->unit : "";
        if (table->kind == MPIVF_HEADING) {
            fprintf(out, "\n%s\n", table->help);
            continue;
        }
        if (table->kind == MPIVF_CHOICE) {
            list_choices(table, choices, sizeof choices);
            unit = choices;
        }
        int at = table->letter ? fprintf(out, "  -%c, --%s %s", table->letter, table->name, unit)
                               : fprintf(out, "      --%s %s", table->name, unit);
        describe_values(table, (const char *)fields + table->offset, values, sizeof values);
        snprintf(text, sizeof text, "%s%s", table->help, values);
        explain(out, at, text);
    }
    explain(out, fprintf(out, "  -h, --help"), "this text");
}
