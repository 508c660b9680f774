#include "math/kernel_512.h"

#define DOT16(sum, rows, one) (sum = _mm512_add_epi32(sum, _mm512_madd_epi16(rows, one)))

#define KERNEL avx512
#include "math/kernel_body.h"
