/* hdf5: every file that a dataset stands on is told, and each can be missing. */
#include "testing.h"

#include "io/hdf5.h"

#include <hdf5.h>

enum { ROWS = 40, DIM = 3, FILES = 8 };

/* What was visited, by the last part of the path. */
struct seen {
    char name[FILES][64];
    int count, max;
};

static mpivf_status
see(struct mpivf_context *ctx, void *arg, const char *path)
{
    struct seen *seen = arg;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (int i = 0; i < seen->count; i++)
        if (strcmp(seen->name[i], name) == 0)
            return MPIVF_OK;
    assert_true(seen->count < FILES);
    strcpy(seen->name[seen->count++], name);
    return seen->count > seen->max ? mpivf_fail(ctx, MPIVF_USAGE, "enough") : MPIVF_OK;
}

static bool
has(const struct seen *seen, const char *name)
{
    for (int i = 0; i < seen->count; i++)
        if (strcmp(seen->name[i], name) == 0)
            return true;
    return false;
}

static hid_t
create(const char *folder, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

static void
add_dataset(hid_t file, const char *name, hid_t create)
{
    hsize_t dim[2] = {ROWS, DIM};
    float rows[ROWS * DIM] = {0};
    hid_t space = H5Screate_simple(2, dim, NULL);
    hid_t id = H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, create, H5P_DEFAULT);
    assert_true(id >= 0);
    if (H5Pget_layout(create) != H5D_VIRTUAL)
        assert_true(H5Dwrite(id, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) >= 0);
    H5Dclose(id);
    H5Sclose(space);
}

/* A virtual dataset of all of `object` in `source`. */
static void
add_virtual(hid_t file, const char *name, const char *source, const char *object)
{
    hsize_t dim[2] = {ROWS, DIM};
    hid_t space = H5Screate_simple(2, dim, NULL), list = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_virtual(list, space, source, object, space) >= 0);
    add_dataset(file, name, list);
    H5Pclose(list);
    H5Sclose(space);
}

/* top.h5 -link-> middle.h5, virtual, of by-link.h5 -link-> chain.h5 -link-> raw.h5, in raw.bin. */
static void
make_files(const char *folder)
{
    char bytes[128];
    snprintf(bytes, sizeof bytes, "%s/raw.bin", folder);
    hid_t raw = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_external(raw, bytes, 0, H5F_UNLIMITED) >= 0);
    hid_t file = create(folder, "raw.h5");
    add_dataset(file, "rows", raw);
    H5Fclose(file);
    H5Pclose(raw);
    file = create(folder, "chain.h5");
    assert_true(H5Lcreate_external("raw.h5", "/rows", file, "on", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    assert_true(H5Lcreate_soft("on", file, "soft", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Fclose(file);
    file = create(folder, "by-link.h5");
    assert_true(H5Lcreate_external("chain.h5", "/", file, "group", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Fclose(file);
    file = create(folder, "middle.h5");
    add_virtual(file, "train", "by-link.h5", "group/soft");
    H5Fclose(file);
    file = create(folder, "top.h5");
    assert_true(H5Lcreate_external("middle.h5", "train", file, "train", H5P_DEFAULT, H5P_DEFAULT) >=
                0);
    H5Fclose(file);
}

static const char *const all[] = {"top.h5",   "middle.h5", "by-link.h5",
                                  "chain.h5", "raw.h5",    "raw.bin"};
enum { ALL = sizeof all / sizeof all[0] };

static void
each_file_is_told(void **state)
{
    (void)state;
    char folder[FOLDER], path[128];
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    make_folder(folder);
    make_files(folder);
    snprintf(path, sizeof path, "%s/top.h5", folder);
    struct seen seen = {.max = FILES};
    assert_ok(&ctx, mpivf_h5_stands_on(&ctx, path, "train", see, &seen));
    assert_int_equal(seen.count, ALL);
    for (int i = 0; i < ALL; i++)
        assert_true(has(&seen, all[i]));
    seen = (struct seen){.max = 2};
    assert_fails(&ctx, MPIVF_USAGE, "enough", mpivf_h5_stands_on(&ctx, path, "train", see, &seen));
    assert_int_equal(seen.count, 3);
    assert_int_equal(ctx.memory.used, 0);
    assert_ok(&ctx, mpivf_folder_remove(&ctx, folder));
}

static void
each_file_can_be_missing(void **state)
{
    (void)state;
    char folder[FOLDER], path[128], gone[128], aside[128];
    struct mpivf_context ctx;
    struct mpivf_matrix shape;
    struct mpivf_h5_layout *layout = NULL;
    mpivf_context_init(&ctx);
    make_folder(folder);
    make_files(folder);
    snprintf(path, sizeof path, "%s/top.h5", folder);
    snprintf(aside, sizeof aside, "%s/aside", folder);
    for (int i = 1; i < ALL; i++) {
        snprintf(gone, sizeof gone, "%s/%s", folder, all[i]);
        assert_int_equal(rename(gone, aside), 0);
        assert_fails(&ctx, MPIVF_INPUT, all[i],
                     mpivf_h5_matrix(&ctx, path, "train", NULL, NULL, &shape, &layout));
        assert_int_equal(rename(aside, gone), 0);
        assert_null(layout);
        assert_int_equal(ctx.memory.used, 0);
    }
    assert_ok(&ctx, mpivf_h5_matrix(&ctx, path, "train", NULL, NULL, &shape, &layout));
    assert_true(shape.rows == ROWS && shape.dim == DIM && !shape.direct);
    mpivf_h5_layout_free(&ctx, &layout);
    assert_int_equal(ctx.memory.used, 0);
    assert_ok(&ctx, mpivf_folder_remove(&ctx, folder));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("hdf5: each file that a dataset stands on is told", each_file_is_told),
        TEST("hdf5: each file that a dataset stands on can be missing", each_file_can_be_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
