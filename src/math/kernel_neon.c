/* Registers of NEON with dot products (Armv8.2): what kernel_tile.h asks for. */
#include "math/kernel.h"

#include <arm_neon.h>
#include <string.h>

typedef float32x4_t floats;
typedef int32x4_t words;
enum { LANES = 4, WIDE = 4, ROWS = 4, WIDE7 = 4, ROWS7 = 4 };
#define UNROLL _Pragma("GCC unroll 4")

#define load_floats(at) vld1q_f32(at)
#define load_widened(at) vcvt_f64_f32(vld1_f32(at))
#define broadcast_float(x) vdupq_n_f32(x)
#define broadcast_int(x) vdupq_n_s32(x)
#define to_floats(x) vcvtq_f32_s32(x)
#define to_words(x) vcvtnq_s32_f32(x) /* of whole numbers */
#define less_product(c, a, b) vfmsq_f32(c, a, b)
#define add_words(x) vaddvq_s32(x) /* wraps */

static inline words
load_words(const char *at)
{
    return vreinterpretq_s32_u8(vld1q_u8((const uint8_t *)(const void *)at));
}

static inline words
broadcast_word(const char *at)
{
    int32_t word;
    memcpy(&word, at, sizeof word);
    return vdupq_n_s32(word);
}

static inline unsigned
survive(floats v, floats limit)
{
    static const uint32_t bit[] = {1, 2, 4, 8};
    return vaddvq_u32(vbicq_u32(vld1q_u32(bit), vcgtq_f32(v, limit)));
}

static inline void
store_shorts(const words whole[4], int16_t *out)
{
    vst1q_s16(out, vmovn_high_s32(vmovn_s32(whole[0]), whole[1]));
    vst1q_s16(out + 8, vmovn_high_s32(vmovn_s32(whole[2]), whole[3]));
}

static inline void
store_bytes(const words whole[4], int8_t *out)
{
    int16x8_t low = vmovn_high_s32(vmovn_s32(whole[0]), whole[1]);
    int16x8_t high = vmovn_high_s32(vmovn_s32(whole[2]), whole[3]);
    vst1q_s8(out, vmovn_high_s16(vmovn_s16(low), high));
}

static inline words
dot8(words sum, words rows, words one)
{
    return vdotq_s32(sum, vreinterpretq_s8_s32(rows), vreinterpretq_s8_s32(one));
}

static inline words
dot16(words sum, words rows, words one)
{
    int16x8_t a = vreinterpretq_s16_s32(rows), b = vreinterpretq_s16_s32(one);
    int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
    return vaddq_s32(sum, vpaddq_s32(low, vmull_high_s16(a, b)));
}

/* Rows of 7 bits are from 1 to 127: signed bytes too. For those of 8 there is no dot product. */
#define DOT7(sum, rows, one, more_rows, more) (sum = dot8(dot8(sum, rows, one), more_rows, more))
#define DOT16(sum, rows, one) (sum = dot16(sum, rows, one))
#define DOT32(sum, rows, one)                                                                      \
    (sum = vfmaq_f32(sum, vreinterpretq_f32_s32(rows), vreinterpretq_f32_s32(one)))

#define KERNEL neon
#include "math/kernel_body.h"
