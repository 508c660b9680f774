#define KERNEL avx512
#include "math/kernel_body.h"
