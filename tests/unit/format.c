/* The index file: what is created is opened again, and damage is found. */
#include "testing.h"

#include "index/format.h"

#include <unistd.h>

enum { LISTS = 4, DIM = 3, ROWS = 6, REJECTED = 2, RANGES = 2 };

static const uint64_t list_offset[LISTS + 1] = {0, 2, 2, 5, 6};
static const int64_t rejected[REJECTED] = {11, 40};
static const struct mpivf_range range[RANGES] = {{3, 5}, {20, 3}};
static const uint64_t SEED = 0x1122334455667788u;

static struct mpivf_context ctx;
static char folder[FOLDER], path[MPIVF_PATH];
static struct mpivf_coarse coarse;
static struct mpivf_index_meta meta;
static struct mpivf_index_layout layout;

static void
create(void)
{
    struct mpivf_file file;
    assert_ok(&ctx, mpivf_file_remove(&ctx, path));
    assert_ok(&ctx, mpivf_file_create(&ctx, path, &file));
    assert_ok(&ctx, mpivf_index_create(&ctx, &file, &meta, coarse.centroid, list_offset, rejected,
                                       range, &layout));
    const char last = 0; /* rows are the caller's to write: make the file as long as it will be */
    struct mpivf_planes planes;
    mpivf_planes_of(&meta, &layout, &planes);
    for (int p = 0; p < planes.count; p++)
        assert_ok(&ctx,
                  mpivf_file_write(&ctx, &file, &last, 1,
                                   planes.plane[p].offset + ROWS * planes.plane[p].row_bytes - 1));
    assert_ok(&ctx, mpivf_file_close(&ctx, &file));
}

static int
set_up(void **state)
{
    (void)state;
    mpivf_context_init(&ctx);
    make_folder(folder);
    snprintf(path, sizeof path, "%s/a.h5", folder);
    assert_ok(&ctx, mpivf_coarse_init(&ctx, &coarse, MPIVF_COSINE, LISTS, DIM));
    fill_normal(coarse.centroid, (size_t)LISTS * DIM, 1, 1, 0);
    mpivf_coarse_ready(&coarse);
    meta = (struct mpivf_index_meta){.metric = MPIVF_COSINE,
                                     .codec = mpivf_codec(MPIVF_CODEC_F16),
                                     .dim = DIM,
                                     .lists = LISTS,
                                     .rows = ROWS,
                                     .rejected = REJECTED,
                                     .source_rows = 50,
                                     .seed = SEED,
                                     .sample = 30,
                                     .objective = 0.625,
                                     .store = true,
                                     .ids = true,
                                     .model_fingerprint = mpivf_coarse_fingerprint(&coarse),
                                     .source_fingerprint = 0x99aabbccddeeff01u,
                                     .ranges = RANGES,
                                     .centroids = LISTS};
    create();
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    mpivf_coarse_clear(&coarse);
    remove_folder(&ctx, folder);
    return ctx.memory.used != 0;
}

static void
round_trip(void **state)
{
    (void)state;
    struct mpivf_index index;
    assert_ok(&ctx, mpivf_index_open(&ctx, path, &index));
    const struct mpivf_index_meta *m = &index.meta;
    assert_true(m->metric == meta.metric && m->codec == meta.codec && m->dim == DIM);
    assert_true(m->lists == LISTS && m->rows == ROWS && m->rejected == REJECTED);
    assert_true(m->source_rows == 50 && m->seed == SEED && m->sample == 30);
    assert_true(m->objective == 0.625 && m->store && m->ids);
    assert_true(m->model_fingerprint == meta.model_fingerprint);
    assert_true(m->source_fingerprint == meta.source_fingerprint);
    assert_true(m->ranges == RANGES && m->centroids == LISTS);
    assert_memory_equal(index.list_offset, list_offset, sizeof list_offset);
    assert_memory_equal(index.rejected, rejected, sizeof rejected);
    assert_memory_equal(index.range, range, sizeof range);
    assert_memory_equal(&index.layout, &layout, sizeof layout);
    assert_false(mpivf_index_complete(&index));
    struct mpivf_coarse again;
    assert_ok(&ctx, mpivf_index_coarse(&index, &again));
    assert_memory_equal(again.centroid, coarse.centroid, LISTS * DIM * sizeof(float));
    mpivf_coarse_clear(&again);
    mpivf_index_close(&index);
    mpivf_index_close(&index); /* twice is fine */
}

/* Datasets smaller than a block of 4096 bytes share one. */
static void
layout_is_aligned(void **state)
{
    (void)state;
    uint64_t bytes, lists = 3000;
    uint64_t *offset = room(lists + 1, sizeof *offset);
    float *centroid = room(lists * DIM, sizeof *centroid);
    meta.lists = meta.centroids = lists;
    meta.rows = offset[lists] = 5000;
    struct mpivf_file file;
    assert_ok(&ctx, mpivf_file_remove(&ctx, path));
    assert_ok(&ctx, mpivf_file_create(&ctx, path, &file));
    assert_ok(&ctx,
              mpivf_index_create(&ctx, &file, &meta, centroid, offset, rejected, range, &layout));
    assert_ok(&ctx, mpivf_file_close(&ctx, &file));
    const uint64_t large[] = {layout.centroid, layout.list_offset, layout.plane[0],
                              layout.plane[1], layout.plane[2],    layout.list_checksum};
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++)
        assert_true(large[i] > 0 && large[i] % 4096 == 0);
    assert_true(layout.rejected > 0 && layout.row_range > 0);
    assert_ok(&ctx, mpivf_file_size(&ctx, path, &bytes));
    assert_true(bytes <= mpivf_index_bytes(&meta));
    free(offset);
    free(centroid);
}

static void
complete_covers_the_source(void **state)
{
    (void)state;
    struct mpivf_range all[2] = {{0, 50}, {60, 1}};
    struct mpivf_index index = {.meta = {.source_rows = 50, .ranges = 1}, .range = all};
    assert_true(mpivf_index_complete(&index));
    all[0].row = 1;
    assert_false(mpivf_index_complete(&index));
    all[0] = (struct mpivf_range){0, 49};
    assert_false(mpivf_index_complete(&index));
    index.meta.source_rows = 0; /* a model */
    index.meta.ranges = 0;
    assert_false(mpivf_index_complete(&index));
}

static void
assert_damaged(uint64_t at)
{
    struct mpivf_index index;
    flip_byte(&ctx, path, at);
    mpivf_status status = mpivf_index_open(&ctx, path, &index);
    mpivf_index_close(&index);
    if (status != MPIVF_CORRUPT)
        fail_msg("byte %llu flipped: status %d, '%s'", (unsigned long long)at, (int)status,
                 ctx.error);
    mpivf_clear_error(&ctx);
    flip_byte(&ctx, path, at);
}

static void
damaged_small_datasets(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < sizeof list_offset; i++)
        assert_damaged(layout.list_offset + i);
    for (uint64_t i = 0; i < sizeof rejected; i++)
        assert_damaged(layout.rejected + i);
    for (uint64_t i = 0; i < sizeof range; i++)
        assert_damaged(layout.row_range + i);
}

/* Where the file has these bytes; they are there once. */
static uint64_t
find_bytes(const void *bytes, size_t n)
{
    static char content[1 << 20];
    uint64_t size, at = 0, found = 0;
    struct mpivf_file file;
    assert_ok(&ctx, mpivf_file_size(&ctx, path, &size));
    assert_true(size <= sizeof content);
    assert_ok(&ctx, mpivf_file_open(&ctx, path, &file));
    assert_ok(&ctx, mpivf_file_read(&ctx, &file, content, size, 0));
    assert_ok(&ctx, mpivf_file_close(&ctx, &file));
    for (uint64_t i = 0; i + n <= size; i++)
        if (memcmp(content + i, bytes, n) == 0) {
            at = i;
            found++;
        }
    assert_int_equal(found, 1);
    return at;
}

static void
damaged_attributes(void **state)
{
    (void)state;
    const double objective = meta.objective;
    assert_damaged(find_bytes(&SEED, 8));
    assert_damaged(find_bytes(&meta.model_fingerprint, 8) + 3);
    assert_damaged(find_bytes(&meta.source_fingerprint, 8) + 7);
    assert_damaged(find_bytes(&objective, 8) + 6);
    assert_damaged(find_bytes("cosine", 6) + 2);
    assert_damaged(find_bytes("id,code,vector", 14) + 2);
}

/* A shard tells of its source; an index with all rows and centroids does not. */
static void
stamps(void **state)
{
    (void)state;
    struct mpivf_index index;
    const struct mpivf_stamp stamp = {0x1122334455667701u, 0x1122334455667702u, 0x1122334455667703,
                                      0x1122334455667704u};
    assert_ok(&ctx, mpivf_index_open(&ctx, path, &index));
    assert_false(index.meta.stamped);
    mpivf_index_close(&index);
    meta.stamped = true;
    meta.stamp = stamp;
    create();
    assert_ok(&ctx, mpivf_index_open(&ctx, path, &index));
    assert_true(index.meta.stamped);
    assert_memory_equal(&index.meta.stamp, &stamp, sizeof stamp);
    mpivf_index_close(&index);
    assert_damaged(find_bytes(&stamp.version, 8));
    assert_damaged(find_bytes(&stamp.bytes, 8));
    assert_damaged(find_bytes(&stamp.modified, 8));
    assert_damaged(find_bytes(&stamp.rows, 8));
}

static void
damaged_centroids(void **state)
{
    (void)state;
    struct mpivf_index index;
    struct mpivf_coarse again = {0};
    flip_byte(&ctx, path, layout.centroid + 17);
    assert_ok(&ctx, mpivf_index_open(&ctx, path, &index));
    assert_fails(&ctx, MPIVF_CORRUPT, "centroids", mpivf_index_coarse(&index, &again));
    mpivf_coarse_clear(&again);
    mpivf_index_close(&index);
}

static void
create_wide(const struct mpivf_index_meta *wide, const float *centroid, const uint64_t *offset)
{
    struct mpivf_file file;
    assert_ok(&ctx, mpivf_file_remove(&ctx, path));
    assert_ok(&ctx, mpivf_file_create(&ctx, path, &file));
    assert_ok(&ctx, mpivf_index_create(&ctx, &file, wide, centroid, offset, NULL, NULL, &layout));
    assert_ok(&ctx, mpivf_file_close(&ctx, &file));
}

/* As wide as a source may be, and no wider. */
static void
widest_rows(void **state)
{
    (void)state;
    static const uint64_t none[2] = {0, 0};
    struct mpivf_index index;
    struct mpivf_index_meta wide = {.codec = mpivf_codec(MPIVF_CODEC_F32),
                                    .dim = MPIVF_MAX_COLUMNS,
                                    .lists = 1,
                                    .centroids = 1};
    float *centroid = room(MPIVF_MAX_COLUMNS + 1, sizeof *centroid);
    memset(centroid, 0, (MPIVF_MAX_COLUMNS + 1) * sizeof *centroid);
    create_wide(&wide, centroid, none);
    assert_ok(&ctx, mpivf_index_open(&ctx, path, &index));
    assert_int_equal(index.meta.dim, MPIVF_MAX_COLUMNS);
    mpivf_index_close(&index);
    wide.dim++;
    create_wide(&wide, centroid, none);
    assert_fails(&ctx, MPIVF_CORRUPT, "attributes", mpivf_index_open(&ctx, path, &index));
    mpivf_index_close(&index);
    free(centroid);
}

static void
truncated(void **state)
{
    (void)state;
    struct mpivf_index index;
    uint64_t bytes;
    assert_ok(&ctx, mpivf_file_size(&ctx, path, &bytes));
    while (bytes > 0) {
        bytes = bytes > 4000 ? bytes - 4000 : 0;
        assert_int_equal(truncate(path, (off_t)bytes), 0);
        mpivf_status status = mpivf_index_open(&ctx, path, &index);
        mpivf_index_close(&index);
        if (status != MPIVF_CORRUPT && (status != MPIVF_INPUT || bytes > 0))
            fail_msg("cut to %llu bytes: status %d, '%s'", (unsigned long long)bytes, (int)status,
                     ctx.error);
        mpivf_clear_error(&ctx);
    }
}

static void
not_an_index(void **state)
{
    (void)state;
    struct mpivf_index index;
    struct mpivf_file file;
    char other[MPIVF_PATH];
    snprintf(other, sizeof other, "%s/text", folder);
    assert_fails(&ctx, MPIVF_INPUT, "no file", mpivf_index_open(&ctx, other, &index));
    mpivf_index_close(&index);
    assert_ok(&ctx, mpivf_file_create(&ctx, other, &file));
    assert_ok(&ctx, mpivf_file_write(&ctx, &file, "hello", 5, 0));
    assert_ok(&ctx, mpivf_file_close(&ctx, &file));
    assert_int_equal(mpivf_index_open(&ctx, other, &index), MPIVF_INPUT);
    assert_non_null(strstr(ctx.error, other));
    mpivf_clear_error(&ctx);
    mpivf_index_close(&index);
}

static void
match_says_what_differs(void **state)
{
    (void)state;
    struct mpivf_index a, b;
    assert_ok(&ctx, mpivf_index_open(&ctx, path, &a));
    b = a;
    assert_ok(&ctx, mpivf_index_match(&ctx, &a, &b));
    b.meta.model_fingerprint++;
    assert_fails(&ctx, MPIVF_MISMATCH, "model", mpivf_index_match(&ctx, &a, &b));
    b.meta = a.meta;
    b.meta.store = false;
    assert_fails(&ctx, MPIVF_MISMATCH, "store", mpivf_index_match(&ctx, &a, &b));
    b.meta = a.meta;
    b.meta.source_rows++;
    assert_fails(&ctx, MPIVF_MISMATCH, "source", mpivf_index_match(&ctx, &a, &b));
    b.meta = a.meta;
    b.meta.rows++; /* what a shard holds may differ */
    assert_ok(&ctx, mpivf_index_match(&ctx, &a, &b));
    mpivf_index_close(&a);
}

/* The percentile by nearest rank: the smallest size that 99 % of the lists do not exceed. */
static void
spread_of_lists(void **state)
{
    (void)state;
    enum { MAX = 200 };
    static const struct {
        uint64_t lists, p99; /* list l has l rows */
    } tries[] = {{1, 0}, {2, 1}, {3, 2}, {100, 98}, {101, 99}, {200, 197}};
    struct mpivf_list_sizes list_sizes;
    uint64_t offset[MAX + 1] = {0};
    for (uint64_t l = 0; l < MAX; l++)
        offset[l + 1] = offset[l] + l;
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        assert_ok(&ctx, mpivf_index_list_sizes(&ctx, offset, tries[i].lists, &list_sizes));
        assert_int_equal(list_sizes.p99, tries[i].p99);
        assert_int_equal(list_sizes.median, tries[i].lists / 2);
        assert_int_equal(list_sizes.largest, tries[i].lists - 1);
        assert_true(list_sizes.median <= list_sizes.p99 && list_sizes.p99 <= list_sizes.largest);
        assert_int_equal(list_sizes.empty, 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST("format: what is created is opened again", round_trip),
        FILE_TEST("format: large datasets are aligned, the size is foreseen", layout_is_aligned),
        FILE_TEST("format: complete covers the source", complete_covers_the_source),
        FILE_TEST("format: any damaged byte of the small datasets", damaged_small_datasets),
        FILE_TEST("format: damaged attributes", damaged_attributes),
        FILE_TEST("format: a shard tells of its source", stamps),
        FILE_TEST("format: damaged centroids", damaged_centroids),
        FILE_TEST("format: the widest rows", widest_rows),
        FILE_TEST("format: truncated anywhere", truncated),
        FILE_TEST("format: files that are no index", not_an_index),
        FILE_TEST("format: match says what differs", match_says_what_differs),
        FILE_TEST("format: how large the lists are", spread_of_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
