#include <mpivf/par.h>

#include <string.h>

/*
 * Bytes and elements of one MPI call: its counts are ints, and so are some MPIs' byte counts. A sum
 * is gathered in memory that MPI takes beside ours, as long as a piece.
 */
enum { PIECE = 1 << 30, PIECE_SUM = 1 << 20 };

void
mpivf_par_init_all(struct mpivf_par *par, MPI_Comm comm, struct mpivf_context *ctx)
{
    memset(par, 0, sizeof *par);
    par->ctx = ctx;
    MPI_Comm_dup(comm, &par->comm);
    MPI_Comm_rank(par->comm, &par->rank);
    MPI_Comm_size(par->comm, &par->size);
    MPI_Comm node;
    MPI_Comm_split_type(par->comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Comm_rank(node, &par->node_rank);
    MPI_Comm_size(node, &par->node_size);
    MPI_Comm_free(&node);
    int threads;
    MPI_Query_thread(&threads);
    par->aside = threads >= MPI_THREAD_SERIALIZED;
    ctx->rank = par->rank;
}

void
mpivf_par_clear_all(struct mpivf_par *par)
{
    MPI_Comm_free(&par->comm);
}

mpivf_status
mpivf_agree_all(const struct mpivf_par *par, mpivf_status status)
{
    /* -rank makes the lowest failing rank the largest among the failed */
    int mine = status == MPIVF_OK ? -par->size : -par->rank, worst;
    MPI_Allreduce(&mine, &worst, 1, MPI_INT, MPI_MAX, par->comm);
    if (worst == -par->size)
        return MPIVF_OK;
    struct {
        int status;
        char text[MPIVF_TEXT];
    } cause = {.status = (int)status};
    int from = -worst;
    struct mpivf_context *ctx = par->ctx;
    if (par->rank == from)
        memcpy(cause.text, ctx->error, sizeof cause.text);
    MPI_Bcast(&cause, (int)sizeof cause, MPI_BYTE, from, par->comm);
    if (par->rank != from || from != 0) {
        cause.text[MPIVF_TEXT - 1] = '\0';
        bool told = strncmp(cause.text, "rank ", 5) == 0;
        mpivf_clear_error(ctx);
        if (from == 0 || told)
            mpivf_fail(ctx, MPIVF_INTERNAL, "%s", cause.text);
        else
            mpivf_fail(ctx, MPIVF_INTERNAL, "rank %d: %s", from, cause.text);
    }
    return (mpivf_status)cause.status;
}

void
mpivf_bcast_all(const struct mpivf_par *par, void *data, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += PIECE) {
        size_t n = bytes - at < PIECE ? bytes - at : PIECE;
        MPI_Bcast((char *)data + at, (int)n, MPI_BYTE, 0, par->comm);
    }
}

void
mpivf_sum_all(const struct mpivf_par *par, int64_t *values, size_t count)
{
    for (size_t at = 0; at < count; at += PIECE_SUM) {
        size_t n = count - at < PIECE_SUM ? count - at : PIECE_SUM;
        MPI_Allreduce(MPI_IN_PLACE, values + at, (int)n, MPI_INT64_T, MPI_SUM, par->comm);
    }
}

void
mpivf_sum_to_root_all(const struct mpivf_par *par, int64_t *values, size_t count)
{
    for (size_t at = 0; at < count; at += PIECE_SUM) {
        size_t n = count - at < PIECE_SUM ? count - at : PIECE_SUM;
        const void *from = par->rank == 0 ? MPI_IN_PLACE : (const void *)(values + at);
        MPI_Reduce(from, values + at, (int)n, MPI_INT64_T, MPI_SUM, 0, par->comm);
    }
}

void
mpivf_exscan_all(const struct mpivf_par *par, int64_t *values, size_t count)
{
    for (size_t at = 0; at < count; at += PIECE_SUM) {
        size_t n = count - at < PIECE_SUM ? count - at : PIECE_SUM;
        MPI_Exscan(MPI_IN_PLACE, values + at, (int)n, MPI_INT64_T, MPI_SUM, par->comm);
    }
    if (par->rank == 0 && count > 0) /* where MPI leaves it as it was */
        memset(values, 0, count * sizeof *values);
}

double
mpivf_max_all(const struct mpivf_par *par, double value)
{
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_MAX, par->comm);
    return value;
}

uint64_t
mpivf_max_u64_all(const struct mpivf_par *par, uint64_t value)
{
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_UINT64_T, MPI_MAX, par->comm);
    return value;
}

uint64_t
mpivf_min_u64_all(const struct mpivf_par *par, uint64_t value)
{
    uint64_t min;
    MPI_Allreduce(&value, &min, 1, MPI_UINT64_T, MPI_MIN, par->comm);
    return min;
}

uint64_t
mpivf_sum_u64_all(const struct mpivf_par *par, uint64_t value)
{
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_UINT64_T, MPI_SUM, par->comm);
    return value;
}

void
mpivf_allgather_all(const struct mpivf_par *par, const void *mine, size_t bytes, void *all)
{
    /* rank after rank broadcasts its piece: no counts table, no int limit on the total */
    size_t at = 0;
    for (int rank = 0; rank < par->size; rank++) {
        uint64_t n = bytes;
        MPI_Bcast(&n, 1, MPI_UINT64_T, rank, par->comm);
        if (rank == par->rank && n > 0)
            memcpy((char *)all + at, mine, n);
        for (size_t done = 0; done < n; done += PIECE) {
            size_t piece = n - done < PIECE ? n - done : PIECE;
            MPI_Bcast((char *)all + at + done, (int)piece, MPI_BYTE, rank, par->comm);
        }
        at += n;
    }
}

static void
exchange(const struct mpivf_par *par, void *data, size_t bytes, int partner, bool send)
{
    for (size_t at = 0; at < bytes; at += PIECE) {
        int n = (int)(bytes - at < PIECE ? bytes - at : PIECE);
        if (send)
            MPI_Send((char *)data + at, n, MPI_BYTE, partner, 0, par->comm);
        else
            MPI_Recv((char *)data + at, n, MPI_BYTE, partner, 0, par->comm, MPI_STATUS_IGNORE);
    }
}

void
mpivf_gather_all(const struct mpivf_par *par, const void *mine, size_t bytes, void *all)
{
    uint64_t n = bytes;
    if (par->rank != 0) {
        MPI_Send(&n, 1, MPI_UINT64_T, 0, 0, par->comm);
        exchange(par, (void *)mine, bytes, 0, true);
        return;
    }
    if (bytes > 0)
        memcpy(all, mine, bytes);
    char *at = (char *)all + bytes;
    for (int rank = 1; rank < par->size; rank++, at += n) {
        MPI_Recv(&n, 1, MPI_UINT64_T, rank, 0, par->comm, MPI_STATUS_IGNORE);
        exchange(par, at, n, rank, false);
    }
}

void
mpivf_tree_all(const struct mpivf_par *par, void *data, void *other, size_t bytes,
               void (*join)(void *arg, void *data, const void *other), void *arg)
{
    for (int step = 1; step < par->size; step *= 2) {
        if (par->rank % (2 * step) == step) {
            exchange(par, data, bytes, par->rank - step, true);
            return;
        }
        if (par->rank % (2 * step) == 0 && par->rank + step < par->size) {
            exchange(par, other, bytes, par->rank + step, false);
            join(arg, data, other);
        }
    }
}

double
mpivf_seconds(void)
{
    return MPI_Wtime();
}
