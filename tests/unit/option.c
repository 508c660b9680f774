/* The option table: every kind, its range, its messages, operands and help. */
#include "testing.h"

#include "base/option.h"

struct fields {
    bool force, careful;
    int64_t lists;
    double recall;
    uint64_t memory;
    int metric;
    const char *model;
    int64_t part[2];
};

static const char *
metric_name(int metric)
{
    static const char *const names[] = {"l2", "ip", "cosine", NULL};
    return names[metric];
}

#define AT(field) offsetof(struct fields, field)
static const struct mpivf_option table[] = {
    {"", 0, MPIVF_HEADING, 0, 0, 0, NULL, "Search:", NULL},
    {"force", 'f', MPIVF_FLAG, AT(force), 0, 0, "", "replace", NULL},
    {"lists", 'l', MPIVF_INTEGER, AT(lists), 1, 1e12, "N", "how many lists", NULL},
    {"recall", 0, MPIVF_REAL, AT(recall), 0, 1, "R", "recall to reach", NULL},
    {"memory", 'm', MPIVF_SIZE, AT(memory), 4096, 0, "SIZE",
     "budget, told in so many words that they do not fit one line of eighty columns", NULL},
    {"metric", 0, MPIVF_CHOICE, AT(metric), 0, 0, NULL, "what near means", metric_name},
    {"care", 0, MPIVF_EITHER, AT(careful), 0, 0, "no|yes", "be careful", NULL},
    {"model", 0, MPIVF_STRING, AT(model), 0, 0, "FILE", "a model", NULL},
    {"part", 0, MPIVF_PAIR, AT(part), 1, 100, "I/N", "a share", NULL},
    {0}};
static const struct fields defaults = {.lists = 16, .memory = 1 << 20, .metric = 1};

static struct mpivf_context ctx;
static struct fields fields;
static const char *operand[2];
static int operands;
static bool help;

/* Parse a command line of words without spaces, with 0 to 2 operands. */
static mpivf_status
parse(const char *line)
{
    static char words[256];
    char *argv[16] = {(char *)"command"};
    int argc = 1;
    mpivf_context_init(&ctx);
    fields = defaults;
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return mpivf_option_parse(&ctx, table, &fields, argc, argv, operand, 0, 2, &operands, &help);
}

static void
initial_values(void **state)
{
    (void)state;
    assert_ok(&ctx, parse(""));
    assert_false(fields.force || help);
    assert_int_equal(fields.lists, 16);
    assert_int_equal(fields.memory, 1 << 20);
    assert_int_equal(fields.metric, 1);
    assert_null(fields.model);
    assert_int_equal(operands, 0);
}

static void
every_kind(void **state)
{
    (void)state;
    assert_ok(&ctx, parse("--force --lists 7 --recall=0.25 --memory 1.5g --metric cosine "
                          "--care yes --model a.h5 --part 3/4"));
    assert_true(fields.careful);
    assert_true(fields.force);
    assert_int_equal(fields.lists, 7);
    assert_true(fields.recall == 0.25);
    assert_int_equal(fields.memory, 1610612736);
    assert_int_equal(fields.metric, 2);
    assert_string_equal(fields.model, "a.h5");
    assert_int_equal(fields.part[0], 3);
    assert_int_equal(fields.part[1], 4);
}

static void
short_long_and_abbreviated(void **state)
{
    (void)state;
    assert_ok(&ctx, parse("-fl 7 -m8K"));
    assert_true(fields.force);
    assert_int_equal(fields.lists, 7);
    assert_int_equal(fields.memory, 8192);
    assert_ok(&ctx, parse("--li 8 --rec 1"));
    assert_int_equal(fields.lists, 8);
    assert_true(fields.recall == 1);
    assert_fails(&ctx, MPIVF_USAGE, "--me", parse("--me 5")); /* memory or metric? */
    assert_ok(&ctx, parse("--lists 5 --lists 6"));
    assert_int_equal(fields.lists, 6);
}

static void
ranges(void **state)
{
    (void)state;
    static const char *const bad[] = {"--lists 0",
                                      "--lists 1001G",
                                      "--lists -5",
                                      "--lists 1.5",
                                      "--lists 7x",
                                      "--lists=",
                                      "--lists 99999999999999999999",
                                      "--recall 1.01",
                                      "--recall -0.1",
                                      "--recall nan",
                                      "--recall x",
                                      "--memory 4095",
                                      "--memory -1",
                                      "--memory lots",
                                      "--metric l1",
                                      "--metric l",
                                      "--metric=",
                                      "--metric cosines",
                                      "--care",
                                      "--care no|yes",
                                      "--care y",
                                      "--care=",
                                      "--part 0/4",
                                      "--part 5/4",
                                      "--part 1/101",
                                      "--part 1",
                                      "--part 1/2/3",
                                      "--part -1/4"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(bad[i], " ="), bad[i]);
        assert_fails(&ctx, MPIVF_USAGE, name, parse(bad[i]));
    }
    assert_ok(&ctx, parse("--lists 1 --recall 0 --memory 4096 --part 1/1"));
    assert_ok(&ctx, parse("--lists 1T --recall 1 --part 100/100 --care no"));
    assert_false(fields.careful);
    assert_fails(&ctx, MPIVF_USAGE, "1 to 1T", parse("--lists 0"));
    assert_fails(&ctx, MPIVF_USAGE, "'0'", parse("--lists 0"));
}

static void
choice_is_one_word(void **state)
{
    (void)state;
    assert_fails(&ctx, MPIVF_USAGE, "--metric", parse("--metric l2|ip"));
    assert_fails(&ctx, MPIVF_USAGE, "--metric", parse("--metric ip|cosine"));
}

static void
unknown_and_missing(void **state)
{
    (void)state;
    assert_fails(&ctx, MPIVF_USAGE, "--colour", parse("a --colour red"));
    assert_fails(&ctx, MPIVF_USAGE, "-q", parse("-q"));
    assert_fails(&ctx, MPIVF_USAGE, "--lists", parse("--lists"));
    assert_fails(&ctx, MPIVF_USAGE, "-l", parse("a -l"));
    assert_fails(&ctx, MPIVF_USAGE, "--force=1", parse("--force=1"));
}

static void
beginnings_of_several(void **state)
{
    (void)state;
    assert_fails(&ctx, MPIVF_USAGE,
                 "option '--m' could be --memory, --metric, --model; write more of it",
                 parse("--m 1"));
    assert_fails(&ctx, MPIVF_USAGE, "option '--me=4' could be --memory, --metric;",
                 parse("--me=4"));
    assert_ok(&ctx, parse("--mem 8k"));
    assert_int_equal(fields.memory, 8192);
}

static void
unknown_letter_inside_a_word(void **state)
{
    (void)state;
    assert_fails(&ctx, MPIVF_USAGE, "-q", parse("-fqf"));
}

static void
operands_in_between(void **state)
{
    (void)state;
    assert_ok(&ctx, parse("in.h5 --lists 3 out.h5 -f"));
    assert_int_equal(operands, 2);
    assert_string_equal(operand[0], "in.h5");
    assert_string_equal(operand[1], "out.h5");
    assert_true(fields.force);
    assert_ok(&ctx, parse("-- --lists"));
    assert_string_equal(operand[0], "--lists");
    assert_fails(&ctx, MPIVF_USAGE, "'c'", parse("a b c"));
    char *argv[] = {(char *)"command", (char *)"a"};
    assert_fails(
        &ctx, MPIVF_USAGE, "an operand is missing",
        mpivf_option_parse(&ctx, table, &fields, 2, argv, operand, 2, 2, &operands, &help));
}

static void
help_wins(void **state)
{
    (void)state;
    assert_ok(&ctx, parse("a b c --help --lists 0"));
    assert_true(help);
    assert_ok(&ctx, parse("-h"));
    assert_true(help);
}

static void
sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},      {"4096", 4096},        {"64M", 67108864},    {"1.5g", 1610612736},
                {"2k", 2048},  {"1T", 1099511627776}, {"1GiB", 1073741824}, {"3MB", 3145728},
                {"0.5K", 512}, {"1e3", 1000}};
    static const char *const bad[] = {"",    "M",   "1X",   "1MM",  "1 M", "-1",
                                      "nan", "inf", "9e18", "8e7T", "1Mi"};
    uint64_t bytes;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(mpivf_option_size(good[i].text, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (mpivf_option_size(bad[i], &bytes))
            fail_msg("'%s' was taken for a size", bad[i]);
}

static void
counts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t count;
    } good[] = {{"0", 0},
                {"-7", -7},
                {"250000", 250000},
                {"4M", 4000000},
                {"1.5k", 1500},
                {"2G", 2000000000},
                {"1T", 1000000000000},
                {"1e3", 0},
                {"9223372036854775807", INT64_MAX}};
    static const char *const bad[] = {"",    "M",    "1X",      "1MM",
                                      "1 M", "1.5",  "0.0001K", "nan",
                                      "inf", "1KiB", "1e30T",   "9223372036854775808"};
    int64_t count;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        bool taken = mpivf_option_count(good[i].text, &count);
        assert_true(taken ==
                    (strcmp(good[i].text, "1e3") != 0)); /* an exponent is for real numbers */
        if (taken)
            assert_int_equal(count, good[i].count);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (mpivf_option_count(bad[i], &count))
            fail_msg("'%s' was taken for a count", bad[i]);
}

static void
printed_table(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    mpivf_option_print(table, &defaults, out);
    fclose(out);
    assert_string_equal(
        text, "\nSearch:\n"
              "  -f, --force             replace\n"
              "  -l, --lists N           how many lists (1 to 1T; default 16)\n"
              "      --recall R          recall to reach (0 to 1)\n"
              "  -m, --memory SIZE       budget, told in so many words that they do not fit one\n"
              "                          line of eighty columns (default 1M)\n"
              "      --metric l2|ip|cosine\n"
              "                          what near means (default ip)\n"
              "      --care no|yes       be careful (default no)\n"
              "      --model FILE        a model\n"
              "      --part I/N          a share\n"
              "  -h, --help              this text\n");
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("option: initial values", initial_values),
        TEST("option: every kind", every_kind),
        TEST("option: short, long, shortened, repeated", short_long_and_abbreviated),
        TEST("option: values out of range are refused by name", ranges),
        TEST("option: a choice is one of the words, not several", choice_is_one_word),
        TEST("option: unknown options and missing values", unknown_and_missing),
        TEST("option: beginnings of several names", beginnings_of_several),
        TEST("option: an unknown letter inside a word is shown", unknown_letter_inside_a_word),
        TEST("option: operands and options mix", operands_in_between),
        TEST("option: help wins over everything", help_wins),
        TEST("option: sizes", sizes),
        TEST("option: counts", counts),
        TEST("option: the table as text", printed_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
