/* Codecs: sizes, names, what comes back, and which rows fit. */
#include "testing.h"

#include "codec/codec.h"

#include <math.h>

enum { ROWS = 50, DIM = 7 };

static const float centroid[DIM] = {0.5f, -1, 0, 2, 0.25f, -0.125f, 1};

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
    assert_int_equal(mpivf_codec_bytes(mpivf_codec(MPIVF_CODEC_INT8), DIM), 15);
    for (int kind = 0; kind < MPIVF_CODECS; kind++)
        assert_int_equal(mpivf_codec((enum mpivf_codec_kind)kind)->exact, kind == MPIVF_CODEC_F32);
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
    codec->encode(row, ROWS, DIM, centroid, plane);
    codec->decode(plane, ROWS, DIM, centroid, back);
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
    codec->encode(row, ROWS, DIM, centroid, plane);
    codec->decode(plane, ROWS, DIM, centroid, back);
    for (size_t i = 0; i < ROWS * DIM; i++)
        assert_true(fabsf(row[i] - back[i]) <= fabsf(row[i]) * 0x1p-11f + 0x1p-25f);
    codec->encode(back, ROWS, DIM, centroid, plane); /* what was rounded stays */
    codec->decode(plane, ROWS, DIM, centroid, again);
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
        codec->encode(row, ROWS, DIM, centroid, all);
        for (int p = 0; p < codec->planes; p++) {
            size_t bytes = codec->plane[p].columns(DIM) * mpivf_type_size(codec->plane[p].element);
            sum += bytes;
            for (size_t i = 0; i < ROWS; i++) {
                codec->encode(row + i * DIM, 1, DIM, centroid, one);
                assert_memory_equal(single[p], whole[p] + i * bytes, bytes);
            }
        }
        assert_int_equal(sum, mpivf_codec_bytes(codec, DIM));
    }
}

/* A row in float64 through codec int8; what it is off by, in units of factor[1]. */
static double
through_int8(const float *row, const float *around, float *back, float *factor)
{
    const struct mpivf_codec *codec = mpivf_codec(MPIVF_CODEC_INT8);
    int8_t code[DIM];
    void *plane[] = {code, factor};
    double max = 0;
    codec->encode(row, 1, DIM, around, plane);
    codec->decode(plane, 1, DIM, around, back);
    for (size_t i = 0; i < DIM; i++) {
        double along = (double)factor[0] * (double)around[i], rest = (double)factor[1] * code[i];
        double stored = along + rest;
        assert_true(fabs(stored - (double)back[i]) <= 2e-7 * (fabs(along) + fabs(rest)));
        max = fmax(max, fabs(stored - (double)row[i]));
    }
    return max > 0 ? max / (double)factor[1] : 0;
}

static void
int8_is_off_by_half_a_step(void **state)
{
    (void)state;
    static const float sizes[] = {1e-25f, 1e-6f, 1, 1e6f, 1e29f};
    float row[ROWS * DIM], back[DIM], factor[2];
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        fill_normal(row, ROWS * DIM, 4, sizes[s], 0);
        for (size_t r = 0; r < ROWS; r++) {
            const float *one = row + r * DIM;
            double dot = 0, square = 0, rest = 0;
            for (size_t i = 0; i < DIM; i++) {
                dot += (double)one[i] * (double)centroid[i];
                square += (double)centroid[i] * (double)centroid[i];
            }
            for (size_t i = 0; i < DIM; i++)
                rest = fmax(rest, fabs((double)one[i] - dot / square * (double)centroid[i]));
            assert_true(through_int8(one, centroid, back, factor) <= 0.5001);
            assert_true(fabs((double)factor[0] - dot / square) <=
                        1e-6 * fabs(dot / square) + 1e-38);
            assert_true(fabs((double)factor[1] - rest / 127) <= 1e-5 * rest);
        }
    }
}

static void
int8_of_odd_rows(void **state)
{
    (void)state;
    static const float nothing[DIM] = {0}, ends[DIM] = {1e-45f, -1e-31f, 7e-31f, 0, 0, 0, 0};
    float row[DIM], back[DIM], factor[2];
    /* a multiple of its centroid comes back, to rounding */
    for (size_t i = 0; i < DIM; i++)
        row[i] = -3 * centroid[i];
    through_int8(row, centroid, back, factor);
    for (size_t i = 0; i < DIM; i++)
        assert_true(fabsf(back[i] - row[i]) <= 1e-6f);
    /* so does nothing, whatever stands for its list, and a centroid of nothing is none */
    through_int8(nothing, centroid, back, factor);
    assert_memory_equal(back, nothing, sizeof nothing);
    assert_true(through_int8(row, nothing, back, factor) <= 0.5001);
    assert_true(factor[0] == 0);
    /* less than 2^-100 is nothing */
    through_int8(ends, nothing, back, factor);
    for (size_t i = 0; i < DIM; i++)
        assert_true(back[i] == 0);
}

static void
what_fits(void **state)
{
    (void)state;
    static const struct {
        float value;
        bool fits[MPIVF_CODECS];
    } cases[] = {{0, {true, true, true}},           {65504, {true, true, true}},
                 {65519.996f, {true, true, true}},  {65520, {true, false, true}},
                 {-65520, {true, false, true}},     {1e30f, {true, false, true}},
                 {-1.2e30f, {true, false, true}},   {1.3e30f, {true, false, false}},
                 {3e38f, {true, false, false}},     {1e-30f, {true, true, true}},
                 {NAN, {false, false, false}},      {INFINITY, {false, false, false}},
                 {-INFINITY, {false, false, false}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0] * MPIVF_CODECS; i++)
        for (size_t at = 0; at < DIM; at++) {
            const struct mpivf_codec *codec =
                mpivf_codec((enum mpivf_codec_kind)(i % MPIVF_CODECS));
            float row[DIM] = {1, 2, 3, 4, 5, 6, 7}, back[DIM], code[MPIVF_CODEC_PLANES][DIM];
            void *plane[] = {code[0], code[1], code[2], code[3]};
            bool right = cases[i / MPIVF_CODECS].fits[i % MPIVF_CODECS];
            row[at] = cases[i / MPIVF_CODECS].value;
            assert_int_equal(codec->fits(row, DIM), right);
            if (!right && i % MPIVF_CODECS == MPIVF_CODEC_INT8)
                continue; /* there is no integer for it */
            codec->encode(row, 1, DIM, centroid, plane);
            codec->decode(plane, 1, DIM, centroid, back);
            assert_int_equal(isfinite(back[at]) != 0, right); /* fits is what stays finite */
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("codec: names and sizes", names_and_sizes),
        TEST("codec: f32 gives back the very row", f32_gives_back_the_row),
        TEST("codec: f16 is the nearest half", f16_is_near),
        TEST("codec: int8 is off by half a step", int8_is_off_by_half_a_step),
        TEST("codec: int8 of multiples, zeros and the smallest", int8_of_odd_rows),
        TEST("codec: many rows are each row alone", rows_are_apart),
        TEST("codec: what fits", what_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
