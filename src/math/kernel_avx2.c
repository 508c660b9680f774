/* Registers of AVX2 with FMA: what kernel_tile.h asks for. */
#include "math/kernel.h"

#include <immintrin.h>
#include <string.h>

typedef __m256 floats;
typedef __m256i words;
enum { LANES = 8, WIDE = 2, ROWS = 4, WIDE7 = 2, ROWS7 = 4 };
#define UNROLL _Pragma("GCC unroll 4")

#define load_words(at) _mm256_loadu_si256((const __m256i *)(const void *)(at))
#define load_floats(at) _mm256_loadu_ps(at)
#define load_widened(at) _mm256_cvtps_pd(_mm_loadu_ps(at))
#define broadcast_float(x) _mm256_set1_ps(x)
#define broadcast_int(x) _mm256_set1_epi32(x)
#define to_floats(x) _mm256_cvtepi32_ps(x)
#define to_words(x) _mm256_cvtps_epi32(x) /* of whole numbers */
#define less_product(c, a, b) _mm256_fnmadd_ps(a, b, c)
#define survive(v, limit) (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(v, limit, _CMP_NGT_UQ))

static inline words
broadcast_word(const char *at)
{
    int32_t word;
    memcpy(&word, at, sizeof word);
    return _mm256_set1_epi32(word);
}

/* The sum of all words, which wraps. */
static inline int32_t
add_words(words x)
{
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

/* Packing works in halves of a register: they are put in order behind it. */
static inline __m256i
pack_shorts(const words whole[2])
{
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(whole[0], whole[1]), 0xd8);
}

static inline void
store_shorts(const words whole[2], int16_t *out)
{
    _mm256_storeu_si256((__m256i *)(void *)out, pack_shorts(whole));
}

static inline void
store_bytes(const words whole[2], int8_t *out)
{
    __m256i shorts = pack_shorts(whole);
    __m128i low = _mm256_castsi256_si128(shorts), high = _mm256_extracti128_si256(shorts, 1);
    _mm_storeu_si128((__m128i *)(void *)out, _mm_packs_epi16(low, high));
}

/* Four products of 7 bits are below 2^15. */
#define DOT7(sum, rows, one, more_rows, more)                                                      \
    (sum = _mm256_add_epi32(                                                                       \
         sum, _mm256_madd_epi16(_mm256_add_epi16(_mm256_maddubs_epi16(rows, one),                  \
                                                 _mm256_maddubs_epi16(more_rows, more)),           \
                                _mm256_set1_epi16(1))))
#define DOT16(sum, rows, one) (sum = _mm256_add_epi32(sum, _mm256_madd_epi16(rows, one)))
#define DOT32(sum, rows, one)                                                                      \
    (sum = _mm256_fmadd_ps(_mm256_castsi256_ps(rows), _mm256_castsi256_ps(one), sum))

#define KERNEL avx2
#include "math/kernel_body.h"
