/* Elements of files: binary16 against arithmetic of its own, every type in both byte orders. */
#include "testing.h"

#include "source/decode.h"

#include <math.h>

static uint32_t
bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float
float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The value of a binary16 by its definition; finite ones only. */
static double
half_value(unsigned half)
{
    int exponent = (int)(half >> 10 & 31);
    double part = half & 1023, sign = half & 0x8000 ? -1 : 1;
    return sign * (exponent ? ldexp(1024 + part, exponent - 25) : ldexp(part, -24));
}

static void
every_half(void **state)
{
    (void)state;
    for (unsigned half = 0; half < 65536; half++) {
        float x = mpivf_half_to_float((uint16_t)half);
        if ((half & 0x7c00) != 0x7c00) {
            assert_true((double)x == half_value(half));
            assert_int_equal(signbit(x) != 0, half >> 15);
            assert_int_equal(mpivf_half_from_float(x), half);
        } else if (half & 1023) {
            assert_true(isnan(x));
            assert_true(isnan(mpivf_half_to_float(mpivf_half_from_float(x))));
        } else {
            assert_true(isinf(x) && (x < 0) == half >> 15);
            assert_int_equal(mpivf_half_from_float(x), half);
        }
    }
}

/* Many at once, at the end of the buffer that they are decoded into, as when a file is read. */
static void
every_half_at_once(void **state)
{
    (void)state;
    enum { ALL = 65536 };
    float *out = room(ALL, sizeof *out);
    uint16_t *raw = (uint16_t *)(void *)(out + ALL / 2);
    for (unsigned half = 0; half < ALL; half++)
        raw[half] = (uint16_t)half;
    mpivf_decode_f32(MPIVF_F16, false, raw, ALL, out);
    for (unsigned half = 0; half < ALL; half++) {
        float x = mpivf_half_to_float((uint16_t)half);
        if (isnan(x))
            assert_true(isnan(out[half]));
        else
            assert_memory_equal(&x, &out[half], sizeof x);
    }
    free(out);
}

/* To nearest, ties to the even one, by halving [0, 65520) over the sorted positive halves. */
static unsigned
nearest_half(double x)
{
    unsigned sign = signbit(x) ? 0x8000 : 0, low = 0, high = 0x7c00;
    x = fabs(x);
    while (high - low > 1) { /* value(low) <= x < value(high) */
        unsigned middle = (low + high) / 2;
        if (half_value(middle) <= x)
            low = middle;
        else
            high = middle;
    }
    double above = low == 0x7bff ? 65536 : half_value(low + 1), below = half_value(low);
    bool up = x - below > above - x || (x - below == above - x && low % 2);
    return sign | (low + up);
}

static void
assert_rounds(float x)
{
    unsigned want = nearest_half(x), got = mpivf_half_from_float(x);
    if (got != want)
        fail_msg("%a becomes %04x instead of %04x", (double)x, got, want);
}

static void
round_to_half(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 300000; i++) {
        uint32_t bits = (uint32_t)draw(5, i);
        if ((bits & 0x7f800000u) != 0x7f800000u)
            assert_rounds(float_of(bits));
        /* most random floats are far outside: draw exponents of binary16 as well */
        assert_rounds(float_of((bits & 0x807fffffu) | (uint32_t)(100 + draw(6, i) % 45) << 23));
    }
}

static void
round_at_boundaries(void **state)
{
    (void)state;
    for (unsigned half = 0; half < 0x7c00; half++) {
        double above = half == 0x7bff ? 65536 : half_value(half + 1);
        float middle = (float)((half_value(half) + above) / 2); /* exact: 12 bits */
        uint32_t bits = bits_of(middle);
        for (int step = -1; step <= 1; step++) {
            assert_rounds(float_of(bits + (uint32_t)step));
            assert_rounds(-float_of(bits + (uint32_t)step));
        }
    }
    assert_int_equal(mpivf_half_from_float(65519.996f), 0x7bff);
    assert_int_equal(mpivf_half_from_float(65520.0f), 0x7c00);
    assert_int_equal(mpivf_half_from_float(-INFINITY), 0xfc00);
    assert_int_equal(mpivf_half_from_float(-0.0f), 0x8000);
    assert_int_equal(mpivf_half_from_float(0x1p-149f), 0);
}

/* ---- every type ---- */

enum { N = 67 };

static double
value_at(enum mpivf_type type, size_t i)
{
    if (type == MPIVF_U8)
        return (double)(i * 37 % 256);
    if (type == MPIVF_U32)
        return 3e9 + (double)i;
    if (type == MPIVF_I8 || type == MPIVF_I32 || type == MPIVF_I64 || type == MPIVF_U64)
        return (double)((long)(i * 53 % 256) - (type == MPIVF_U64 ? 0 : 128));
    return ldexp((double)i - 30, (int)(i % 9) - 4);
}

/* Element i as the file has it. */
static void
store(enum mpivf_type type, bool swapped, double value, unsigned char *at)
{
    union {
        uint16_t h;
        float f;
        double d;
        int64_t i;
        unsigned char byte[8];
    } u = {.i = 0};
    size_t size = mpivf_type_size(type);
    if (type == MPIVF_F16)
        u.h = (uint16_t)nearest_half(value);
    else if (type == MPIVF_F32)
        u.f = (float)value;
    else if (type == MPIVF_F64)
        u.d = value;
    else
        u.i = (int64_t)value; /* little endian: the low bytes are the short type */
    for (size_t b = 0; b < size; b++)
        at[b] = u.byte[swapped ? size - 1 - b : b];
}

static void
floats_in_place(void **state)
{
    (void)state;
    static const enum mpivf_type types[] = {MPIVF_F16, MPIVF_F32, MPIVF_F64, MPIVF_U8, MPIVF_I8};
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (int variant = 0; variant < 4; variant++) { /* byte order, in place or not */
            double memory[N], apart[N];
            bool swapped = variant & 1, in_place = variant & 2;
            size_t size = mpivf_type_size(types[t]);
            unsigned char *raw = (unsigned char *)(in_place ? memory : apart);
            if (size < sizeof(float))
                raw += N * (sizeof(float) - size); /* its last byte is that of the output */
            for (size_t i = 0; i < N; i++)
                store(types[t], swapped, value_at(types[t], i), raw + i * size);
            mpivf_decode_f32(types[t], swapped, raw, N, (float *)memory);
            for (size_t i = 0; i < N; i++)
                assert_true(((float *)memory)[i] == (float)value_at(types[t], i));
        }
}

static void
doubles_in_place(void **state)
{
    (void)state;
    static const enum mpivf_type types[] = {MPIVF_F16, MPIVF_F32, MPIVF_F64, MPIVF_U8, MPIVF_I8};
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (int variant = 0; variant < 4; variant++) {
            double memory[N], apart[N];
            bool swapped = variant & 1, in_place = variant & 2;
            size_t size = mpivf_type_size(types[t]);
            unsigned char *raw = (unsigned char *)(in_place ? memory : apart);
            raw += N * (sizeof(double) - size); /* its last byte is that of the output */
            for (size_t i = 0; i < N; i++)
                store(types[t], swapped, value_at(types[t], i), raw + i * size);
            mpivf_decode_f64(types[t], swapped, raw, N, memory);
            for (size_t i = 0; i < N; i++)
                assert_true(memory[i] == value_at(types[t], i));
        }
}

/* In place, and what every row loses. */
static void
narrow_rows(void **state)
{
    (void)state;
    enum { ROWS = 9 };
    for (size_t dim = 1; dim < 40; dim++) {
        double wide[ROWS * 40], kept[ROWS * 40], lost[ROWS];
        for (size_t i = 0; i < ROWS * dim; i++)
            wide[i] = i / dim == 0 ? (double)i : 1e8 + mpivf_random_normal(dim, MPIVF_FOR_NOISE, i);
        wide[7 * dim] = 1e39;
        wide[8 * dim] = NAN;
        memcpy(kept, wide, sizeof kept);
        float *narrow = (float *)(void *)wide;
        mpivf_decode_narrow(wide, ROWS, dim, narrow, lost);
        for (size_t r = 0; r < ROWS - 1; r++) {
            double want = 0;
            for (size_t i = 0; i < dim; i++) {
                float f = (float)kept[r * dim + i];
                assert_memory_equal(&narrow[r * dim + i], &f, sizeof f);
                want += (kept[r * dim + i] - (double)f) * (kept[r * dim + i] - (double)f);
            }
            assert_true(r == 7 ? isinf(lost[r]) : fabs(lost[r] - want) <= 1e-12 * want);
        }
        assert_true(lost[0] == 0 && isnan(lost[8]) && isnan(narrow[8 * dim]));
        mpivf_decode_narrow(kept, ROWS, dim, narrow, NULL); /* apart, and nobody asks */
        assert_true(narrow[dim] == (float)kept[dim]);
    }
}

static void
ids_in_place(void **state)
{
    (void)state;
    static const enum mpivf_type types[] = {MPIVF_I32, MPIVF_U32, MPIVF_I64, MPIVF_U64};
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (int variant = 0; variant < 8; variant++) {
            int64_t memory[N], apart[N];
            bool swapped = variant & 1, in_place = variant & 2, behind = variant & 4;
            size_t size = mpivf_type_size(types[t]);
            if (in_place && !behind && size < sizeof(int64_t))
                continue; /* the output would run over what is still to be read */
            unsigned char *raw = (unsigned char *)(in_place ? memory : apart);
            raw += behind ? N * (sizeof(int64_t) - size) : 0;
            for (size_t i = 0; i < N; i++)
                store(types[t], swapped, value_at(types[t], i), raw + i * size);
            mpivf_decode_i64(types[t], swapped, raw, N, memory);
            for (size_t i = 0; i < N; i++)
                assert_int_equal(memory[i], (int64_t)value_at(types[t], i));
        }
}

static void
swapped_twice_is_as_before(void **state)
{
    (void)state;
    for (int t = 0; t < MPIVF_TYPES; t++) {
        size_t size = mpivf_type_size((enum mpivf_type)t);
        unsigned char raw[N * 8 + 1];
        for (size_t i = 0; i < sizeof raw; i++)
            raw[i] = (unsigned char)(i * 7);
        mpivf_decode_swap((enum mpivf_type)t, raw, N);
        for (size_t i = 0; i < N * size; i++)
            assert_int_equal(raw[i], (unsigned char)((i / size * size + size - 1 - i % size) * 7));
        for (size_t i = N * size; i < sizeof raw; i++)
            assert_int_equal(raw[i], (unsigned char)(i * 7));
        mpivf_decode_swap((enum mpivf_type)t, raw, N);
        for (size_t i = 0; i < sizeof raw; i++)
            assert_int_equal(raw[i], (unsigned char)(i * 7));
    }
}

static void
doubles_round_and_overflow(void **state)
{
    (void)state;
    const double raw[] = {0.1, 1e39, -1e300, 1e-50, 16777217.0, 0x1.fffffefp127};
    float out[6];
    mpivf_decode_f32(MPIVF_F64, false, raw, 6, out);
    assert_true(out[0] == 0.1f && out[3] == 0 && out[4] == 16777216.0f);
    assert_true(isinf(out[1]) && out[1] > 0 && isinf(out[2]) && out[2] < 0);
    assert_true(out[5] == 0x1.fffffep127f);
    const uint64_t large = (uint64_t)1 << 63;
    int64_t id;
    mpivf_decode_i64(MPIVF_U64, false, &large, 1, &id);
    assert_true(id < 0); /* how an id beyond the range is noticed */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("decode: each of 65536 halves", every_half),
        TEST("decode: all halves at once, in place", every_half_at_once),
        TEST("decode: rounding random floats to halves", round_to_half),
        TEST("decode: rounding at every boundary", round_at_boundaries),
        TEST("decode: every vector type, both byte orders, in place", floats_in_place),
        TEST("decode: every vector type to float64, in place", doubles_in_place),
        TEST("decode: rows of float64 to float32, and what they lose", narrow_rows),
        TEST("decode: every id type, both byte orders, in place", ids_in_place),
        TEST("decode: bytes of every type swapped, and back", swapped_twice_is_as_before),
        TEST("decode: doubles beyond float32", doubles_round_and_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
