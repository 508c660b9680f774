#include "source/decode.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>

/*
 * Eight at a time, as exact as one by one. How many were done; front to back, also in place. Every
 * processor with AVX2 has it, and that is what compilers can ask for.
 */
__attribute__((target("avx,f16c"))) static size_t
halves_at_once(const char *raw, size_t n, float *out)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i eight;
        memcpy(&eight, raw + 2 * i, sizeof eight);
        __m256 wide = _mm256_cvtph_ps(eight);
        memcpy(out + i, &wide, sizeof wide);
    }
    return i;
}
#endif

/* How many of the first halves a faster way has done. */
static size_t
fast_halves(bool swapped, const void *raw, size_t n, float *out)
{
#ifdef __x86_64__
    if (!swapped && __builtin_cpu_supports("avx2"))
        return halves_at_once(raw, n, out);
#endif
    (void)swapped, (void)raw, (void)n, (void)out;
    return 0;
}

float
mpivf_half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, body = half & 0x7fffu;
    float value;
    uint32_t bits;
    if (body >= 0x7c00u) { /* infinite or not a number */
        bits = sign | 0x7f800000u | (body & 0x3ffu) << 13;
    } else if (body >= 0x0400u) {
        bits = sign | ((body << 13) + 0x38000000u);
    } else { /* zero and subnormal: body * 2^-24, exact */
        value = (float)body * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint16_t
mpivf_half_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    bits &= 0x7fffffffu;
    if (bits >= 0x7f800000u) /* infinite or not a number, which stays one */
        return (uint16_t)(sign | 0x7c00u | (bits > 0x7f800000u ? 0x200u : 0));
    if (bits >= 0x477ff000u) /* rounds beyond 65504 */
        return (uint16_t)(sign | 0x7c00u);
    if (bits < 0x38800000u) { /* below 2^-14: count units of 2^-24, rounded by the adder */
        float magnitude;
        memcpy(&magnitude, &bits, sizeof magnitude);
        magnitude += 0.5f; /* the last place of [0.5, 1) is 2^-24 */
        memcpy(&bits, &magnitude, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3f000000u));
    }
    bits += 0xfffu + (bits >> 13 & 1); /* to nearest, ties to even */
    return (uint16_t)(sign | (bits - 0x38000000u) >> 13);
}

/* Fetch element i as a `ctype`, bytes reversed when `swap` is given. */
#define FETCH(ctype, utype, swap)                                                                  \
    utype u;                                                                                       \
    ctype v;                                                                                       \
    memcpy(&u, (const char *)raw + i * sizeof u, sizeof u);                                        \
    if (swapped)                                                                                   \
        u = (utype)swap(u);                                                                        \
    memcpy(&v, &u, sizeof v);

#define NO_SWAP(u) (u)
#define FOR_EACH(ctype, utype, swap, expression)                                                   \
    for (size_t i = done; i < n; i++) {                                                            \
        FETCH(ctype, utype, swap)                                                                  \
        out[i] = expression;                                                                       \
    }                                                                                              \
    break

void
mpivf_decode_f32(enum mpivf_type type, bool swapped, const void *raw, size_t n, float *out)
{
    size_t done = type == MPIVF_F16 ? fast_halves(swapped, raw, n, out) : 0;
    switch (type) {
    case MPIVF_F16:
        FOR_EACH(uint16_t, uint16_t, __builtin_bswap16, mpivf_half_to_float(v));
    case MPIVF_F32:
        if (!swapped) {
            memmove(out, raw, n * sizeof *out);
            break;
        }
        FOR_EACH(float, uint32_t, __builtin_bswap32, v);
    case MPIVF_F64:
        FOR_EACH(double, uint64_t, __builtin_bswap64, (float)v);
    case MPIVF_U8:
        FOR_EACH(uint8_t, uint8_t, NO_SWAP, (float)v);
    case MPIVF_I8:
        FOR_EACH(int8_t, uint8_t, NO_SWAP, (float)v);
    case MPIVF_I32:
    case MPIVF_U32:
    case MPIVF_I64:
    case MPIVF_U64:
    case MPIVF_TYPES:
        break; /* refused when the source was opened */
    }
}

void
mpivf_decode_f64(enum mpivf_type type, bool swapped, const void *raw, size_t n, double *out)
{
    const size_t done = 0;
    switch (type) {
    case MPIVF_F16:
        FOR_EACH(uint16_t, uint16_t, __builtin_bswap16, (double)mpivf_half_to_float(v));
    case MPIVF_F32:
        FOR_EACH(float, uint32_t, __builtin_bswap32, (double)v);
    case MPIVF_F64:
        if (!swapped) {
            memmove(out, raw, n * sizeof *out);
            break;
        }
        FOR_EACH(double, uint64_t, __builtin_bswap64, v);
    case MPIVF_U8:
        FOR_EACH(uint8_t, uint8_t, NO_SWAP, (double)v);
    case MPIVF_I8:
        FOR_EACH(int8_t, uint8_t, NO_SWAP, (double)v);
    default:
        break; /* refused when the source was opened */
    }
}

/* One row, front to back: each value is fetched before its place is written. */
static double
narrow_row(const char *wide, size_t dim, float *out)
{
    enum { LANES = 8 };
    double lost[LANES] = {0}, all = 0;
    size_t i = 0;
    for (; i + LANES <= dim; i += LANES) {
        double v[LANES];
        memcpy(v, wide + i * sizeof *v, sizeof v);
        for (int lane = 0; lane < LANES; lane++) {
            float f = (float)v[lane];
            out[i + (size_t)lane] = f;
            lost[lane] += (v[lane] - (double)f) * (v[lane] - (double)f);
        }
    }
    for (; i < dim; i++) {
        double v;
        memcpy(&v, wide + i * sizeof v, sizeof v);
        out[i] = (float)v;
        all += (v - (double)out[i]) * (v - (double)out[i]);
    }
    for (int lane = 0; lane < LANES; lane++)
        all += lost[lane];
    return all;
}

void
mpivf_decode_narrow(const double *wide, size_t rows, size_t dim, float *out, double *lost)
{
    for (size_t r = 0; r < rows; r++) {
        double square = narrow_row((const char *)wide + r * dim * sizeof *wide, dim, out + r * dim);
        if (lost)
            lost[r] = square;
    }
}

void
mpivf_decode_i64(enum mpivf_type type, bool swapped, const void *raw, size_t n, int64_t *out)
{
    const size_t done = 0;
    switch (type) {
    case MPIVF_I32:
        FOR_EACH(int32_t, uint32_t, __builtin_bswap32, v);
    case MPIVF_U32:
        FOR_EACH(uint32_t, uint32_t, __builtin_bswap32, v);
    case MPIVF_I64:
    case MPIVF_U64:
        FOR_EACH(int64_t, uint64_t, __builtin_bswap64, v);
    default:
        break; /* refused when the source was opened */
    }
}

#define SWAP_EACH(utype, swap)                                                                     \
    for (size_t i = 0; i < n; i++) {                                                               \
        utype u;                                                                                   \
        memcpy(&u, (char *)raw + i * sizeof u, sizeof u);                                          \
        u = swap(u);                                                                               \
        memcpy((char *)raw + i * sizeof u, &u, sizeof u);                                          \
    }                                                                                              \
    break

void
mpivf_decode_swap(enum mpivf_type type, void *raw, size_t n)
{
    switch (mpivf_type_size(type)) {
    case 2:
        SWAP_EACH(uint16_t, __builtin_bswap16);
    case 4:
        SWAP_EACH(uint32_t, __builtin_bswap32);
    case 8:
        SWAP_EACH(uint64_t, __builtin_bswap64);
    default:
        break; /* single bytes */
    }
}
