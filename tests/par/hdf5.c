/* HDF5 by pieces: chunks are inflated once in a pass, and the rows are right, at any batch. */
#include "checks.h"

#include <mpivf/source.h>

#include <hdf5.h>

enum { ROWS = 1000, DIM = 6, CHUNK = 64, FILTER = 300 };

static uint64_t decoded; /* chunks, by this rank */

/* A filter that changes nothing and counts. */
static size_t
count_chunk(unsigned flags, size_t values, const unsigned *value, size_t bytes, size_t *room,
            void **data)
{
    (void)values, (void)value, (void)room, (void)data;
    decoded += (flags & H5Z_FLAG_REVERSE) != 0;
    return bytes;
}

static float
element(uint64_t row, uint64_t column)
{
    return (float)(row * DIM + column);
}

/* Rows [first, first + rows) in counted chunks, two across. */
static void
make_file(struct checks *t, const char *path, uint64_t first, uint64_t rows)
{
    static float value[ROWS * DIM];
    hsize_t dim[2] = {rows, DIM}, chunk[2] = {CHUNK, 4};
    for (uint64_t i = 0; i < rows * DIM; i++)
        value[i] = element(first + i / DIM, i % DIM);
    hid_t create = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, dim, NULL);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    CHECK(t, H5Pset_chunk(create, 2, chunk) >= 0);
    CHECK(t, H5Pset_filter(create, FILTER, H5Z_FLAG_MANDATORY, 0, NULL) >= 0);
    hid_t id = H5Dcreate2(file, "train", H5T_IEEE_F32LE, space, H5P_DEFAULT, create, H5P_DEFAULT);
    CHECK(t, H5Dwrite(id, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, value) >= 0);
    H5Dclose(id);
    H5Fclose(file);
    H5Sclose(space);
    H5Pclose(create);
}

/* Both files one after the other. */
static void
make_virtual(struct checks *t, const char *path, uint64_t cut)
{
    hsize_t dim[2] = {ROWS, DIM};
    hid_t create = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, dim, NULL);
    const char *const name[] = {"a.h5", "b.h5"};
    for (int i = 0; i < 2; i++) {
        hsize_t start[2] = {i ? cut : 0, 0}, count[2] = {i ? ROWS - cut : cut, DIM};
        hid_t there = H5Screate_simple(2, count, NULL);
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
        CHECK(t, H5Pset_virtual(create, space, name[i], "train", there) >= 0);
        H5Sclose(there);
    }
    H5Sselect_all(space);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t id = H5Dcreate2(file, "train", H5T_IEEE_F32LE, space, H5P_DEFAULT, create, H5P_DEFAULT);
    CHECK(t, id >= 0);
    H5Dclose(id);
    H5Fclose(file);
    H5Sclose(space);
    H5Pclose(create);
}

/* Every rank reads all rows in batches. How many chunks it decoded. */
static uint64_t
pass(struct checks *t, const char *path, uint64_t batch)
{
    struct mpivf_source source;
    static float row[ROWS * DIM];
    CHECK(t, mpivf_source_open_all(&source, &t->par, path, "train", (struct mpivf_reading){0}) ==
                 MPIVF_OK);
    decoded = 0;
    for (uint64_t first = 0; first < ROWS; first += batch) {
        struct mpivf_range range = {first, ROWS - first < batch ? ROWS - first : batch};
        CHECK(t, mpivf_source_read_each(&source, &range, 1, row) == MPIVF_OK);
        for (uint64_t i = 0; i < range.rows * DIM; i++)
            CHECK(t, row[i] == element(first + i / DIM, i % DIM));
    }
    mpivf_source_close_all(&source);
    return decoded;
}

static uint64_t
chunks_of(uint64_t rows)
{
    return (rows + CHUNK - 1) / CHUNK * 2;
}

static void
chunks_are_decoded_once(struct checks *t)
{
    static const H5Z_class2_t class = {H5Z_CLASS_T_VERS, FILTER, 1,    1,
                                       "count",          NULL,   NULL, count_chunk};
    const uint64_t cut = 391;
    char a[128], b[128], both[128];
    CHECK(t, H5Zregister(&class) >= 0);
    snprintf(a, sizeof a, "%s/a.h5", t->folder);
    snprintf(b, sizeof b, "%s/b.h5", t->folder);
    snprintf(both, sizeof both, "%s/both.h5", t->folder);
    if (t->par.rank == 0) {
        make_file(t, a, 0, ROWS);
    }
    mpivf_sum_u64_all(&t->par, 0);
    const uint64_t batch[] = {1, 37, CHUNK, 100, 3 * CHUNK, ROWS};
    for (size_t i = 0; i < sizeof batch / sizeof batch[0]; i++)
        CHECK(t, pass(t, a, batch[i]) == chunks_of(ROWS));
    mpivf_sum_u64_all(&t->par, 0);
    if (t->par.rank == 0) {
        make_file(t, a, 0, cut);
        make_file(t, b, cut, ROWS - cut);
        make_virtual(t, both, cut);
    }
    mpivf_sum_u64_all(&t->par, 0);
    for (size_t i = 0; i < sizeof batch / sizeof batch[0]; i++)
        CHECK(t, pass(t, both, batch[i]) == chunks_of(cut) + chunks_of(ROWS - cut));
    CHECK(t, t->ctx.memory.used == 0);
}

int
main(int argc, char **argv)
{
    static const struct par_test tests[] = {
        {"hdf5: a pass decodes each chunk once, at any batch", chunks_are_decoded_once},
    };
    return run_tests_all(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
