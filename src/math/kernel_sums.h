/*
 * The float64 sums of kernel.h, compiled once for each element type. Before: SQUARE and DOT (their
 * names), VALUE, LOAD (a vector of them as doubles).
 */
static double
SQUARE(const VALUE *a, const VALUE *b, size_t dim)
{
    doubles sum[SUMS64] = {{0}};
    double lane[16];
    size_t i = 0;
    for (; i + 16 <= dim; i += 16)
        EACH (k, SUMS64) {
            doubles x = LOAD(a + i + DOUBLES * k) - LOAD(b + i + DOUBLES * k);
            sum[k] += x * x;
        }
    memcpy(lane, sum, sizeof lane);
    for (size_t j = 0; i < dim; i++, j++) {
        double x = (double)a[i] - (double)b[i];
        lane[j] += x * x;
    }
    return fold(lane);
}

static double
DOT(const VALUE *a, const VALUE *b, size_t dim)
{
    doubles sum[SUMS64] = {{0}};
    double lane[16];
    size_t i = 0;
    for (; i + 16 <= dim; i += 16)
        EACH (k, SUMS64)
            sum[k] += LOAD(a + i + DOUBLES * k) * LOAD(b + i + DOUBLES * k);
    memcpy(lane, sum, sizeof lane);
    for (size_t j = 0; i < dim; i++, j++)
        lane[j] += (double)a[i] * (double)b[i];
    return fold(lane);
}
#undef SQUARE
#undef DOT
#undef VALUE
#undef LOAD
