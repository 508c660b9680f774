/* Broadcast, sums, gathering, the tree: with empty ranks and uneven sizes. */
#include "checks.h"

static void
bcast(struct checks *t)
{
    char data[1000];
    for (size_t n = 0; n <= sizeof data; n += 250) {
        for (size_t i = 0; i < sizeof data; i++)
            data[i] = (char)(t->par.rank == 0 ? draw(1, i) : 0);
        mpivf_bcast_all(&t->par, data, n);
        for (size_t i = 0; i < sizeof data; i++)
            CHECK(t, data[i] == (char)(t->par.rank == 0 || i < n ? draw(1, i) : 0));
    }
}

static void
sums(struct checks *t)
{
    int64_t ranks = t->par.size, sum = ranks * (ranks - 1) / 2, rank = t->par.rank;
    int64_t all[3] = {rank, -5, INT64_MAX / 8}, root[2] = {rank, 1};
    mpivf_sum_all(&t->par, all, 3);
    CHECK(t, all[0] == sum && all[1] == -5 * ranks && all[2] == INT64_MAX / 8 * ranks);
    mpivf_sum_to_root_all(&t->par, root, 2);
    CHECK(t, rank == 0 ? root[0] == sum && root[1] == ranks : root[0] == rank && root[1] == 1);
    mpivf_sum_all(&t->par, NULL, 0);
    mpivf_sum_to_root_all(&t->par, NULL, 0);
}

static void
sums_before(struct checks *t)
{
    int64_t rank = t->par.rank, before[2] = {rank, -5};
    mpivf_exscan_all(&t->par, before, 2);
    CHECK(t, before[0] == rank * (rank - 1) / 2 && before[1] == -5 * rank);
    mpivf_exscan_all(&t->par, NULL, 0);
}

static void
most_and_total(struct checks *t)
{
    uint64_t rank = (uint64_t)t->par.rank, last = (uint64_t)t->par.size - 1;
    CHECK(t, mpivf_max_all(&t->par, -3.5 - (double)rank) == -3.5);
    CHECK(t, mpivf_max_all(&t->par, (double)rank) == (double)last);
    CHECK(t, mpivf_max_u64_all(&t->par, UINT64_MAX - rank) == UINT64_MAX);
    CHECK(t, mpivf_sum_u64_all(&t->par, rank + 1) == (last + 1) * (last + 2) / 2);
}

/* Bytes that rank r brings: none from every other. */
static size_t
piece(int rank)
{
    return rank % 2 == 0 ? 0 : 7 * (size_t)rank + 1;
}

static void
check_joined(struct checks *t, const unsigned char *all)
{
    for (int rank = 0; rank < t->par.size; rank++)
        for (size_t i = 0; i < piece(rank); i++)
            CHECK(t, *all++ == (unsigned char)draw((uint64_t)rank, i));
}

static void
gathers(struct checks *t)
{
    unsigned char mine[64], all[512];
    size_t n = piece(t->par.rank), total = 0;
    for (size_t i = 0; i < n; i++)
        mine[i] = (unsigned char)draw((uint64_t)t->par.rank, i);
    for (int rank = 0; rank < t->par.size; rank++)
        total += piece(rank);
    memset(all, 0xee, sizeof all);
    mpivf_allgather_all(&t->par, mine, n, all);
    check_joined(t, all);
    CHECK(t, all[total] == 0xee);
    memset(all, 0xee, sizeof all);
    mpivf_gather_all(&t->par, mine, n, t->par.rank == 0 ? all : NULL);
    if (t->par.rank == 0)
        check_joined(t, all);
    CHECK(t, all[t->par.rank == 0 ? total : 0] == 0xee);
    all[0] = 0xee; /* nobody has anything */
    mpivf_allgather_all(&t->par, NULL, 0, all);
    CHECK(t, all[0] == 0xee);
    mpivf_gather_all(&t->par, NULL, 0, NULL);
}

struct joins {
    size_t bytes;
    int calls;
};

static void
add_bytes(void *arg, void *data, const void *other)
{
    struct joins *joins = arg;
    joins->calls++;
    for (size_t i = 0; i < joins->bytes; i++)
        ((unsigned char *)data)[i] =
            (unsigned char)(((unsigned char *)data)[i] + ((const unsigned char *)other)[i]);
}

static void
tree(struct checks *t)
{
    unsigned char data[100], other[100];
    for (size_t n = 0; n <= sizeof data; n += 50) {
        struct joins joins = {n, 0};
        int rounds = 0;
        for (size_t i = 0; i < n; i++)
            data[i] = (unsigned char)((size_t)t->par.rank * 3 + i);
        mpivf_tree_all(&t->par, data, other, n, add_bytes, &joins);
        for (size_t i = 0; i < n && t->par.rank == 0; i++) {
            size_t want = 0;
            for (int rank = 0; rank < t->par.size; rank++)
                want += (size_t)rank * 3 + i;
            CHECK(t, data[i] == (unsigned char)want);
        }
        while (1 << rounds < t->par.size)
            rounds++;
        CHECK(t, joins.calls <= rounds && (t->par.rank > 0 || joins.calls == rounds));
        CHECK(t, mpivf_sum_u64_all(&t->par, (uint64_t)joins.calls) == (uint64_t)t->par.size - 1);
    }
}

static void
shares(struct checks *t)
{
    for (uint64_t n = 0; n < 20; n++) {
        uint64_t first = mpivf_share_first(n, t->par.rank, t->par.size);
        uint64_t end = mpivf_share_first(n, t->par.rank + 1, t->par.size);
        uint64_t even = n / (uint64_t)t->par.size;
        CHECK(t, end - first == even || end - first == even + 1);
        CHECK(t, t->par.rank > 0 || first == 0);
        CHECK(t, mpivf_sum_u64_all(&t->par, end - first) == n);
    }
}

static void
neighbours_on_the_node(struct checks *t)
{
    CHECK(t, t->par.node_size == t->par.size && t->par.node_rank == t->par.rank);
    CHECK(t, t->ctx.rank == t->par.rank);
    CHECK(t, mpivf_par_launched_rank() == t->par.rank);
    CHECK(t, mpivf_par_threads(&t->par) >= 1);
    double now = mpivf_seconds();
    CHECK(t, mpivf_seconds() >= now);
}

int
main(int argc, char **argv)
{
    static const struct par_test tests[] = {
        {"par: broadcast", bcast},
        {"par: sums", sums},
        {"par: sums over the lower ranks", sums_before},
        {"par: largest and total", most_and_total},
        {"par: gathering uneven pieces", gathers},
        {"par: tree reduction", tree},
        {"par: even shares", shares},
        {"par: ranks of a node", neighbours_on_the_node},
    };
    return run_tests_all(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
