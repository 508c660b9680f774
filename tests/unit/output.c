/* Outputs: names that collide are refused, one of two goes on, nothing is replaced unasked. */
#include "testing.h"

#include "io/output.h"

#include <sys/stat.h>
#include <unistd.h>

static struct mpivf_context ctx;
static struct mpivf_par alone = {.ctx = &ctx, .size = 1};
static char folder[FOLDER], path[MPIVF_PATH], other[MPIVF_PATH], note[MPIVF_PATH];

static void
keep_note(void *arg, const char *line)
{
    (void)arg;
    snprintf(note, sizeof note, "%s", line);
}

static int
set_up(void **state)
{
    (void)state;
    mpivf_context_init(&ctx);
    ctx.note = keep_note;
    note[0] = '\0';
    make_folder(folder);
    snprintf(path, sizeof path, "%s/a", folder);
    snprintf(other, sizeof other, "%s/b", folder);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    assert_int_equal(ctx.memory.used, 0);
    remove_folder(&ctx, folder);
    return 0;
}

static const char *
in(const char *name)
{
    static char text[4][MPIVF_PATH];
    static int next;
    char *at = text[next++ % 4];
    snprintf(at, MPIVF_PATH, "%s/%s", folder, name);
    return at;
}

static void
write_text(const char *to, const char *text)
{
    FILE *file = fopen(to, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void
assert_text(const char *from, const char *text)
{
    char found[64] = "";
    FILE *file = fopen(from, "r");
    assert_non_null(file);
    (void)!fread(found, 1, sizeof found - 1, file);
    fclose(file);
    assert_string_equal(found, text);
}

/* Declare one output, beside an input when that is not NULL. */
static mpivf_status
declare(struct mpivf_outputs *outputs, const char *out, const char *input, bool force)
{
    mpivf_outputs_init(outputs, &alone);
    mpivf_outputs_read(outputs, input);
    mpivf_outputs_write(outputs, out);
    return mpivf_outputs_declare(outputs, force);
}

/* A declaration that is refused, with nothing made. */
static void
assert_refused(mpivf_status status, const char *words, const char *out, const char *input,
               bool force)
{
    struct mpivf_outputs outputs;
    int before = count_entries(&ctx, folder);
    assert_fails(&ctx, status, words, declare(&outputs, out, input, force));
    mpivf_outputs_end(&outputs);
    assert_int_equal(count_entries(&ctx, folder), before);
}

static void
fill(struct mpivf_outputs *outputs, const char *text)
{
    assert_ok(&ctx, mpivf_file_write(&ctx, &outputs->first->file, text, strlen(text), 0));
}

static void
named_when_whole(void **state)
{
    (void)state;
    struct mpivf_outputs outputs;
    assert_ok(&ctx, declare(&outputs, path, NULL, false));
    assert_true(mpivf_output_owns(outputs.first, outputs.first->partial + strlen(folder) + 1));
    assert_false(mpivf_file_exists(path));
    fill(&outputs, "new");
    assert_ok(&ctx, mpivf_output_commit(&ctx, outputs.first));
    mpivf_outputs_end(&outputs);
    assert_text(path, "new");
    assert_int_equal(count_entries(&ctx, folder), 1);
    assert_ok(&ctx, declare(&outputs, other, NULL, false));
    fill(&outputs, "half");
    mpivf_outputs_end(&outputs); /* it was not to be */
    mpivf_outputs_end(&outputs);
    assert_int_equal(count_entries(&ctx, folder), 1);
}

static void
refused_before_work(void **state)
{
    (void)state;
    assert_refused(MPIVF_EXISTS, "folder", folder, NULL, true);
    assert_refused(MPIVF_USAGE, "names a folder", in("c/"), NULL, false);
    assert_refused(MPIVF_IO, "no folder", in("no/such"), NULL, false);
    write_text(path, "x");
    assert_refused(MPIVF_IO, "no folder", in("a/inside"), NULL, false); /* a file is no folder */
    assert_refused(MPIVF_EXISTS, "--force", path, NULL, false);
    assert_int_equal(mkfifo(other, 0600), 0);
    assert_refused(MPIVF_EXISTS, "not a regular file", other, NULL, true);
    if (geteuid() != 0) { /* everything is allowed to root */
        assert_int_equal(chmod(folder, 0500), 0);
        assert_refused(MPIVF_IO, "cannot write", in("c"), NULL, false);
        assert_int_equal(chmod(folder, 0700), 0);
    }
}

/* 255 bytes a name, 25 of them for .0123456789abcdef.partial; a report takes 12 more. */
static void
long_names(void **state)
{
    (void)state;
    struct mpivf_outputs outputs;
    char name[256];
    memset(name, 'n', sizeof name);
    name[231] = '\0';
    assert_refused(MPIVF_USAGE, "is too long", in(name), NULL, false);
    name[230] = '\0';
    assert_ok(&ctx, declare(&outputs, in(name), NULL, false));
    mpivf_outputs_end(&outputs);
    for (int more = 0; more < 2; more++) {
        name[218] = 'n';
        name[218 + more] = '\0';
        mpivf_outputs_init(&outputs, &alone);
        mpivf_outputs_report(&outputs, mpivf_output_path(mpivf_outputs_write(&outputs, in(name))));
        if (more)
            assert_fails(&ctx, MPIVF_USAGE, "is too long", mpivf_outputs_declare(&outputs, false));
        else
            assert_ok(&ctx, mpivf_outputs_declare(&outputs, false));
        mpivf_outputs_end(&outputs);
    }
    assert_int_equal(count_entries(&ctx, folder), 0);
}

/* The same file by other names: a link, a hard link, a path with a turn, FILE:OBJECT. */
static void
apart_from_inputs(void **state)
{
    (void)state;
    struct mpivf_outputs outputs;
    write_text(path, "x");
    assert_int_equal(symlink("a", in("link")), 0);
    assert_int_equal(link(path, in("hard")), 0);
    write_text(in("with:colon"), "x");
    assert_refused(MPIVF_USAGE, "also an input", path, path, true);
    assert_refused(MPIVF_USAGE, "also an input", in("./a"), path, true);
    assert_refused(MPIVF_USAGE, "also an input", in("link"), path, true);
    assert_refused(MPIVF_USAGE, "also an input", path, in("link:train"), true);
    assert_refused(MPIVF_USAGE, "also an input", path, in("hard:a:b"), true);
    assert_refused(MPIVF_USAGE, "also an input", in("with:colon"), in("with:colon:x"), true);
    assert_refused(MPIVF_USAGE, "also an input", in("none"), in("none"), true);
    assert_ok(&ctx, declare(&outputs, other, path, false));
    mpivf_outputs_end(&outputs);
    assert_text(path, "x");
}

/* Two outputs, or an output and a folder that takes its name, whether or not they are there. */
static void
apart_from_each_other(void **state)
{
    (void)state;
    static const char *const twice[][2] = {
        {"a", "a"}, {"a", "./a"}, {"a", "link"}, {"a", "a.report.json"}, {"a", "a.work"}};
    assert_int_equal(symlink("a", in("link")), 0);
    for (size_t i = 0; i < sizeof twice / sizeof twice[0]; i++)
        for (int there = 0; there < 2; there++) {
            struct mpivf_outputs outputs;
            mpivf_outputs_init(&outputs, &alone);
            const char *first = mpivf_output_path(mpivf_outputs_write(&outputs, in(twice[i][0])));
            mpivf_outputs_report(&outputs, first);
            mpivf_outputs_folder(&outputs, first, NULL, "work");
            mpivf_outputs_write(&outputs, in(twice[i][1]));
            assert_fails(&ctx, MPIVF_USAGE, "name of two outputs",
                         mpivf_outputs_declare(&outputs, true));
            mpivf_outputs_end(&outputs);
            write_text(path, "x");
            assert_int_equal(count_entries(&ctx, folder), 2);
            if (there)
                assert_int_equal(unlink(path), 0);
        }
}

/* What lies in the work folder is no input and no output. */
static void
nothing_in_the_work_folder(void **state)
{
    (void)state;
    struct mpivf_outputs outputs;
    assert_int_equal(mkdir(in("a.work"), 0700), 0);
    write_text(in("a.work/x"), "x");
    for (int out = 0; out < 2; out++) {
        mpivf_outputs_init(&outputs, &alone);
        mpivf_outputs_read(&outputs, out ? NULL : in("a.work/x"));
        const char *first = mpivf_output_path(mpivf_outputs_write(&outputs, path));
        mpivf_outputs_folder(&outputs, first, NULL, "work");
        if (out)
            mpivf_outputs_write(&outputs, in("a.work/y"));
        assert_fails(&ctx, MPIVF_USAGE, "which is the work folder",
                     mpivf_outputs_declare(&outputs, true));
        mpivf_outputs_end(&outputs);
    }
    assert_int_equal(unlink(in("a.work/x")), 0);
}

static void
links_are_followed(void **state)
{
    (void)state;
    struct mpivf_outputs outputs;
    char deep[MPIVF_PATH];
    snprintf(deep, sizeof deep, "%s/deep/b", folder);
    assert_int_equal(mkdir(in("deep"), 0700), 0);
    assert_int_equal(symlink("deep/link", path), 0); /* to a link, to nothing yet */
    assert_int_equal(symlink("b", in("deep/link")), 0);
    mpivf_outputs_init(&outputs, &alone);
    struct mpivf_output *out = mpivf_outputs_write(&outputs, path);
    struct mpivf_output *work =
        mpivf_outputs_folder(&outputs, mpivf_output_path(out), NULL, "work");
    assert_ok(&ctx, mpivf_outputs_declare(&outputs, false));
    assert_string_equal(mpivf_output_path(out), in("deep/b"));
    assert_string_equal(mpivf_output_path(work), in("deep/b.work"));
    fill(&outputs, "new");
    assert_ok(&ctx, mpivf_output_commit(&ctx, out));
    mpivf_outputs_end(&outputs);
    assert_text(deep, "new");
    assert_int_equal(unlink(in("deep/link")), 0);
    assert_int_equal(unlink(deep), 0);
    assert_int_equal(symlink("none/b", other), 0);
    assert_refused(MPIVF_IO, "none'", other, NULL, false);
    assert_int_equal(symlink("loop", in("loop")), 0);
    assert_refused(MPIVF_IO, "symbolic links", in("loop"), NULL, false);
}

static void
reports(void **state)
{
    (void)state;
    struct mpivf_outputs outputs;
    static const char ours[] = "{\n  \"format\": \"mpivf-report\",\n  \"ranks\": 1\n}\n";
    for (int foreign = 0; foreign < 2; foreign++)
        for (int force = 0; force < 2; force++) {
            write_text(in("a.report.json"), foreign ? "{\"mine\": 1}" : ours);
            mpivf_outputs_init(&outputs, &alone);
            mpivf_outputs_report(&outputs, path);
            if (foreign && !force)
                assert_fails(&ctx, MPIVF_EXISTS, "is not a report of mpivf",
                             mpivf_outputs_declare(&outputs, false));
            else
                assert_ok(&ctx, mpivf_outputs_declare(&outputs, force != 0));
            mpivf_outputs_end(&outputs);
        }
}

/* ---- two at once ---- */

static void
second_is_refused(void **state)
{
    (void)state;
    struct mpivf_outputs first, second;
    assert_ok(&ctx, declare(&first, path, NULL, false));
    fill(&first, "first");
    assert_fails(&ctx, MPIVF_EXISTS, "another process is at work on",
                 declare(&second, path, NULL, false));
    mpivf_outputs_end(&second);
    assert_ok(&ctx, declare(&second, other, NULL, false)); /* another name */
    mpivf_outputs_end(&second);
    assert_int_equal(count_entries(&ctx, folder), 1);
    assert_ok(&ctx, mpivf_output_commit(&ctx, first.first));
    mpivf_outputs_end(&first);
    assert_text(path, "first");
}

/* What a killed run leaves: nothing written, or something. */
static void
left_over(void **state)
{
    (void)state;
    struct mpivf_outputs outputs;
    write_text(in("a.0123456789abcdef.partial"), "");
    write_text(in("a.0123456789abcdee.partial"), "half");
    write_text(in("a.partial"), "mine");
    write_text(in("a.0123456789abcde.partial"), "");
    write_text(in("a.0123456789ABCDEF.partial"), "");
    write_text(in("aa.0123456789abcdef.partial"), "");
    assert_ok(&ctx, declare(&outputs, path, NULL, false));
    assert_non_null(strstr(note, "a.0123456789abcdee.partial' was left by an earlier run"));
    assert_int_equal(count_entries(&ctx, folder), 6); /* the empty one has gone, ours has come */
    mpivf_outputs_end(&outputs);
    assert_text(in("a.partial"), "mine");
    assert_int_equal(count_entries(&ctx, folder), 5);
}

/* A file that comes under the name while we are at work, in every way it may come. */
static void
appeared(void **state)
{
    (void)state;
    for (int before = 0; before < 2; before++)
        for (int force = before; force < 2; force++) {
            struct mpivf_outputs outputs;
            char partial[MPIVF_PATH];
            if (before)
                write_text(path, "old");
            assert_ok(&ctx, declare(&outputs, path, NULL, force != 0));
            strcpy(partial, outputs.first->partial);
            fill(&outputs, "result");
            write_text(path, "another's");
            assert_fails(&ctx, MPIVF_EXISTS, "appeared while this command was at work and is kept",
                         mpivf_output_commit(&ctx, outputs.first));
            mpivf_outputs_end(&outputs);
            assert_text(path, "another's");
            assert_text(partial, "result");
            assert_int_equal(unlink(partial), 0);
            assert_int_equal(unlink(path), 0);
        }
}

static void
replaced_when_forced(void **state)
{
    (void)state;
    for (int gone = 0; gone < 2; gone++) {
        struct mpivf_outputs outputs;
        write_text(path, "old");
        assert_ok(&ctx, declare(&outputs, path, NULL, true));
        fill(&outputs, "new");
        if (gone)
            assert_int_equal(unlink(path), 0);
        assert_text(gone ? outputs.first->partial : path, gone ? "new" : "old");
        assert_ok(&ctx, mpivf_output_commit(&ctx, outputs.first));
        mpivf_outputs_end(&outputs);
        assert_text(path, "new");
        assert_int_equal(count_entries(&ctx, folder), 1);
    }
}

/* Somebody tidied up: what has the partial's name now is not ours. */
static void
partial_taken_away(void **state)
{
    (void)state;
    struct mpivf_outputs outputs;
    assert_ok(&ctx, declare(&outputs, path, NULL, false));
    fill(&outputs, "new");
    assert_int_equal(rename(outputs.first->partial, other), 0);
    write_text(outputs.first->partial, "mine");
    assert_fails(&ctx, MPIVF_IO, "was taken away", mpivf_output_commit(&ctx, outputs.first));
    mpivf_outputs_end(&outputs);
    assert_false(mpivf_file_exists(path));
    assert_int_equal(count_entries(&ctx, folder), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST("output: its name comes when it is whole", named_when_whole),
        FILE_TEST("output: refused before the work", refused_before_work),
        FILE_TEST("output: names that are too long", long_names),
        FILE_TEST("output: no input, by whatever name", apart_from_inputs),
        FILE_TEST("output: no other output", apart_from_each_other),
        FILE_TEST("output: nothing in the work folder", nothing_in_the_work_folder),
        FILE_TEST("output: links are followed", links_are_followed),
        FILE_TEST("output: a report of ours is replaced", reports),
        FILE_TEST("output: of two at once the second is refused", second_is_refused),
        FILE_TEST("output: what killed runs leave", left_over),
        FILE_TEST("output: what appeared is kept, and the result too", appeared),
        FILE_TEST("output: forced, the file that was there is replaced", replaced_when_forced),
        FILE_TEST("output: a partial that was taken away", partial_taken_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
