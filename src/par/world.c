#define _GNU_SOURCE /* sched_getaffinity */
#include <mpivf/par.h>

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

void
mpivf_par_start_all(struct mpivf_par *par, int *argc, char ***argv, struct mpivf_context *ctx)
{
    int provided;
    MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &provided);
    mpivf_par_init_all(par, MPI_COMM_WORLD, ctx);
}

void
mpivf_par_stop_all(struct mpivf_par *par)
{
    mpivf_par_clear_all(par);
    MPI_Finalize();
}

int
mpivf_par_launched_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i]))
            return atoi(getenv(names[i]));
    return 0;
}

int
mpivf_par_processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

int
mpivf_par_threads(const struct mpivf_par *par)
{
    int allowed = mpivf_par_processors();
    bool bound = allowed < sysconf(_SC_NPROCESSORS_ONLN);
    const char *asked = getenv("OMP_NUM_THREADS");
    if (asked == NULL)
        asked = getenv("SLURM_CPUS_PER_TASK");
    int threads = asked ? atoi(asked) : bound ? allowed : allowed / par->node_size;
    threads = threads < allowed ? threads : allowed;
    return threads > 1 ? threads : 1;
}
