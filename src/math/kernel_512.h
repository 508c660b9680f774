/* Registers of AVX-512: what kernel_tile.h asks for. */
#include "math/kernel.h"

#include <immintrin.h>
#include <string.h>

typedef __m512 floats;
typedef __m512i words;
enum { LANES = 16, WIDE = 3, ROWS = 8, WIDE7 = 3, ROWS7 = 4 };
#define UNROLL _Pragma("GCC unroll 8")

#define load_words(at) _mm512_loadu_si512(at)
#define load_floats(at) _mm512_loadu_ps(at)
#define load_widened(at) _mm512_cvtps_pd(_mm256_loadu_ps(at))
#define broadcast_float(x) _mm512_set1_ps(x)
#define broadcast_int(x) _mm512_set1_epi32(x)
#define to_floats(x) _mm512_cvtepi32_ps(x)
#define to_words(x) _mm512_cvtps_epi32(x) /* of whole numbers */
#define store_bytes(whole, out)                                                                    \
    _mm_storeu_si128((__m128i *)(void *)(out), _mm512_cvtepi32_epi8((whole)[0]))
#define store_shorts(whole, out)                                                                   \
    _mm256_storeu_si256((__m256i *)(void *)(out), _mm512_cvtepi32_epi16((whole)[0]))
#define less_product(c, a, b) _mm512_fnmadd_ps(a, b, c)
#define survive(v, limit) _mm512_cmp_ps_mask(v, limit, _CMP_NGT_UQ)

static inline words
broadcast_word(const char *at)
{
    int32_t word;
    memcpy(&word, at, sizeof word);
    return _mm512_set1_epi32(word);
}

/* The sum of all words, which wraps. The intrinsic for it adds the last two as signed numbers. */
static inline int32_t
add_words(words x)
{
    __m256i eight = _mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

#define DOT32(sum, rows, one)                                                                      \
    (sum = _mm512_fmadd_ps(_mm512_castsi512_ps(rows), _mm512_castsi512_ps(one), sum))
