/* Files: whole or an error, final names only for whole files, refusals that say why. */
#include "testing.h"

#include <sys/stat.h>
#include <unistd.h>

static struct mpivf_context ctx;
static char folder[FOLDER], path[MPIVF_PATH], other[MPIVF_PATH];

static int
set_up(void **state)
{
    (void)state;
    mpivf_context_init(&ctx);
    make_folder(folder);
    snprintf(path, sizeof path, "%s/a", folder);
    snprintf(other, sizeof other, "%s/b", folder);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    remove_folder(&ctx, folder);
    return access(folder, F_OK) == 0;
}

static void
write_text(const char *to, const char *text)
{
    struct mpivf_file file;
    assert_ok(&ctx, mpivf_file_create(&ctx, to, &file));
    assert_ok(&ctx, mpivf_file_write(&ctx, &file, text, strlen(text), 0));
    assert_ok(&ctx, mpivf_file_sync(&ctx, &file));
    assert_ok(&ctx, mpivf_file_close(&ctx, &file));
    assert_int_equal(file.fd, -1);
}

static void
assert_text(const char *from, const char *text)
{
    char found[64] = "";
    uint64_t bytes;
    struct mpivf_file file;
    assert_ok(&ctx, mpivf_file_size(&ctx, from, &bytes));
    assert_int_equal(bytes, strlen(text));
    assert_ok(&ctx, mpivf_file_open(&ctx, from, &file));
    assert_ok(&ctx, mpivf_file_read(&ctx, &file, found, bytes, 0));
    assert_ok(&ctx, mpivf_file_close(&ctx, &file));
    assert_string_equal(found, text);
}

static void
written_is_read(void **state)
{
    (void)state;
    struct mpivf_file file;
    write_text(path, "0123456789");
    assert_ok(&ctx, mpivf_file_update(&ctx, path, &file));
    assert_ok(&ctx, mpivf_file_write(&ctx, &file, "XY", 2, 4));
    assert_ok(&ctx, mpivf_file_write(&ctx, &file, "Z", 1, 11));
    assert_ok(&ctx, mpivf_file_write(&ctx, &file, NULL, 0, 500));
    char found[13] = "";
    assert_ok(&ctx, mpivf_file_read(&ctx, &file, found, 12, 0));
    assert_memory_equal(found, "0123XY6789\0Z", 12);
    assert_ok(&ctx, mpivf_file_close(&ctx, &file));
    assert_ok(&ctx, mpivf_file_close(&ctx, &file)); /* closed is fine */
}

static void
truncated_read(void **state)
{
    (void)state;
    struct mpivf_file file;
    char found[16];
    write_text(path, "0123456789");
    assert_ok(&ctx, mpivf_file_open(&ctx, path, &file));
    assert_ok(&ctx, mpivf_file_read(&ctx, &file, found, 10, 0));
    assert_ok(&ctx, mpivf_file_read(&ctx, &file, found, 0, 99));
    assert_fails(&ctx, MPIVF_CORRUPT, "truncated", mpivf_file_read(&ctx, &file, found, 11, 0));
    assert_fails(&ctx, MPIVF_CORRUPT, path, mpivf_file_read(&ctx, &file, found, 1, 10));
    assert_fails(&ctx, MPIVF_IO, "write", mpivf_file_write(&ctx, &file, found, 1, 0));
    assert_ok(&ctx, mpivf_file_close(&ctx, &file));
}

static void
commit_gives_the_name(void **state)
{
    (void)state;
    write_text(path, "old");
    write_text(other, "new");
    assert_ok(&ctx, mpivf_file_commit(&ctx, other, path));
    assert_text(path, "new");
    assert_false(mpivf_file_exists(other));
    assert_fails(&ctx, MPIVF_IO, path, mpivf_file_commit(&ctx, other, path));
    assert_text(path, "new");
}

static void
missing_files(void **state)
{
    (void)state;
    struct mpivf_file file;
    uint64_t bytes = 7;
    assert_fails(&ctx, MPIVF_IO, path, mpivf_file_open(&ctx, path, &file));
    assert_int_equal(file.fd, -1);
    assert_fails(&ctx, MPIVF_IO, path, mpivf_file_update(&ctx, path, &file));
    assert_fails(&ctx, MPIVF_IO, path, mpivf_file_size(&ctx, path, &bytes));
    assert_int_equal(bytes, 7);
    assert_false(mpivf_file_exists(path));
    assert_ok(&ctx, mpivf_file_remove(&ctx, path));
    assert_ok(&ctx, mpivf_folder_remove(&ctx, path));
    snprintf(other, sizeof other, "%s/no/such", folder);
    assert_fails(&ctx, MPIVF_IO, "create", mpivf_file_create(&ctx, other, &file));
    assert_fails(&ctx, MPIVF_IO, "remove", mpivf_file_remove(&ctx, folder));
}

/* None of these is to be waited for; a test that hangs has failed. */
static void
only_regular_files(void **state)
{
    (void)state;
    struct mpivf_file file;
    assert_fails(&ctx, MPIVF_INPUT, "is a folder", mpivf_file_open(&ctx, folder, &file));
    assert_int_equal(file.fd, -1);
    assert_fails(&ctx, MPIVF_INPUT, "is a device", mpivf_file_open(&ctx, "/dev/zero", &file));
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_fails(&ctx, MPIVF_INPUT, "is a pipe", mpivf_file_open(&ctx, path, &file));
    assert_false(mpivf_file_regular(path));
    assert_ok(&ctx, mpivf_file_remove(&ctx, path));
    assert_int_equal(symlink("gone", path), 0);
    assert_fails(&ctx, MPIVF_INPUT, "is a link to 'gone', where there is no file",
                 mpivf_file_open(&ctx, path, &file));
    assert_ok(&ctx, mpivf_file_remove(&ctx, path));
    write_text(path, "x");
    snprintf(other, sizeof other, "%s/link", folder);
    assert_int_equal(symlink(path, other), 0);
    assert_true(mpivf_file_regular(other));
    assert_ok(&ctx, mpivf_file_open(&ctx, other, &file));
    mpivf_file_drop(&file);
    assert_ok(&ctx, mpivf_file_remove(&ctx, other));
}

/* What has the name stays as it is, a link and what it points to too. */
static void
created_anew(void **state)
{
    (void)state;
    struct mpivf_file file;
    write_text(path, "mine");
    assert_fails(&ctx, MPIVF_IO, "File exists", mpivf_file_create(&ctx, path, &file));
    assert_int_equal(symlink(path, other), 0);
    assert_fails(&ctx, MPIVF_IO, "File exists", mpivf_file_create(&ctx, other, &file));
    assert_int_equal(unlink(path), 0);
    assert_fails(&ctx, MPIVF_IO, "File exists", mpivf_file_create(&ctx, other, &file));
    assert_false(mpivf_file_exists(path));
}

static void
in_memory(void **state)
{
    (void)state;
    struct mpivf_file file, again;
    char name[MPIVF_PATH], found[4];
    assert_ok(&ctx, mpivf_file_memory(&ctx, name, &file));
    assert_ok(&ctx, mpivf_file_write(&ctx, &file, "abc", 3, (uint64_t)1 << 40)); /* a hole before */
    assert_ok(&ctx, mpivf_file_open(&ctx, name, &again));
    assert_ok(&ctx, mpivf_file_read(&ctx, &again, found, 3, (uint64_t)1 << 40));
    assert_memory_equal(found, "abc", 3);
    assert_ok(&ctx, mpivf_file_close(&ctx, &again));
    assert_ok(&ctx, mpivf_file_close(&ctx, &file));
    assert_fails(&ctx, MPIVF_IO, name, mpivf_file_open(&ctx, name, &again));
}

static void
held(void **state)
{
    (void)state;
    struct mpivf_file first, second;
    assert_ok(&ctx, mpivf_file_create(&ctx, path, &first));
    assert_ok(&ctx, mpivf_file_update(&ctx, path, &second));
    assert_false(mpivf_file_held(&second));
    assert_true(mpivf_file_hold(&first));
    assert_true(mpivf_file_held(&second));
    assert_false(mpivf_file_hold(&second));
    assert_false(mpivf_file_held(&first)); /* by another */
    mpivf_file_drop(&first);
    assert_true(mpivf_file_hold(&second));
    mpivf_file_drop(&second);
    int lock = mpivf_folder_lock(folder);
    assert_true(lock >= 0);
    assert_int_equal(mpivf_folder_lock(folder), -1);
    mpivf_folder_unlock(lock);
    lock = mpivf_folder_lock(folder);
    assert_true(lock >= 0);
    mpivf_folder_unlock(lock);
    assert_int_equal(mpivf_folder_lock(path), -1); /* no folder */
    mpivf_folder_unlock(-1);
}

static void
paths(void **state)
{
    (void)state;
    char long_name[2 * MPIVF_PATH], joined[MPIVF_PATH];
    memset(long_name, 'x', sizeof long_name);
    long_name[MPIVF_PATH - 1] = '\0';
    assert_ok(&ctx, mpivf_path(&ctx, joined, "%s", long_name));
    assert_string_equal(joined, long_name);
    assert_fails(&ctx, MPIVF_USAGE, "too long", mpivf_path(&ctx, joined, "%s/", long_name));
    static const char *const folder_of[][2] = {{"a", "."},   {"/a", "/"},  {"/a/b", "/a"},
                                               {"a/b", "a"}, {"./a", "."}, {"a/b/", "a/b"}};
    for (size_t i = 0; i < sizeof folder_of / sizeof folder_of[0]; i++) {
        mpivf_path_folder(folder_of[i][0], joined);
        assert_string_equal(joined, folder_of[i][1]);
    }
}

static mpivf_status
count_to_stop(struct mpivf_context *c, void *arg, const char *name)
{
    int *seen = arg;
    if (strcmp(name, "stop") == 0)
        return mpivf_fail(c, MPIVF_INPUT, "stopped");
    return ++*seen, MPIVF_OK;
}

static void
folders(void **state)
{
    (void)state;
    int seen = 0;
    assert_ok(&ctx, mpivf_folder_create(&ctx, folder)); /* there already */
    assert_fails(&ctx, MPIVF_INPUT, "there is no file '/tmp/", mpivf_file_expect(&ctx, path));
    write_text(path, "x");
    assert_ok(&ctx, mpivf_file_expect(&ctx, path));
    write_text(other, "y");
    assert_ok(&ctx, mpivf_folder_list(&ctx, folder, count_to_stop, &seen));
    assert_int_equal(seen, 2);
    snprintf(other, sizeof other, "%s/stop", folder);
    write_text(other, "");
    assert_fails(&ctx, MPIVF_INPUT, "stopped",
                 mpivf_folder_list(&ctx, folder, count_to_stop, &seen));
    assert_fails(&ctx, MPIVF_IO, path, mpivf_folder_list(&ctx, path, count_to_stop, &seen));
    snprintf(other, sizeof other, "%s/no/such", folder);
    assert_fails(&ctx, MPIVF_IO, other, mpivf_folder_create(&ctx, other));
}

static void
space(void **state)
{
    (void)state;
    assert_ok(&ctx, mpivf_folder_space(&ctx, folder, 1, "one byte"));
    assert_fails(&ctx, MPIVF_IO, "the moon",
                 mpivf_folder_space(&ctx, folder, UINT64_MAX / 2, "the moon"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST("file: what is written is read", written_is_read),
        FILE_TEST("file: a read beyond the end is damage", truncated_read),
        FILE_TEST("file: commit gives the final name", commit_gives_the_name),
        FILE_TEST("file: missing files", missing_files),
        FILE_TEST("file: only regular files are opened", only_regular_files),
        FILE_TEST("file: a new file is new", created_anew),
        FILE_TEST("file: a file in memory has no other name", in_memory),
        FILE_TEST("file: who holds one is seen", held),
        FILE_TEST("file: paths", paths),
        FILE_TEST("file: folders", folders),
        FILE_TEST("file: disk space", space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
