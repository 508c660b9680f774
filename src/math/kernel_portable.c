#define KERNEL portable
#include "math/kernel_body.h"
