/* Random numbers: the same for ever, all different, bell-shaped, and a true permutation. */
#include "testing.h"

#include <math.h>

enum { DRAWS = 200000 };

static int
by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Values worked out apart from this program: files made today must be made again in ten years. */
static void
pinned_values(void **state)
{
    (void)state;
    static const uint64_t place[10] = {6, 7, 8, 9, 5, 0, 2, 1, 3, 4};
    assert_int_equal(mpivf_random(0, MPIVF_FOR_SAMPLE, 0), 0x195ad44b598ff026u);
    assert_int_equal(mpivf_random(0, MPIVF_FOR_SAMPLE, 1), 0x9717a8266f6f70ccu);
    assert_int_equal(mpivf_random(42, MPIVF_FOR_DEAL, 5), 0xa6fea33c12960686u);
    assert_int_equal(mpivf_random(UINT64_MAX, MPIVF_FOR_NOISE, UINT64_MAX), 0x33ea35a92de7f654u);
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(mpivf_random_place(7, MPIVF_FOR_DEAL, 10, i), place[i]);
}

static void
never_the_same_twice(void **state)
{
    (void)state;
    uint64_t *value = room(2 * DRAWS, sizeof *value);
    for (uint64_t i = 0; i < DRAWS; i++) {
        value[2 * i] = mpivf_random(1, MPIVF_FOR_SAMPLE, i);
        value[2 * i + 1] = mpivf_random(1, MPIVF_FOR_SAMPLE, UINT64_MAX - i);
    }
    qsort(value, 2 * DRAWS, sizeof *value, by_value);
    for (size_t i = 1; i < 2 * DRAWS; i++)
        assert_true(value[i] != value[i - 1]);
    free(value);
}

static void
seed_and_purpose_matter(void **state)
{
    (void)state;
    size_t same = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t value = mpivf_random(1, MPIVF_FOR_SAMPLE, i);
        same += value == mpivf_random(2, MPIVF_FOR_SAMPLE, i);
        same += value == mpivf_random(1, MPIVF_FOR_SEEDS, i);
        same += value == mpivf_random(1, MPIVF_FOR_SAMPLE, i + 1);
    }
    assert_int_equal(same, 0);
}

static void
every_bit_is_even(void **state)
{
    (void)state;
    for (int bit = 0; bit < 64; bit++) {
        long ones = 0;
        for (uint64_t i = 0; i < 20000; i++)
            ones += mpivf_random(9, MPIVF_FOR_ROW, i) >> bit & 1;
        assert_in_range(ones, 9600, 10400); /* 5.6 standard deviations */
    }
}

static void
normal_moments(void **state)
{
    (void)state;
    double sum = 0, squares = 0, largest = 0;
    long within = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        double x = mpivf_random_normal(3, MPIVF_FOR_NOISE, i);
        sum += x;
        squares += x * x;
        within += fabs(x) < 1;
        largest = fmax(largest, fabs(x));
    }
    assert_true(fabs(sum / DRAWS) < 0.012); /* 5 standard errors */
    assert_true(fabs(squares / DRAWS - 1) < 0.015);
    assert_in_range(within, DRAWS * 0.64, DRAWS * 0.70);
    assert_true(largest <= 3.47 && largest > 3);
}

static void
place_is_a_permutation(void **state)
{
    (void)state;
    static const uint64_t size[] = {1, 2, 3, 4, 5, 16, 17, 1000, 65537};
    for (size_t s = 0; s < sizeof size / sizeof size[0]; s++)
        for (uint64_t seed = 0; seed < 5; seed++) {
            char *seen = room(size[s], 1);
            for (uint64_t i = 0; i < size[s]; i++) {
                uint64_t place = mpivf_random_place(seed, MPIVF_FOR_DEAL, size[s], i);
                assert_true(place < size[s]);
                assert_int_equal(seen[place]++, 0);
            }
            free(seen);
        }
}

static void
place_mixes(void **state)
{
    (void)state;
    enum { N = 10000 };
    long fixed = 0, low = 0, neighbours = 0;
    uint64_t last = 0;
    for (uint64_t i = 0; i < N; i++) {
        uint64_t place = mpivf_random_place(11, MPIVF_FOR_DEAL, N, i);
        fixed += place == i;
        neighbours += i > 0 && place == last + 1;
        low += i < N / 4 && place < N / 2;
        last = place;
    }
    assert_true(fixed < 10);
    assert_true(neighbours < 10);
    assert_in_range(low, 1100, 1400); /* 1250 expected */
}

static void
place_of_very_many(void **state)
{
    (void)state;
    static const uint64_t n = ((uint64_t)1 << 62) + 5;
    for (uint64_t i = 0; i < 1000; i++)
        assert_true(mpivf_random_place(1, MPIVF_FOR_DEAL, n, n - 1 - i) < n);
}

/* Blocks that are full or not, sizes just above and at a power of four. */
static void
many_places_are_each_one(void **state)
{
    (void)state;
    static const uint64_t size[] = {1, 2, 5, 64, 257, 1000, 4097, ((uint64_t)1 << 62) + 5};
    for (size_t s = 0; s < sizeof size / sizeof size[0]; s++) {
        uint64_t many = size[s] < 1000 ? size[s] : 1000, *place = room(many, sizeof *place);
        struct mpivf_random_order order;
        mpivf_random_order_init(&order, 3, MPIVF_FOR_SHUFFLE, size[s]);
        for (uint64_t i = 0; i < many; i++)
            place[i] = size[s] - 1 - i;
        mpivf_random_order_places(&order, place, many);
        for (uint64_t i = 0; i < many; i++) {
            uint64_t one = mpivf_random_place(3, MPIVF_FOR_SHUFFLE, size[s], size[s] - 1 - i);
            assert_int_equal(place[i], one);
            assert_int_equal(mpivf_random_order_place(&order, size[s] - 1 - i), one);
        }
        free(place);
    }
    mpivf_random_order_places(NULL, NULL, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("rng: values stay what they are", pinned_values),
        TEST("rng: no counter draws another's value", never_the_same_twice),
        TEST("rng: seed, purpose and counter matter", seed_and_purpose_matter),
        TEST("rng: every bit is set half the time", every_bit_is_even),
        TEST("rng: normal has mean 0, variance 1, its shape and its bound", normal_moments),
        TEST("rng: place is a permutation", place_is_a_permutation),
        TEST("rng: place mixes", place_mixes),
        TEST("rng: place of very many", place_of_very_many),
        TEST("rng: many places at once are the same", many_places_are_each_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
