/* Result files: every byte of every convention, in whatever pieces, or nothing at all. */
#include "testing.h"

#include "io/convention.h"
#include "io/hdf5.h"
#include "io/result.h"
#include "io/result_read.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BOTH = MPIVF_ALSO_XBIN | MPIVF_ALSO_VECS };
enum { QUERIES = 701, K = 30, CELLS = QUERIES * K, FILES = 4 };

static const char *const ending[FILES] = {".h5", ".bin", ".ivecs", ".fvecs"};
static struct mpivf_context ctx;
static char folder[FOLDER], path[MPIVF_PATH], other[MPIVF_PATH];

/* The outputs of the result under way. */
static struct mpivf_par alone = {.ctx = &ctx, .size = 1};
static struct mpivf_outputs outputs;
static struct mpivf_output *output[FILES];

/* What is written: more than a conversion's worth of it. */
static int64_t neighbor[CELLS], ties[QUERIES], duplicates[QUERIES];
static double distance[CELLS], shown[CELLS];

static int
set_up(void **state)
{
    (void)state;
    mpivf_context_init(&ctx);
    make_folder(folder);
    snprintf(path, sizeof path, "%s/a.h5", folder);
    snprintf(other, sizeof other, "%s/b.h5", folder);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    assert_int_equal(ctx.memory.used, 0);
    remove_folder(&ctx, folder);
    return access(folder, F_OK) == 0;
}

/* The i-th file of a result. */
static const char *
file_of(const char *result, int i)
{
    static char name[MPIVF_PATH];
    snprintf(name, sizeof name, "%.*s%s", (int)(strlen(result) - 3), result, ending[i]);
    return name;
}

/* All of a file; to be freed. */
static unsigned char *
bytes_of(const char *name, uint64_t *bytes)
{
    struct mpivf_file file;
    assert_ok(&ctx, mpivf_file_size(&ctx, name, bytes));
    unsigned char *data = room(*bytes, 1);
    assert_ok(&ctx, mpivf_file_open(&ctx, name, &file));
    assert_ok(&ctx, mpivf_file_read(&ctx, &file, data, *bytes, 0));
    mpivf_file_drop(&file);
    return data;
}

static void
assert_bytes(const char *name, const void *expected, uint64_t expected_bytes)
{
    uint64_t bytes;
    unsigned char *data = bytes_of(name, &bytes);
    assert_int_equal(bytes, expected_bytes);
    assert_memory_equal(data, expected, bytes);
    free(data);
}

static struct mpivf_result_about
about_of(enum mpivf_metric metric, uint64_t queries, uint64_t k)
{
    return (struct mpivf_result_about){
        .kind = "truth",
        .metric = metric,
        .queries = queries,
        .k = k,
        .rows = 123456,
        .max_id = INT32_MAX,
        .exact = true,
        .counts = true,
    };
}

/* Make up neighbours; with `missing`, every third query has too few of them. */
static void
make_up(enum mpivf_metric metric, uint64_t k, bool missing)
{
    for (size_t q = 0; q < QUERIES; q++) {
        ties[q] = (int64_t)(draw(1, q) % 5);
        duplicates[q] = (int64_t)(draw(2, q) % 3);
        for (size_t i = 0; i < k; i++) {
            size_t at = q * k + i;
            bool none = missing && q % 3 == 0 && i >= q % (k + 1);
            double value = (double)(draw(4, at) >> 20) * 1e-9;
            neighbor[at] = none ? -1 : (int64_t)(draw(3, at) % INT32_MAX);
            distance[at] = none ? INFINITY : metric == MPIVF_L2 ? value : value - 7000;
            shown[at] = metric == MPIVF_L2 ? sqrt(distance[at]) : distance[at];
        }
    }
}

static void
put(struct mpivf_result_writer *writer, uint64_t first, uint64_t n)
{
    uint64_t k = writer->about.k;
    struct mpivf_result_rows rows = {
        .neighbor = neighbor + first * k,
        .distance = distance + first * k,
        .shown = shown + first * k,
        .ties = ties + first,
        .duplicates = duplicates + first,
    };
    assert_ok(&ctx, mpivf_result_put(&ctx, writer, first, n, &rows));
}

/* Declare the files of a result and begin them. */
static mpivf_status
create(struct mpivf_result_writer *writer, const char *to, const struct mpivf_result_about *about,
       int also)
{
    char name[MPIVF_PATH];
    *writer = (struct mpivf_result_writer){.files = 0};
    mpivf_outputs_init(&outputs, &alone);
    for (int i = 0; i < mpivf_result_outputs(also); i++) {
        assert_ok(&ctx, mpivf_result_output(&ctx, to, also, i, name));
        output[i] = mpivf_outputs_write(&outputs, name);
    }
    mpivf_status status = mpivf_outputs_declare(&outputs, true);
    return status ? status : mpivf_result_create(&ctx, writer, output, about, also);
}

static mpivf_status
finish(struct mpivf_result_writer *writer, mpivf_status status)
{
    status = mpivf_result_finish(&ctx, writer, status);
    mpivf_outputs_end(&outputs);
    return status;
}

static void
write_whole(const char *to, const struct mpivf_result_about *about, int also)
{
    struct mpivf_result_writer writer;
    assert_ok(&ctx, create(&writer, to, about, also));
    put(&writer, 0, about->queries);
    assert_ok(&ctx, finish(&writer, MPIVF_OK));
}

/* ---- the definitions, written once more ---- */

static unsigned char *
put_word(unsigned char *at, uint32_t word)
{
    for (int i = 0; i < 4; i++)
        *at++ = (unsigned char)(word >> (8 * i));
    return at;
}

static unsigned char *
put_float(unsigned char *at, float value)
{
    uint32_t word;
    memcpy(&word, &value, 4);
    return put_word(at, word);
}

static float
conventional(enum mpivf_metric metric, size_t at)
{
    if (metric == MPIVF_L2)
        return neighbor[at] < 0 ? INFINITY : (float)distance[at];
    if (neighbor[at] < 0)
        return -INFINITY;
    return (float)(metric == MPIVF_IP ? -distance[at] : 1 - distance[at]);
}

static void
assert_xbin(const char *name, const struct mpivf_result_about *about)
{
    uint64_t cells = about->queries * about->k;
    unsigned char *expected = room(8 + cells * 8, 1), *at = expected;
    at = put_word(at, (uint32_t)about->queries);
    at = put_word(at, (uint32_t)about->k);
    for (size_t i = 0; i < cells; i++)
        at = put_word(at, (uint32_t)neighbor[i]);
    for (size_t i = 0; i < cells; i++)
        at = put_float(at, conventional(about->metric, i));
    assert_bytes(name, expected, 8 + cells * 8);
    free(expected);
}

static void
assert_vecs(const char *name, const struct mpivf_result_about *about, bool ids)
{
    uint64_t k = about->k, bytes = about->queries * (4 + 4 * k);
    unsigned char *expected = room(bytes, 1), *at = expected;
    for (size_t q = 0; q < about->queries; q++) {
        at = put_word(at, (uint32_t)k);
        for (size_t i = q * k; i < (q + 1) * k; i++)
            at = ids ? put_word(at, (uint32_t)neighbor[i])
                     : put_float(at, conventional(about->metric, i));
    }
    assert_bytes(name, expected, bytes);
    free(expected);
}

static void
assert_dataset(const char *name, const char *object, enum mpivf_type type, const void *expected,
               uint64_t queries, uint64_t columns)
{
    struct mpivf_h5_table table;
    void *data = room(queries * columns, 8);
    assert_ok(&ctx, mpivf_h5_table_open(&ctx, name, object, &table));
    assert_int_equal(table.type, type);
    assert_int_equal(table.rows, queries);
    assert_int_equal(table.columns, columns);
    for (uint64_t q = 0; q < queries; q += 3) /* in pieces, the last one short */
        assert_ok(&ctx, mpivf_h5_table_read(&ctx, &table, q, queries - q < 3 ? queries - q : 3,
                                            (uint64_t *)data + q * columns));
    assert_memory_equal(data, expected, queries * columns * 8);
    free(data);
}

static void
assert_hdf5(const char *name, const struct mpivf_result_about *about)
{
    static const char *const called[] = {"euclidean", "ip", "angular"};
    struct mpivf_h5_attribute attribute[] = {
        {.name = "distance", .kind = MPIVF_H5_TEXT}, {.name = "kind", .kind = MPIVF_H5_TEXT},
        {.name = "k", .kind = MPIVF_H5_U64},         {.name = "rows", .kind = MPIVF_H5_U64},
        {.name = "exact", .kind = MPIVF_H5_U64},
    };
    assert_ok(&ctx, mpivf_h5_describe(&ctx, name, attribute, 5, NULL, 0));
    assert_string_equal(attribute[0].text, called[about->metric]);
    assert_string_equal(attribute[1].text, about->kind);
    assert_int_equal(attribute[2].number, about->k);
    assert_int_equal(attribute[3].number, about->rows);
    assert_int_equal(attribute[4].number, about->exact);
    uint64_t n = about->queries;
    assert_dataset(name, "neighbors", MPIVF_I64, neighbor, n, about->k);
    assert_dataset(name, "distances", MPIVF_F64, shown, n, about->k);
    if (about->counts) {
        assert_dataset(name, "ties", MPIVF_I64, ties, n, 1);
        assert_dataset(name, "duplicates", MPIVF_I64, duplicates, n, 1);
    }
}

static void
assert_result(const char *result, const struct mpivf_result_about *about)
{
    assert_hdf5(file_of(result, 0), about);
    assert_xbin(file_of(result, 1), about);
    assert_vecs(file_of(result, 2), about, true);
    assert_vecs(file_of(result, 3), about, false);
}

/* ---- the tests ---- */

/* Two queries, three neighbours, by hand. */
static void
by_hand(void **state)
{
    (void)state;
    static const int64_t id[] = {7, 258, INT32_MAX, 0, -1, -1};
    static const double far[] = {0, 2.25, 1e10, 4, INFINITY, INFINITY};
    static const unsigned char xbin[] = {
        2, 0, 0,    0,    3,    0,    0,    0,                            /* the head */
        7, 0, 0,    0,    2,    1,    0,    0,    0xff, 0xff, 0xff, 0x7f, /* ids */
        0, 0, 0,    0,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0, 0, 0,    0,    0,    0,    0x10, 0x40, 0xf9, 0x02, 0x15, 0x50, /* distances */
        0, 0, 0x80, 0x40, 0,    0,    0x80, 0x7f, 0,    0,    0x80, 0x7f,
    };
    unsigned char vecs[2][32];
    struct mpivf_result_about about = about_of(MPIVF_L2, 2, 3);
    about.counts = false;
    struct mpivf_result_rows rows = {.neighbor = id, .distance = far, .shown = far};
    struct mpivf_result_writer writer;
    assert_ok(&ctx, create(&writer, path, &about, BOTH));
    assert_ok(&ctx, mpivf_result_put(&ctx, &writer, 0, 2, &rows));
    assert_ok(&ctx, finish(&writer, MPIVF_OK));
    assert_bytes(file_of(path, 1), xbin, sizeof xbin);
    for (int q = 0; q < 2; q++)
        for (int file = 0; file < 2; file++) {
            put_word(vecs[file] + 16 * q, 3);
            memcpy(vecs[file] + 16 * q + 4, xbin + 8 + 24 * file + 12 * q, 12);
        }
    assert_bytes(file_of(path, 2), vecs[0], 32);
    assert_bytes(file_of(path, 3), vecs[1], 32);
    struct mpivf_h5_table none;
    assert_fails(&ctx, MPIVF_INPUT, "ties", mpivf_h5_table_open(&ctx, path, "ties", &none));
    assert_false(mpivf_h5_has(path, "ties"));
    assert_true(mpivf_h5_has(path, "distances"));
}

/* Every metric, with and without missing neighbours, and one neighbour a query. */
static void
as_defined(void **state)
{
    (void)state;
    for (int m = 0; m < MPIVF_METRICS; m++)
        for (int missing = 0; missing < 2; missing++)
            for (uint64_t k = 1; k <= K; k += K - 1) {
                struct mpivf_result_about about = about_of((enum mpivf_metric)m, QUERIES, k);
                make_up(about.metric, k, missing != 0);
                write_whole(path, &about, BOTH);
                assert_result(path, &about);
                assert_int_equal(count_entries(&ctx, folder), FILES);
            }
}

/* An inner product of 0 is 0, not -0, from whichever side. */
static void
no_minus_zero(void **state)
{
    (void)state;
    static const int64_t id[] = {1, 2};
    static const double zero[] = {0.0, -0.0};
    static const unsigned char expected[] = {2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    struct mpivf_result_about about = about_of(MPIVF_IP, 1, 2);
    about.counts = false;
    struct mpivf_result_rows rows = {.neighbor = id, .distance = zero, .shown = zero};
    struct mpivf_result_writer writer;
    assert_ok(&ctx, create(&writer, path, &about, MPIVF_ALSO_VECS));
    assert_ok(&ctx, mpivf_result_put(&ctx, &writer, 0, 1, &rows));
    assert_ok(&ctx, finish(&writer, MPIVF_OK));
    assert_bytes(file_of(path, 3), expected, sizeof expected);
}

static void
any_pieces(void **state)
{
    (void)state;
    struct mpivf_result_about about = about_of(MPIVF_COSINE, QUERIES, K);
    struct mpivf_result_writer writer;
    make_up(about.metric, K, true);
    write_whole(path, &about, BOTH);
    for (uint64_t piece = 1; piece <= QUERIES; piece = piece * 9 + 2)
        for (int backwards = 0; backwards < 2; backwards++) {
            assert_ok(&ctx, create(&writer, other, &about, BOTH));
            uint64_t pieces = (QUERIES + piece - 1) / piece;
            for (uint64_t i = 0; i < pieces; i++) {
                uint64_t first = (backwards ? pieces - 1 - i : i) * piece;
                uint64_t left = QUERIES - first;
                put(&writer, first, left < piece ? left : piece);
                put(&writer, first, 0);
            }
            assert_ok(&ctx, finish(&writer, MPIVF_OK));
            for (int f = 0; f < FILES; f++) {
                uint64_t bytes;
                unsigned char *expected = bytes_of(file_of(path, f), &bytes);
                assert_bytes(file_of(other, f), expected, bytes);
                free(expected);
            }
        }
}

static void
no_queries(void **state)
{
    (void)state;
    struct mpivf_result_about about = about_of(MPIVF_L2, 0, K);
    write_whole(path, &about, BOTH);
    assert_result(path, &about);
}

/* Each convention alone, and the names that outputs have. */
static void
only_what_is_asked(void **state)
{
    (void)state;
    struct mpivf_result_about about = about_of(MPIVF_IP, 5, 2);
    char name[MPIVF_PATH];
    make_up(about.metric, about.k, false);
    for (int also = 0; also <= BOTH; also++) {
        write_whole(path, &about, also);
        assert_int_equal(count_entries(&ctx, folder), mpivf_result_outputs(also));
        for (int i = 0; i < mpivf_result_outputs(also); i++) {
            assert_ok(&ctx, mpivf_result_output(&ctx, path, also, i, name));
            assert_true(mpivf_file_exists(name));
            assert_ok(&ctx, mpivf_file_remove(&ctx, name));
        }
        assert_int_equal(count_entries(&ctx, folder), 0);
    }
    static const char *const named[][4] = {
        {"t.h5", "t.bin", "t.ivecs", "t.fvecs"},
        {"d.h5/t.hdf5", "d.h5/t.bin", "d.h5/t.ivecs", "d.h5/t.fvecs"},
        {"d.h5/t", "d.h5/t.bin", "d.h5/t.ivecs", "d.h5/t.fvecs"},
        {"t.h5.h5", "t.h5.bin", "t.h5.ivecs", "t.h5.fvecs"},
        {"d/.h5", "d/.h5.bin", "d/.h5.ivecs", "d/.h5.fvecs"},
        {".bin", ".bin.bin", ".bin.ivecs", ".bin.fvecs"},
    };
    for (size_t n = 0; n < sizeof named / sizeof named[0]; n++)
        for (int i = 0; i < FILES; i++) {
            assert_ok(&ctx, mpivf_result_output(&ctx, named[n][0], BOTH, i, name));
            assert_string_equal(name, named[n][i]);
        }
    assert_ok(&ctx, mpivf_result_output(&ctx, "t.h5", MPIVF_ALSO_VECS, 2, name));
    assert_string_equal(name, "t.fvecs");
}

/* A refusal, before anything is made. */
static void
assert_refused(const struct mpivf_result_about *about, int also, const char *words)
{
    struct mpivf_result_writer writer;
    assert_fails(&ctx, MPIVF_USAGE, words, create(&writer, path, about, also));
    assert_int_equal(finish(&writer, MPIVF_USAGE), MPIVF_USAGE);
    assert_int_equal(count_entries(&ctx, folder), 0);
}

static void
too_large(void **state)
{
    (void)state;
    struct mpivf_result_about about = about_of(MPIVF_L2, 1, 1);
    about.max_id = (uint64_t)INT32_MAX + 1;
    assert_refused(&about, MPIVF_ALSO_XBIN,
                   "ids up to 2147483648 do not fit into the 32 bits of xbin files; "
                   "leave --also away");
    assert_refused(&about, MPIVF_ALSO_VECS, "of vecs files");
    write_whole(path, &about, 0);
    assert_ok(&ctx, mpivf_file_remove(&ctx, path));
    about = about_of(MPIVF_L2, (uint64_t)UINT32_MAX + 1, 1);
    assert_refused(&about, BOTH, "leave xbin out");
    about = about_of(MPIVF_L2, 1, (uint64_t)UINT32_MAX + 1);
    assert_refused(&about, BOTH, "leave xbin out");
    about.k = (uint64_t)INT32_MAX + 1;
    assert_refused(&about, MPIVF_ALSO_VECS, "leave vecs out");
}

/* An id above what was promised is not cut to 32 bits. */
static void
broken_promise(void **state)
{
    (void)state;
    static const int64_t id = (int64_t)INT32_MAX + 1, count = 1;
    static const double far = 1;
    struct mpivf_result_about about = about_of(MPIVF_L2, 1, 1);
    struct mpivf_result_rows rows = {&id, &far, &far, &count, &count};
    struct mpivf_result_writer writer;
    assert_ok(&ctx, create(&writer, path, &about, BOTH));
    assert_fails(&ctx, MPIVF_INTERNAL, "2147483648", mpivf_result_put(&ctx, &writer, 0, 1, &rows));
    assert_int_equal(finish(&writer, MPIVF_INTERNAL), MPIVF_INTERNAL);
    assert_int_equal(count_entries(&ctx, folder), 0);
}

static void
failure_leaves_nothing(void **state)
{
    (void)state;
    struct mpivf_result_about about = about_of(MPIVF_L2, QUERIES, K);
    struct mpivf_result_writer writer;
    make_up(about.metric, K, false);

    assert_ok(&ctx, create(&writer, path, &about, BOTH));
    put(&writer, 0, QUERIES);
    assert_int_equal(count_entries(&ctx, folder), FILES);
    assert_false(mpivf_file_exists(path));
    assert_int_equal(finish(&writer, MPIVF_INPUT), MPIVF_INPUT);
    assert_int_equal(count_entries(&ctx, folder), 0);

    /* a file that appears under the first name to be given: all stay, under their partial names */
    assert_ok(&ctx, create(&writer, path, &about, BOTH));
    put(&writer, 0, QUERIES);
    assert_ok(&ctx, mpivf_file_save(&ctx, file_of(path, 3), "mine", 4));
    assert_fails(&ctx, MPIVF_EXISTS, "a.fvecs' appeared while", finish(&writer, MPIVF_OK));
    assert_bytes(file_of(path, 3), "mine", 4);
    assert_int_equal(count_entries(&ctx, folder), FILES + 1);
    remove_folder(&ctx, folder);
    assert_int_equal(mkdir(folder, 0700), 0);

    /* a folder that appears under the last: the others lose their names again */
    assert_ok(&ctx, create(&writer, path, &about, BOTH));
    put(&writer, 0, QUERIES);
    assert_ok(&ctx, mpivf_folder_create(&ctx, path));
    assert_fails(&ctx, MPIVF_EXISTS, "a.h5' appeared while", finish(&writer, MPIVF_OK));
    for (int i = 1; i < FILES; i++)
        assert_false(mpivf_file_exists(file_of(path, i)));
    assert_int_equal(count_entries(&ctx, folder), FILES + 1);
}

static void
no_memory(void **state)
{
    (void)state;
    struct mpivf_result_about about = about_of(MPIVF_L2, 1, 1);
    struct mpivf_result_writer writer;
    for (ctx.memory.limit = 1; ctx.memory.limit <= 1 << 17; ctx.memory.limit *= 2) {
        mpivf_status status = create(&writer, path, &about, BOTH);
        assert_true(status == MPIVF_OK || status == MPIVF_MEMORY);
        mpivf_clear_error(&ctx);
        assert_int_equal(finish(&writer, MPIVF_INPUT), MPIVF_INPUT);
        assert_int_equal(count_entries(&ctx, folder), 0);
    }
    assert_true(ctx.memory.peak > MPIVF_CONVENTION_WORDS * sizeof(uint32_t));
    assert_true(ctx.memory.peak < 120000); /* whatever the number of queries */
}

/* A result that is in memory as a whole. */
static void
whole_result(void **state)
{
    (void)state;
    struct mpivf_result result;
    struct mpivf_result_reader back;
    int64_t ids[QUERIES * K];
    double far[QUERIES * K];
    struct mpivf_result_about about = about_of(MPIVF_COSINE, QUERIES, K);
    about.kind = "search";
    about.counts = about.exact = false;
    make_up(about.metric, K, true);
    assert_ok(&ctx, mpivf_result_init(&ctx, &result, QUERIES, K));
    memcpy(result.neighbor, neighbor, sizeof neighbor);
    memcpy(result.distance, shown, sizeof shown);
    result.metric = about.metric;
    result.rows = about.rows;
    mpivf_outputs_init(&outputs, &alone);
    output[0] = mpivf_outputs_write(&outputs, path);
    assert_ok(&ctx, mpivf_outputs_declare(&outputs, false));
    assert_ok(&ctx, mpivf_result_write(&result, output[0], "search"));
    mpivf_outputs_end(&outputs);
    assert_hdf5(path, &about);
    assert_ok(&ctx, mpivf_result_open(&ctx, path, &back));
    assert_int_equal(back.queries, QUERIES);
    assert_int_equal(back.k, K);
    assert_true(back.metric_known && back.metric == about.metric && !back.exact && back.ours);
    assert_ok(&ctx, mpivf_result_rows(&ctx, &back, 0, QUERIES, ids, far));
    assert_memory_equal(ids, neighbor, sizeof neighbor);
    assert_memory_equal(far, shown, sizeof shown);
    mpivf_result_clear(&result);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST("result: bytes worked out by hand", by_hand),
        FILE_TEST("result: every file is as defined", as_defined),
        FILE_TEST("result: a product of zero has no sign", no_minus_zero),
        FILE_TEST("result: any pieces in any order give the same bytes", any_pieces),
        FILE_TEST("result: no queries", no_queries),
        FILE_TEST("result: only the files asked for, by their names", only_what_is_asked),
        FILE_TEST("result: what 32 bits cannot hold is refused at once", too_large),
        FILE_TEST("result: an id beyond the promised ones is not cut", broken_promise),
        FILE_TEST("result: a failure leaves nothing behind", failure_leaves_nothing),
        FILE_TEST("result: little memory, and none", no_memory),
        FILE_TEST("result: a whole result is written and read", whole_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
