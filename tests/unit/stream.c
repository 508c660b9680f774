/* Rows through small buffers: the bytes and checksums are those of the whole. */
#include "testing.h"

#include "index/stream.h"

enum { LISTS = 7, DIM = 5, ROWS = 23 };

static const uint64_t offset[LISTS + 1] = {0, 0, 9, 10, 10, 17, 23, 23};

struct rows {
    int64_t id[ROWS];
    float code[ROWS][DIM], vector[ROWS][DIM];
    uint16_t extra[ROWS];
};

static size_t
one_value(size_t dim)
{
    return dim ? 1 : 0;
}

/* A codec with a second plane: what moves rows asks only for their planes. */
static const struct mpivf_codec two_planes = {
    .name = "two",
    .planes = 2,
    .plane = {{"code", MPIVF_F32, mpivf_codec_components}, {"extra", MPIVF_F16, one_value}}};

static struct mpivf_context ctx;
static struct rows rows;
static struct mpivf_index_meta meta;
static const struct mpivf_index_layout layout = {.plane = {100, 4096, 300, 8192}};
static char folder[FOLDER], path[MPIVF_PATH];
static struct mpivf_file file;

static int
set_up(void **state)
{
    (void)state;
    mpivf_context_init(&ctx);
    make_folder(folder);
    snprintf(path, sizeof path, "%s/rows", folder);
    assert_ok(&ctx, mpivf_file_create(&ctx, path, &file));
    meta = (struct mpivf_index_meta){
        .codec = &two_planes, .dim = DIM, .lists = LISTS, .rows = ROWS, .store = true};
    for (size_t i = 0; i < ROWS; i++)
        rows.id[i] = (int64_t)draw(1, i), rows.extra[i] = (uint16_t)draw(7, i);
    fill_normal(&rows.code[0][0], ROWS * DIM, 2, 1, 0);
    fill_normal(&rows.vector[0][0], ROWS * DIM, 3, 1, 0);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    assert_ok(&ctx, mpivf_file_close(&ctx, &file));
    remove_folder(&ctx, folder);
    return ctx.memory.used != 0;
}

static uint64_t
direct_checksum(size_t list, bool store)
{
    size_t first = offset[list], n = offset[list + 1] - first;
    uint64_t sums[MPIVF_PLANES] = {
        mpivf_checksum_of(rows.id + first, n * sizeof(int64_t)),
        mpivf_checksum_of(rows.code[first], n * sizeof rows.code[0]),
        mpivf_checksum_of(rows.extra + first, n * sizeof rows.extra[0]),
        mpivf_checksum_of(rows.vector[first], store ? n * sizeof rows.vector[0] : 0)};
    return mpivf_index_list_checksum(sums, store ? 4 : 3);
}

static void
write_rows(size_t bytes)
{
    struct mpivf_stream stream;
    assert_ok(&ctx, mpivf_stream_init(&ctx, &stream, file, &meta, &layout, 0, ROWS, bytes));
    for (size_t l = 0; l < LISTS; l++) {
        for (size_t i = offset[l]; i < offset[l + 1]; i++) {
            void *row[MPIVF_PLANES] = {&rows.id[i], rows.code[i], &rows.extra[i], rows.vector[i]};
            assert_ok(&ctx, mpivf_stream_put(&stream, row));
        }
        assert_int_equal(mpivf_stream_end_list(&stream), direct_checksum(l, meta.store));
    }
    assert_ok(&ctx, mpivf_stream_flush(&stream));
    assert_int_equal(stream.bytes, ROWS * (8 + 2 + (meta.store ? 2 : 1) * sizeof rows.code[0]));
    mpivf_stream_clear(&stream);
}

/* Read lists first .. and look at every row. */
static void
read_rows(size_t bytes, size_t first)
{
    struct mpivf_stream stream;
    assert_ok(&ctx,
              mpivf_stream_init(&ctx, &stream, file, &meta, &layout, offset[first], ROWS, bytes));
    for (size_t l = first; l < LISTS; l++) {
        for (size_t i = offset[l]; i < offset[l + 1]; i++) {
            assert_ok(&ctx, mpivf_stream_next(&stream));
            assert_ok(&ctx, mpivf_stream_next(&stream)); /* still the same row */
            assert_memory_equal(mpivf_stream_row(&stream, 0), &rows.id[i], 8);
            assert_memory_equal(mpivf_stream_row(&stream, 1), rows.code[i], sizeof rows.code[i]);
            assert_memory_equal(mpivf_stream_row(&stream, 2), &rows.extra[i], 2);
            if (meta.store)
                assert_memory_equal(mpivf_stream_row(&stream, 3), rows.vector[i],
                                    sizeof rows.vector[i]);
            mpivf_stream_advance(&stream);
        }
        assert_int_equal(mpivf_stream_end_list(&stream), direct_checksum(l, meta.store));
    }
    mpivf_stream_clear(&stream);
}

static void
every_buffer_size(void **state)
{
    (void)state;
    for (int store = 0; store < 2; store++) {
        meta.store = store;
        for (size_t bytes = 0; bytes < 2000; bytes += 61) {
            write_rows(bytes);
            read_rows(2000 - bytes, 0);
            read_rows(bytes, 4);
        }
    }
}

static void
damage_changes_the_checksum(void **state)
{
    (void)state;
    struct mpivf_stream stream;
    write_rows(200);
    flip_byte(&ctx, path, layout.plane[1] + 11 * sizeof rows.code[0] + 1); /* of list 4 */
    assert_ok(&ctx, mpivf_stream_init(&ctx, &stream, file, &meta, &layout, 0, ROWS, 300));
    for (size_t l = 0; l < LISTS; l++) {
        for (size_t i = offset[l]; i < offset[l + 1]; i++) {
            assert_ok(&ctx, mpivf_stream_next(&stream));
            mpivf_stream_advance(&stream);
        }
        assert_int_equal(mpivf_stream_end_list(&stream) != direct_checksum(l, true), l == 4);
    }
    mpivf_stream_clear(&stream);
}

static void
truncated_file(void **state)
{
    (void)state;
    struct mpivf_stream stream;
    assert_ok(&ctx, mpivf_stream_init(&ctx, &stream, file, &meta, &layout, 0, ROWS, 300));
    assert_fails(&ctx, MPIVF_CORRUPT, "truncated", mpivf_stream_next(&stream));
    mpivf_stream_clear(&stream);
}

static void
no_memory(void **state)
{
    (void)state;
    struct mpivf_stream stream;
    ctx.memory.limit = 1500;
    assert_fails(&ctx, MPIVF_MEMORY, "--memory",
                 mpivf_stream_init(&ctx, &stream, file, &meta, &layout, 0, ROWS, 300));
    mpivf_stream_clear(&stream);
    assert_int_equal(ctx.memory.used, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST("stream: rows and checksums with every buffer size", every_buffer_size),
        FILE_TEST("stream: damage changes the checksum of its list", damage_changes_the_checksum),
        FILE_TEST("stream: a truncated file is an error", truncated_file),
        FILE_TEST("stream: no memory is an error", no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
