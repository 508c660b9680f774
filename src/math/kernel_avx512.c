#include "math/kernel_512.h"

/* Four products of 7 bits are below 2^15. */
#define DOT7(sum, rows, one, more_rows, more)                                                      \
    (sum = _mm512_add_epi32(                                                                       \
         sum, _mm512_madd_epi16(_mm512_add_epi16(_mm512_maddubs_epi16(rows, one),                  \
                                                 _mm512_maddubs_epi16(more_rows, more)),           \
                                _mm512_set1_epi16(1))))
#define DOT16(sum, rows, one) (sum = _mm512_add_epi32(sum, _mm512_madd_epi16(rows, one)))

#define KERNEL avx512
#include "math/kernel_body.h"
