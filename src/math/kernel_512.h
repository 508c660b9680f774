/* Registers of AVX-512: what kernel_tile.h asks for. */
#include "math/kernel.h"

#include <immintrin.h>
#include <string.h>

typedef __m512 floats;
typedef __m512i words;
enum { LANES = 16, WIDE = 3, ROWS = 8 };
#define UNROLL _Pragma("GCC unroll 8")

#define load_words(at) _mm512_loadu_si512(at)
#define load_floats(at) _mm512_loadu_ps(at)
#define broadcast_float(x) _mm512_set1_ps(x)
#define broadcast_int(x) _mm512_set1_epi32(x)
#define to_floats(x) _mm512_cvtepi32_ps(x)
#define less_product(c, a, b) _mm512_fnmadd_ps(a, b, c)
#define survive(v, limit) _mm512_cmp_ps_mask(v, limit, _CMP_NGT_UQ)

static inline words
broadcast_word(const char *at)
{
    int32_t word;
    memcpy(&word, at, sizeof word);
    return _mm512_set1_epi32(word);
}

#define DOT32(sum, rows, one)                                                                      \
    (sum = _mm512_fmadd_ps(_mm512_castsi512_ps(rows), _mm512_castsi512_ps(one), sum))
