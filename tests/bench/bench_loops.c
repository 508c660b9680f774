/*
 * The loops over one row, of every instruction set that runs here, and those of the codecs: GB/s of
 * what they read (of floats, for codecs), on one thread, and beside memcpy, from 128 KiB and from
 * 64 MiB. Codes are those of one row, in the cache. usage: bench_loops [d...]
 */
#include "base/rng.h"
#include "codec/codec.h"
#include "math/kernel.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMES = 5 };

struct bench {
    const struct mpivf_kernel *kernel;
    const struct mpivf_codec *codec;
    size_t dim, rows;
    float *row;
    double *wide; /* the same values */
    int64_t *sums;
    int16_t *shorts;
    void *plane[MPIVF_CODEC_PLANES]; /* of one row; 8 bytes a component do for any codec */
    float *decoded;
    double sum; /* used, so that nothing is left out */
};

static void
run_copy(struct bench *b, size_t i)
{
    memcpy(b->sums, b->row + i * b->dim, b->dim * sizeof *b->row);
}

static void
run_square(struct bench *b, size_t i)
{
    b->sum += b->kernel->square(b->row, b->row + i * b->dim, b->dim);
}

static void
run_dot(struct bench *b, size_t i)
{
    b->sum += b->kernel->dot(b->row, b->row + i * b->dim, b->dim);
}

static void
run_square64(struct bench *b, size_t i)
{
    b->sum += b->kernel->square64(b->wide, b->wide + i * b->dim, b->dim);
}

static void
run_square32(struct bench *b, size_t i)
{
    b->sum += (double)b->kernel->square32(b->row, b->row + i * b->dim, b->dim);
}

static void
run_largest(struct bench *b, size_t i)
{
    b->sum += (double)b->kernel->largest(b->row + i * b->dim, b->dim);
}

static void
run_round8(struct bench *b, size_t i)
{
    b->sum += (double)b->kernel->round8(b->row + i * b->dim, b->dim, 20, (int8_t *)b->shorts);
}

static void
run_round16(struct bench *b, size_t i)
{
    b->sum += (double)b->kernel->round16(b->row + i * b->dim, b->dim, 5000, b->shorts);
}

static void
run_add(struct bench *b, size_t i)
{
    b->kernel->add(b->row + i * b->dim, b->dim, 1024, b->sums);
}

/* Around the first row. */
static void
run_encode(struct bench *b, size_t i)
{
    b->codec->encode(b->row + i * b->dim, 1, b->dim, b->row, b->plane);
}

static void
run_decode(struct bench *b, size_t i)
{
    (void)i;
    b->codec->decode(b->plane, 1, b->dim, b->row, b->decoded);
    b->sum += (double)b->decoded[0];
}

static const struct {
    const char *name;
    void (*run)(struct bench *b, size_t i);
    size_t value; /* bytes */
} loops[] = {
    {"square", run_square, 4},     {"dot", run_dot, 4},         {"square64", run_square64, 8},
    {"square32", run_square32, 4}, {"largest", run_largest, 4}, {"round8", run_round8, 4},
    {"round16", run_round16, 4},   {"add", run_add, 4},
};

/* The best of several times over all rows. */
static double
rate(struct bench *b, void (*run)(struct bench *, size_t), size_t value)
{
    double best = 0;
    for (int t = 0; t < TIMES; t++) {
        double start = omp_get_wtime(), now = start;
        size_t n = 0;
        for (; now - start < 0.01; n++) {
            for (size_t i = 0; i < b->rows; i++)
                run(b, i);
            now = omp_get_wtime();
        }
        double gb = 1e-9 * (double)(n * b->rows * b->dim * value) / (now - start);
        best = gb > best ? gb : best;
    }
    return best;
}

static int
bench_dim(size_t dim, size_t bytes, const char *where)
{
    struct bench b = {.dim = dim, .rows = bytes / (dim * sizeof(float)) + 1};
    size_t values = b.rows * dim;
    b.row = malloc(values * sizeof *b.row);
    b.wide = malloc(values * sizeof *b.wide);
    b.sums = calloc(dim, sizeof *b.sums);
    b.shorts = malloc(dim * sizeof *b.shorts);
    b.decoded = malloc(dim * sizeof *b.decoded);
    bool short_of = !b.row || !b.wide || !b.sums || !b.shorts || !b.decoded;
    for (int p = 0; p < MPIVF_CODEC_PLANES; p++) {
        b.plane[p] = malloc(dim * sizeof(double));
        short_of = short_of || !b.plane[p];
    }
    if (short_of)
        return 1;
    for (size_t i = 0; i < values; i++) {
        b.row[i] = (float)(mpivf_random(1, MPIVF_FOR_ROW, i) >> 40) * 0x1p-23f - 1;
        b.wide[i] = (double)b.row[i];
    }
    double copy = rate(&b, run_copy, sizeof *b.row);
    printf("d=%-6zu %-10s memcpy %6.1f GB/s\n", dim, where, copy);
    for (int s = 0; s < MPIVF_KERNELS; s++) {
        b.kernel = mpivf_kernel_at(s);
        if (b.kernel == NULL)
            continue;
        printf("        %-9s", b.kernel->name);
        for (size_t l = 0; l < sizeof loops / sizeof loops[0]; l++) {
            double gb = rate(&b, loops[l].run, loops[l].value);
            printf(" %s %.1f (%.2f)", loops[l].name, gb, gb / copy);
        }
        printf("\n");
    }
    for (int c = 0; c < MPIVF_CODECS; c++) {
        b.codec = mpivf_codec((enum mpivf_codec_kind)c);
        double in = rate(&b, run_encode, sizeof *b.row), out = rate(&b, run_decode, sizeof *b.row);
        printf("        codec %-4s encode %.1f (%.2f) decode %.1f (%.2f)\n", b.codec->name, in,
               in / copy, out, out / copy);
    }
    for (int p = 0; p < MPIVF_CODEC_PLANES; p++)
        free(b.plane[p]);
    free(b.decoded);
    free(b.row);
    free(b.wide);
    free(b.sums);
    free(b.shorts);
    return b.sum == 0.5;
}

int
main(int argc, char **argv)
{
    static const size_t usual[] = {96, 128, 784, 3072};
    for (int i = 0; i < (argc > 1 ? argc - 1 : 4); i++) {
        size_t dim = argc > 1 ? strtoul(argv[1 + i], NULL, 10) : usual[i];
        if (bench_dim(dim, 128 << 10, "in cache") || bench_dim(dim, 64 << 20, "in memory"))
            return 1;
    }
    return 0;
}
