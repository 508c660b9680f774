/* Codecs: sizes, names, what comes back, and which rows fit. */
#include "testing.h"

#include "codec/codec.h"

#include <math.h>

enum { ROWS = 50, DIM = 7 };

static void
names_and_sizes(void **state)
{
    (void)state;
    for (int kind = 0; kind < MPIVF_CODECS; kind++) {
        const struct mpivf_codec *codec = mpivf_codec((enum mpivf_codec_kind)kind);
        assert_ptr_equal(mpivf_codec_find(codec->name), codec);
    }
    assert_null(mpivf_codec_find("f8"));
    assert_null(mpivf_codec_find(""));
    assert_int_equal(mpivf_codec_bytes(mpivf_codec(MPIVF_CODEC_F32), DIM), 28);
    assert_int_equal(mpivf_codec_bytes(mpivf_codec(MPIVF_CODEC_F16), DIM), 14);
    assert_true(mpivf_codec(MPIVF_CODEC_F32)->exact && !mpivf_codec(MPIVF_CODEC_F16)->exact);
}

static void
f32_gives_back_the_row(void **state)
{
    (void)state;
    const struct mpivf_codec *codec = mpivf_codec(MPIVF_CODEC_F32);
    float row[ROWS * DIM], back[ROWS * DIM];
    char code[ROWS * DIM * sizeof(float)];
    void *plane[] = {code};
    fill_normal(row, ROWS * DIM, 1, 1e30, 0);
    codec->encode(row, ROWS, DIM, plane);
    codec->decode(plane, ROWS, DIM, back);
    assert_memory_equal(row, back, sizeof row);
}

static void
f16_is_near(void **state)
{
    (void)state;
    const struct mpivf_codec *codec = mpivf_codec(MPIVF_CODEC_F16);
    float row[ROWS * DIM], back[ROWS * DIM], again[ROWS * DIM];
    uint16_t code[ROWS * DIM];
    void *plane[] = {code};
    fill_normal(row, ROWS * DIM, 2, 100, 0);
    codec->encode(row, ROWS, DIM, plane);
    codec->decode(plane, ROWS, DIM, back);
    for (size_t i = 0; i < ROWS * DIM; i++)
        assert_true(fabsf(row[i] - back[i]) <= fabsf(row[i]) * 0x1p-11f + 0x1p-25f);
    codec->encode(back, ROWS, DIM, plane); /* what was rounded stays */
    codec->decode(plane, ROWS, DIM, again);
    assert_memory_equal(back, again, sizeof back);
}

static void
rows_are_apart(void **state)
{
    (void)state;
    for (int kind = 0; kind < MPIVF_CODECS; kind++) {
        const struct mpivf_codec *codec = mpivf_codec((enum mpivf_codec_kind)kind);
        char whole[MPIVF_CODEC_PLANES][ROWS * DIM * sizeof(float)] = {{0}};
        char single[MPIVF_CODEC_PLANES][DIM * sizeof(float)];
        void *all[MPIVF_CODEC_PLANES], *one[MPIVF_CODEC_PLANES];
        float row[ROWS * DIM];
        size_t sum = 0;
        for (int p = 0; p < codec->planes; p++)
            all[p] = whole[p], one[p] = single[p];
        fill_normal(row, ROWS * DIM, 3, 1, 0);
        codec->encode(row, ROWS, DIM, all);
        for (int p = 0; p < codec->planes; p++) {
            size_t bytes = codec->plane[p].columns(DIM) * mpivf_type_size(codec->plane[p].element);
            sum += bytes;
            for (size_t i = 0; i < ROWS; i++) {
                codec->encode(row + i * DIM, 1, DIM, one);
                assert_memory_equal(single[p], whole[p] + i * bytes, bytes);
            }
        }
        assert_int_equal(sum, mpivf_codec_bytes(codec, DIM));
    }
}

static void
what_fits(void **state)
{
    (void)state;
    static const struct {
        float value;
        bool f32, f16;
    } cases[] = {{0, true, true},          {65504, true, true},   {65519.996f, true, true},
                 {65520, true, false},     {-65520, true, false}, {1e30f, true, false},
                 {1e-30f, true, true},     {NAN, false, false},   {INFINITY, false, false},
                 {-INFINITY, false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t at = 0; at < DIM; at++) {
            float row[DIM] = {1, 2, 3, 4, 5, 6, 7}, back[DIM];
            uint16_t code[DIM];
            void *plane[] = {code};
            row[at] = cases[i].value;
            assert_int_equal(mpivf_codec(MPIVF_CODEC_F32)->fits(row, DIM), cases[i].f32);
            assert_int_equal(mpivf_codec(MPIVF_CODEC_F16)->fits(row, DIM), cases[i].f16);
            mpivf_codec(MPIVF_CODEC_F16)->encode(row, 1, DIM, plane);
            mpivf_codec(MPIVF_CODEC_F16)->decode(plane, 1, DIM, back);
            assert_int_equal(isfinite(back[at]) != 0, cases[i].f16); /* fits is what stays finite */
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("codec: names and sizes", names_and_sizes),
        TEST("codec: f32 gives back the very row", f32_gives_back_the_row),
        TEST("codec: f16 is the nearest half", f16_is_near),
        TEST("codec: many rows are each row alone", rows_are_apart),
        TEST("codec: what fits", what_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
