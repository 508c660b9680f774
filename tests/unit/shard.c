/* A shard buffer becomes a shard: sorted, complete, with what was rejected and what it covers. */
#include "testing.h"

#include "build/shard.h"

#include <dirent.h>

enum { LISTS = 5, DIM = 3, CAPACITY = 64, ROWS = 40 };

static struct mpivf_context ctx;
static char folder[FOLDER];
static struct mpivf_shard_buffer buffer;
static float row[ROWS][DIM], centroid[LISTS][DIM];
static uint32_t list[ROWS];
static int64_t id[ROWS];

static int
set_up(void **state)
{
    (void)state;
    mpivf_context_init(&ctx);
    make_folder(folder);
    struct mpivf_index_meta meta = {.metric = MPIVF_L2,
                                    .codec = mpivf_codec(MPIVF_CODEC_F32),
                                    .dim = DIM,
                                    .lists = LISTS,
                                    .source_rows = 100,
                                    .store = true};
    assert_ok(&ctx, mpivf_shard_buffer_init(&ctx, &buffer, &meta, &centroid[0][0], CAPACITY));
    fill_normal(&row[0][0], ROWS * DIM, 1, 1, 0);
    for (size_t i = 0; i < ROWS; i++) {
        list[i] = (uint32_t)(draw(2, i) % (LISTS - 1)); /* the last list stays empty */
        id[i] = (int64_t)mpivf_random_place(3, MPIVF_FOR_DEAL, 1000, i);
    }
    list[4] = list[30] = list[17] = UINT32_MAX; /* rejected */
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    mpivf_shard_buffer_clear(&buffer);
    remove_folder(&ctx, folder);
    return ctx.memory.used != 0;
}

static int
entries(void)
{
    int n = -2;
    DIR *open = opendir(folder);
    assert_non_null(open);
    while (readdir(open))
        n++;
    closedir(open);
    return n;
}

/* Where the row with this id was put in. */
static size_t
position_of(int64_t wanted)
{
    for (size_t i = 0; i < ROWS; i++)
        if (id[i] == wanted)
            return i;
    fail_msg("id %lld was never put in", (long long)wanted);
    return 0;
}

static void
assert_list(const struct mpivf_index *index, uint64_t l)
{
    struct mpivf_file file = mpivf_index_file(index);
    int64_t last = INT64_MIN;
    for (uint64_t at = index->list_offset[l]; at < index->list_offset[l + 1]; at++) {
        int64_t found;
        float code[DIM], vector[DIM];
        assert_ok(&ctx, mpivf_file_read(&ctx, &file, &found, 8, index->layout.plane[0] + at * 8));
        assert_ok(&ctx, mpivf_file_read(&ctx, &file, code, sizeof code,
                                        index->layout.plane[1] + at * sizeof code));
        assert_ok(&ctx, mpivf_file_read(&ctx, &file, vector, sizeof vector,
                                        index->layout.plane[2] + at * sizeof vector));
        size_t i = position_of(found);
        assert_true(found > last);
        assert_int_equal(list[i], l);
        assert_memory_equal(code, row[i], sizeof code);
        assert_memory_equal(vector, row[i], sizeof vector);
        last = found;
    }
}

static void
sorted_and_complete(void **state)
{
    (void)state;
    struct mpivf_index index;
    char path[MPIVF_PATH];
    const struct mpivf_range cover[] = {{60, 15}, {10, 20}, {30, 5}};
    mpivf_shard_buffer_cover(&buffer, cover, 3, 0);
    mpivf_shard_buffer_put(&buffer, row[0], 25, list, id);
    mpivf_shard_buffer_put(&buffer, row[25], ROWS - 25, list + 25, id + 25);
    assert_ok(&ctx, mpivf_shard_write(&buffer, folder));
    assert_true(buffer.rows == 0 && buffer.rejects == 0 && buffer.ranges == 0);
    assert_int_equal(entries(), 1);
    assert_ok(&ctx,
              mpivf_path(&ctx, path, MPIVF_SHARD_NAME, folder, 10ull, (unsigned long long)ROWS));
    assert_ok(&ctx, mpivf_index_open(&ctx, path, &index));
    assert_int_equal(index.meta.rows, ROWS - 3);
    assert_int_equal(index.meta.ranges, 2);
    assert_true(index.range[0].row == 10 && index.range[0].rows == 25);
    assert_true(index.range[1].row == 60 && index.range[1].rows == 15);
    assert_int_equal(index.meta.centroids, 0);
    for (uint64_t l = 0; l < LISTS; l++)
        assert_list(&index, l);
    mpivf_index_close(&index);
}

static void
rejected_are_listed(void **state)
{
    (void)state;
    struct mpivf_index index;
    char path[MPIVF_PATH];
    const struct mpivf_range cover = {0, ROWS};
    mpivf_shard_buffer_cover(&buffer, &cover, 1, 0);
    mpivf_shard_buffer_put(&buffer, row[0], ROWS, list, id);
    assert_ok(&ctx, mpivf_shard_write(&buffer, folder));
    assert_ok(&ctx,
              mpivf_path(&ctx, path, MPIVF_SHARD_NAME, folder, 0ull, (unsigned long long)ROWS));
    assert_ok(&ctx, mpivf_index_open(&ctx, path, &index));
    assert_int_equal(index.meta.rejected, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(list[position_of(index.rejected[i])], UINT32_MAX);
        if (i > 0)
            assert_true(index.rejected[i] > index.rejected[i - 1]);
    }
    mpivf_index_close(&index);
}

/* Neither the order of rows nor the number of threads. */
static void
arrival_does_not_show(void **state)
{
    (void)state;
    enum { TURNS = 4 };
    static const int threads[TURNS] = {1, 1, 2, 7};
    uint64_t bytes[TURNS], sum[TURNS];
    for (int turn = 0; turn < TURNS; turn++) {
        char path[MPIVF_PATH];
        const struct mpivf_range cover = {0, ROWS};
        ctx.threads = threads[turn];
        mpivf_shard_buffer_cover(&buffer, &cover, 1, 0);
        for (size_t i = 0; i < ROWS; i++) {
            size_t at = turn == 1 ? ROWS - 1 - i : i;
            mpivf_shard_buffer_put(&buffer, row[at], 1, &list[at], &id[at]);
        }
        assert_ok(&ctx, mpivf_shard_write(&buffer, folder));
        assert_ok(&ctx,
                  mpivf_path(&ctx, path, MPIVF_SHARD_NAME, folder, 0ull, (unsigned long long)ROWS));
        assert_ok(&ctx, mpivf_file_size(&ctx, path, &bytes[turn]));
        struct mpivf_file file;
        char *content = room(bytes[turn], 1);
        assert_ok(&ctx, mpivf_file_open(&ctx, path, &file));
        assert_ok(&ctx, mpivf_file_read(&ctx, &file, content, bytes[turn], 0));
        assert_ok(&ctx, mpivf_file_close(&ctx, &file));
        sum[turn] = mpivf_checksum_of(content, bytes[turn]);
        free(content);
        assert_int_equal(bytes[turn], bytes[0]);
        assert_int_equal(sum[turn], sum[0]);
    }
}

static void
doubled_id(void **state)
{
    (void)state;
    const struct mpivf_range cover = {0, ROWS};
    list[9] = list[8];
    id[9] = id[8];
    mpivf_shard_buffer_cover(&buffer, &cover, 1, 0);
    mpivf_shard_buffer_put(&buffer, row[0], ROWS, list, id);
    ctx.threads = 3;
    assert_fails(&ctx, MPIVF_INPUT, "two rows", mpivf_shard_write(&buffer, folder));
    assert_int_equal(entries(), 0);
}

static void
nothing_and_only_rejected(void **state)
{
    (void)state;
    const struct mpivf_range cover = {7, 2};
    struct mpivf_index index;
    char path[MPIVF_PATH];
    assert_ok(&ctx, mpivf_shard_write(&buffer, folder));
    assert_int_equal(entries(), 0);
    assert_ok(&ctx, mpivf_shard_write_any(&buffer, folder)); /* that of a part without rows */
    assert_ok(&ctx, mpivf_path(&ctx, path, MPIVF_SHARD_NAME, folder, 0ull, 0ull));
    assert_ok(&ctx, mpivf_index_open(&ctx, path, &index));
    assert_true(index.meta.rows == 0 && index.meta.rejected == 0 && index.meta.ranges == 0);
    mpivf_index_close(&index);
    assert_ok(&ctx, mpivf_file_remove(&ctx, path));
    uint32_t none[2] = {UINT32_MAX, UINT32_MAX};
    mpivf_shard_buffer_cover(&buffer, &cover, 1, 0);
    mpivf_shard_buffer_put(&buffer, row[0], 2, none, id);
    assert_ok(&ctx, mpivf_shard_write(&buffer, folder));
    assert_int_equal(entries(), 1);
}

static void
fits(void **state)
{
    (void)state;
    assert_true(mpivf_shard_buffer_fits(&buffer, CAPACITY, 1));
    assert_false(mpivf_shard_buffer_fits(&buffer, CAPACITY + 1, 1));
    mpivf_shard_buffer_put(&buffer, row[0], ROWS, list, id); /* rejected rows take room too */
    assert_true(mpivf_shard_buffer_fits(&buffer, CAPACITY - ROWS, 1));
    assert_false(mpivf_shard_buffer_fits(&buffer, CAPACITY - ROWS + 1, 1));
    assert_true(mpivf_shard_buffer_fits(&buffer, 0, buffer.max_ranges));
    assert_false(mpivf_shard_buffer_fits(&buffer, 0, buffer.max_ranges + 1));
}

/* With what is taken while writing. */
static void
memory_is_as_told(void **state)
{
    (void)state;
    const struct mpivf_range cover = {0, ROWS};
    for (int threads = 1; threads <= 9; threads += 4) {
        ctx.threads = threads;
        ctx.memory.peak = 0;
        mpivf_shard_buffer_cover(&buffer, &cover, 1, 0);
        mpivf_shard_buffer_put(&buffer, row[0], ROWS, list, id);
        assert_ok(&ctx, mpivf_shard_write(&buffer, folder));
        assert_true(ctx.memory.peak <= mpivf_shard_buffer_bytes(&buffer.meta, CAPACITY, threads));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST("shard: sorted by list and id, ranges joined", sorted_and_complete),
        FILE_TEST("shard: rejected rows are listed", rejected_are_listed),
        FILE_TEST("shard: neither order of arrival nor threads show", arrival_does_not_show),
        FILE_TEST("shard: an id given twice is refused", doubled_id),
        FILE_TEST("shard: nothing at all, and only rejected rows", nothing_and_only_rejected),
        FILE_TEST("shard: what fits", fits),
        FILE_TEST("shard: memory is as told", memory_is_as_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
