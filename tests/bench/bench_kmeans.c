/*
 * k-means: the time to the objective that ten iterations of plain float Lloyd reach from random
 * rows, as 2 rows lists dim 10 / time, beside sgemm in the same run. Ours is run with ever smaller
 * tolerances until it gets there; ours, but for `flat`, and sgemm are the best of four, float Lloyd
 * runs once.
 *
 * usage: bench_kmeans FILE[:OBJECT] [lists [rows [flat]]]
 *        bench_kmeans uniform ROWS DIM [lists [rows [flat]]]   (unit vectors)
 * rows: of the sample, the default is 256 a list. flat: the reference is our own Lloyd with every
 * row against every list, where float Lloyd would take hours.
 */
#include "base/rng.h"
#include "bench/core.h"
#include "build/kmeans.h"
#include "build/lloyd.h"
#include "build/seeds.h"
#include "math/distance.h"

#include <mpivf/source.h>

#include <cblas.h>
#include <math.h>
#include <omp.h>

enum { ITERATIONS = 10, BLOCK = 2048, TIMES = 4 };
static const double ENOUGH = 1.005;

struct bench {
    struct mpivf_context ctx;
    struct mpivf_par par;
    size_t rows, dim, lists;
    float *row, *centroid, *product, *norm;
    uint32_t *list;
    double *sum;
    uint64_t *count;
    double sgemm; /* operations a second */
};

static void
stop(const struct bench *b)
{
    fprintf(stderr, "bench_kmeans: %s\n", b->ctx.error);
    exit(1);
}

static void *
take(struct bench *b, size_t count, size_t size)
{
    void *memory = mpivf_alloc_zero(&b->ctx, "the benchmark", count, size);
    if (memory == NULL)
        stop(b);
    return memory;
}

/* ---- data ---- */

static void
fill_uniform(struct bench *b)
{
    b->row = take(b, b->rows * b->dim, sizeof *b->row);
#pragma omp parallel for
    for (size_t i = 0; i < b->rows; i++) {
        float *row = b->row + i * b->dim;
        for (size_t j = 0; j < b->dim; j++)
            row[j] = (float)mpivf_random_normal(1, MPIVF_FOR_NOISE, i * b->dim + j);
        mpivf_normalise(row, b->dim, row);
    }
}

/* The first rows of a seeded order of the file. */
static void
read_file(struct bench *b, const char *name, size_t rows)
{
    struct mpivf_source source;
    float *all;
    if (mpivf_source_open_all(&source, &b->par, name, "train", (struct mpivf_reading){0}) ||
        mpivf_source_load_all(&source, source.rows, 0, source.rows, &all))
        stop(b);
    size_t dim = b->dim = source.dim;
    b->lists = b->lists ? b->lists : (size_t)(4 * sqrt((double)source.rows));
    b->rows = rows ? rows : 256 * b->lists;
    b->rows = b->rows < source.rows ? b->rows : source.rows;
    b->row = take(b, b->rows * dim, sizeof *b->row);
    for (size_t i = 0; i < b->rows; i++)
        memcpy(b->row + i * dim,
               all + mpivf_random_place(1, MPIVF_FOR_SAMPLE, source.rows, i) * dim,
               dim * sizeof *all);
    mpivf_free(&b->ctx, all);
    mpivf_source_close_all(&source);
}

/* ---- plain float Lloyd ---- */

/*
 * Operations a second: the best of TIMES stretches of a third of a second, as others run beside us.
 */
static double
sgemm_rate(struct bench *b)
{
    size_t n = b->rows < BLOCK ? b->rows : BLOCK;
    double best = 0, ops = 2.0 * (double)(n * b->lists * b->dim);
    for (int i = 0; i < TIMES; i++) {
        double start = omp_get_wtime(), seconds = 0, done = 0;
        for (; seconds < 1.0 / 3; seconds = omp_get_wtime() - start, done += ops)
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n, (blasint)b->lists,
                        (blasint)b->dim, 1, b->row, (blasint)b->dim, b->row, (blasint)b->dim, 0,
                        b->product, (blasint)b->lists);
        best = done / seconds > best ? done / seconds : best;
    }
    return best;
}

/* Assign all rows through sgemm; the mean squared distance, in float64. */
static double
assign(struct bench *b)
{
    size_t dim = b->dim, lists = b->lists;
    double total = 0;
    openblas_set_num_threads(omp_get_max_threads());
    for (size_t l = 0; l < lists; l++)
        b->norm[l] = (float)mpivf_square(b->centroid + l * dim, dim);
    for (size_t first = 0; first < b->rows; first += BLOCK) {
        size_t n = b->rows - first < BLOCK ? b->rows - first : BLOCK;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n, (blasint)lists,
                    (blasint)dim, 1, b->row + first * dim, (blasint)dim, b->centroid, (blasint)dim,
                    0, b->product, (blasint)lists);
#pragma omp parallel for reduction(+ : total)
        for (size_t i = 0; i < n; i++) {
            const float *product = b->product + i * lists;
            float best = INFINITY;
            uint32_t list = 0;
            for (size_t l = 0; l < lists; l++) {
                float value = b->norm[l] - 2 * product[l];
                list = value < best ? (uint32_t)l : list;
                best = value < best ? value : best;
            }
            b->list[first + i] = list;
            total += mpivf_distance(MPIVF_L2, b->row + (first + i) * dim, 0,
                                    b->centroid + list * dim, dim);
        }
    }
    openblas_set_num_threads(1);
    return total / (double)b->rows;
}

static void
move(struct bench *b)
{
    size_t dim = b->dim;
    memset(b->sum, 0, b->lists * dim * sizeof *b->sum);
    memset(b->count, 0, b->lists * sizeof *b->count);
    for (size_t i = 0; i < b->rows; i++) {
        b->count[b->list[i]]++;
        for (size_t j = 0; j < dim; j++)
            b->sum[b->list[i] * dim + j] += (double)b->row[i * dim + j];
    }
    for (size_t l = 0; l < b->lists; l++)
        for (size_t j = 0; j < dim && b->count[l] > 0; j++)
            b->centroid[l * dim + j] = (float)(b->sum[l * dim + j] / (double)b->count[l]);
}

static double
float_lloyd(struct bench *b, double *seconds)
{
    for (size_t l = 0; l < b->lists; l++)
        memcpy(b->centroid + l * b->dim,
               b->row + mpivf_random_place(2, MPIVF_FOR_SEEDS, b->rows, l) * b->dim,
               b->dim * sizeof *b->row);
    double start = omp_get_wtime();
    for (int i = 0; i < ITERATIONS; i++) {
        assign(b);
        move(b);
    }
    *seconds = omp_get_wtime() - start;
    return assign(b);
}

/* ---- ours ---- */

/* The sample as drawing would leave it. */
static void
sample_init(struct bench *b, struct mpivf_sample *sample, bool flat)
{
    uint64_t wanted[MPIVF_SAMPLE_LEVELS];
    size_t room[MPIVF_SAMPLE_LEVELS];
    mpivf_kmeans_wanted(flat ? 1 : b->lists, b->rows, wanted);
    for (int l = 0; l < MPIVF_SAMPLE_LEVELS; l++)
        room[l] = l > 0 ? wanted[l] - wanted[l - 1] : wanted[l];
    if (mpivf_sample_init(&b->ctx, sample, MPIVF_L2, b->dim, room, SIZE_MAX, "."))
        stop(b);
    for (size_t i = 0, l = 0; i < b->rows; i++) {
        l += i == wanted[l];
        while (room[l] == 0)
            l++;
        if (mpivf_sample_put(sample, (enum mpivf_sample_level)l, b->row + i * b->dim,
                             mpivf_random(3, MPIVF_FOR_SAMPLE, i)))
            stop(b);
    }
}

static double
objective_of(struct bench *b, const float *centroid)
{
    memcpy(b->centroid, centroid, b->lists * b->dim * sizeof *centroid);
    return assign(b);
}

/* k-means of at most so many global iterations: the seconds, and the objective afterwards. */
static double
ours(struct bench *b, uint64_t iterations, double tolerance, struct mpivf_train_summary *trained,
     double *objective)
{
    struct mpivf_train_options options = {
        .seed = 1, .iterations = iterations, .tolerance = tolerance, .metric = MPIVF_L2};
    struct mpivf_report report = {0};
    struct mpivf_progress progress;
    struct mpivf_sample sample;
    struct mpivf_coarse coarse;
    sample_init(b, &sample, false);
    double start = omp_get_wtime();
    mpivf_phase_begin(&progress, &b->par, &report, "k-means", "rows", 0);
    if (mpivf_coarse_init(&b->ctx, &coarse, MPIVF_L2, b->lists, b->dim) ||
        mpivf_kmeans_all(&b->par, &sample, &options, 0, &progress, &coarse, trained))
        stop(b);
    double seconds = omp_get_wtime() - start;
    *objective = b->product ? objective_of(b, coarse.centroid) : trained->objective;
    mpivf_coarse_clear(&coarse);
    mpivf_sample_clear(&sample);
    return seconds;
}

/* Lloyd with our exact assignment, from random rows; its objective is of the last assignment. */
static double
exact_lloyd(struct bench *b, double *seconds)
{
    struct mpivf_report report = {0};
    struct mpivf_progress progress;
    struct mpivf_sample sample;
    struct mpivf_coarse coarse;
    struct mpivf_lloyd_step step = {0};
    uint64_t first[2] = {0, b->lists};
    sample_init(b, &sample, true);
    mpivf_phase_begin(&progress, &b->par, &report, "flat", "rows", ITERATIONS * b->rows);
    struct mpivf_lloyd lloyd = {.par = &b->par,
                                .sample = &sample,
                                .coarse = &coarse,
                                .progress = &progress,
                                .level = MPIVF_SAMPLE_ALL,
                                .relaxation = 1};
    struct mpivf_seeds seeds = {&sample, MPIVF_SAMPLE_ALL, 1, 1, NULL, first};
    double start = omp_get_wtime();
    if (mpivf_coarse_init(&b->ctx, &coarse, MPIVF_L2, b->lists, b->dim) ||
        mpivf_lloyd_init_all(&lloyd) || mpivf_seeds_all(&b->par, &seeds, coarse.centroid))
        stop(b);
    memcpy(coarse.centre, sample.centre, b->dim * sizeof(float));
    mpivf_coarse_refill(&coarse);
    for (int i = 0; i < ITERATIONS; i++)
        if (mpivf_lloyd_all(&lloyd, 1, &step))
            stop(b);
    *seconds = omp_get_wtime() - start;
    mpivf_lloyd_clear(&lloyd);
    mpivf_coarse_clear(&coarse);
    mpivf_sample_clear(&sample);
    return step.objective;
}

static void
compare(struct bench *b, bool flat)
{
    double seconds, reference, ops = 2.0 * (double)b->rows * (double)b->lists * (double)b->dim;
    b->product = take(b, (size_t)BLOCK * b->lists, sizeof *b->product);
    b->centroid = take(b, b->lists * b->dim, sizeof *b->centroid);
    b->norm = take(b, b->lists, sizeof *b->norm);
    b->list = take(b, b->rows, sizeof *b->list);
    b->sum = take(b, b->lists * b->dim, sizeof *b->sum);
    b->count = take(b, b->lists, sizeof *b->count);
    openblas_set_num_threads(omp_get_max_threads());
    b->sgemm = sgemm_rate(b);
    printf("%zu x %zu, %zu lists: sgemm %.1f GF/s (%s)\n", b->rows, b->dim, b->lists,
           b->sgemm * 1e-9, mpivf_blas_core());
    openblas_set_num_threads(1);
    reference = flat ? exact_lloyd(b, &seconds) : float_lloyd(b, &seconds);
    printf("  %-20s %8.2f s, %5.2f of sgemm, objective %.6g\n",
           flat ? "Lloyd, ours, flat" : "Lloyd, float, sgemm", seconds,
           ITERATIONS * ops / seconds / b->sgemm, reference);
    for (uint64_t i = 1; i <= ITERATIONS; i++)
        for (double tolerance = 0.04; tolerance > 0.0005; tolerance /= 2) {
            struct mpivf_train_summary trained;
            double objective = 0;
            if (flat ? i != 2 || tolerance > 0.002 : i > 1 && tolerance > 0.002)
                continue;
            seconds = INFINITY;
            for (int time = 0; time < (flat ? 1 : TIMES); time++)
                seconds = fmin(seconds, ours(b, i, tolerance, &trained, &objective));
            printf("  ours, %2d global %3d local %6.2f s, %5.2f of sgemm, objective ratio %.4f, "
                   "tolerance %g\n",
                   (int)trained.iterations, (int)trained.local, seconds,
                   ITERATIONS * ops / seconds / b->sgemm, objective / reference, tolerance);
            fflush(stdout);
            if (objective / reference <= ENOUGH)
                return;
        }
}

int
main(int argc, char **argv)
{
    struct bench b = {.rows = 0};
    char **started = argv;
    bench_core(started);
    if (argc < 2) {
        fprintf(stderr,
                "usage: bench_kmeans FILE[:OBJECT] | uniform ROWS DIM [lists [rows [flat]]]\n");
        return 2;
    }
    mpivf_context_init(&b.ctx);
    mpivf_blas_init();
    mpivf_par_start_all(&b.par, &argc, &argv, &b.ctx);
    b.ctx.threads = omp_get_max_threads();
    bool uniform = strcmp(argv[1], "uniform") == 0 && argc > 3;
    int rest = uniform ? 4 : 2;
    b.lists = argc > rest ? strtoul(argv[rest], NULL, 10) : 0;
    size_t rows = argc > rest + 1 ? strtoul(argv[rest + 1], NULL, 10) : 0;
    if (uniform) {
        b.rows = strtoul(argv[2], NULL, 10);
        b.dim = strtoul(argv[3], NULL, 10);
        b.lists = b.lists ? b.lists : (size_t)(4 * sqrt((double)b.rows));
        b.rows = rows ? rows : b.rows < 256 * b.lists ? b.rows : 256 * b.lists;
        fill_uniform(&b);
    } else {
        read_file(&b, argv[1], rows);
    }
    compare(&b, argc > rest + 2);
    mpivf_par_stop_all(&b.par);
    return 0;
}
