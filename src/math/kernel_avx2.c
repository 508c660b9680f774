#define KERNEL avx2
#include "math/kernel_body.h"
