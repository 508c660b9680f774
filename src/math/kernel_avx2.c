/* Registers of AVX2 with FMA: what kernel_tile.h asks for. */
#include "math/kernel.h"

#include <immintrin.h>
#include <string.h>

typedef __m256 floats;
typedef __m256i words;
enum { LANES = 8, WIDE = 2, ROWS = 4 };
#define UNROLL _Pragma("GCC unroll 4")

#define load_words(at) _mm256_loadu_si256((const __m256i *)(const void *)(at))
#define load_floats(at) _mm256_loadu_ps(at)
#define broadcast_float(x) _mm256_set1_ps(x)
#define broadcast_int(x) _mm256_set1_epi32(x)
#define to_floats(x) _mm256_cvtepi32_ps(x)
#define less_product(c, a, b) _mm256_fnmadd_ps(a, b, c)
#define survive(v, limit) (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(v, limit, _CMP_NGT_UQ))

static inline words
broadcast_word(const char *at)
{
    int32_t word;
    memcpy(&word, at, sizeof word);
    return _mm256_set1_epi32(word);
}

#define DOT16(sum, rows, one) (sum = _mm256_add_epi32(sum, _mm256_madd_epi16(rows, one)))
#define DOT32(sum, rows, one)                                                                      \
    (sum = _mm256_fmadd_ps(_mm256_castsi256_ps(rows), _mm256_castsi256_ps(one), sum))

#define KERNEL avx2
#include "math/kernel_body.h"
