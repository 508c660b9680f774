#include "measure/scale.h"

#include <math.h>

enum { L2 = 1 << MPIVF_L2, IP = 1 << MPIVF_IP, COSINE = 1 << MPIVF_COSINE };

enum { ENOUGH = 4096 }; /* pairs by which a map is given up */

static const double RELATIVE = 1e-5, ABSOLUTE = 1e-6, MAX = 0.99;

/* clang-format off */
static double same(double x) { return x; }
static double root(double x) { return sqrt(x); }
static double square(double x) { return x * x; }
static double root_of_double(double x) { return sqrt(2 * x); }
static double half_square(double x) { return x * x / 2; }
static double negative(double x) { return -x; }
static double less_one(double x) { return x - 1; }
static double more_one(double x) { return x + 1; }
static double one_less(double x) { return 1 - x; }
static double half(double x) { return x / 2; }
static double twice(double x) { return 2 * x; }
static double of_angle(double x) { return 1 - cos(x); }
static double angle(double x) { return acos(fmax(-1, fmin(1, 1 - x))); }
static double of_score(double x) { return 2 - 2 * x; }
/* clang-format on */

static const struct {
    double (*map)(double x);
    bool reverses;
    unsigned metrics;
    const char *name; /* of what is converted */
} scales[MPIVF_SCALES] = {
    [MPIVF_SCALE_SAME] = {same, false, L2 | IP | COSINE, "the same distances"},
    {root, false, L2, "squared distances"},
    {square, false, L2, "square roots of distances"},
    {root_of_double, false, L2, "half squared distances"},
    {half_square, false, L2 | COSINE, "Euclidean distances of unit vectors"},
    {negative, true, IP, "inner products with the other sign"},
    {less_one, false, IP | COSINE, "distances that are larger by 1"},
    {more_one, false, IP | COSINE, "distances that are smaller by 1"},
    {one_less, true, IP | COSINE, "similarities, 1 - distance"},
    {half, false, COSINE, "squared Euclidean distances of unit vectors"},
    {twice, false, COSINE, "half distances"},
    {of_angle, false, COSINE, "angles"},
    {angle, false, COSINE, "cosines of angles, from 1"},
    {of_score, true, COSINE, "scores (1 + cos) / 2"},
};

void
mpivf_scale_add(struct mpivf_scale_evidence *evidence, double there, double here, double largest)
{
    uint64_t pairs = evidence->pairs++;
    for (int i = 0; i < MPIVF_SCALES; i++)
        if (pairs < ENOUGH || 2 * evidence->equal[i] > pairs) /* else it will not come right */
            evidence->equal[i] +=
                fabs(scales[i].map(there) - here) <= RELATIVE * fabs(here) + ABSOLUTE * largest;
}

int
mpivf_scale_find(const struct mpivf_scale_evidence *evidence, const enum mpivf_metric *metric,
                 bool same)
{
    int found = -1, fit = 0;
    for (int i = MPIVF_SCALES - 1; i >= 0 && evidence->pairs > 0; i--)
        if ((metric == NULL || scales[i].metrics & 1U << *metric) &&
            (double)evidence->equal[i] >= MAX * (double)evidence->pairs) {
            found = i;
            fit++;
        }
    if (fit > 1 && !(same && found == MPIVF_SCALE_SAME))
        return -1; /* distances of 0 or 1 are their own squares */
    return found;
}

double
mpivf_scale_map(int scale, double there)
{
    return scales[scale].map(there);
}

bool
mpivf_scale_reverses(int scale)
{
    return scales[scale].reverses;
}

const char *
mpivf_scale_name(int scale)
{
    return scales[scale].name;
}
