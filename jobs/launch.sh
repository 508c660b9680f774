# Sourced by the job scripts: launch COMMAND ... runs mpivf on the ranks that there are.
# Under Slurm the ranks, their processors and memory come from the job; elsewhere from RANKS and
# THREADS. MPIVF_HOME is the folder above jobs; MPIVF names the program, its build/mpivf by default.
set -eu

home=$MPIVF_HOME
program=${MPIVF:-$home/build/mpivf}
if [ ! -x "$program" ]; then
    echo "there is no program '$program': build it (sh jobs/quickstart.sh) or set MPIVF or MPIVF_HOME" >&2
    exit 1
fi

launch() {
    if [ -n "${SLURM_JOB_ID:-}" ]; then
        # srun does not inherit --cpus-per-task since Slurm 22.05
        export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"
        export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}" OMP_PLACES=cores
        unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
        exec srun --mpi=pmix "$program" "$@"
    fi
    . "$home/jobs/environment.sh"
    threads=${THREADS:-1}
    export OMP_NUM_THREADS="$threads"
    # mpirun would bind a rank to one core: give each as many as it has threads, if they exist
    ranks=${RANKS:-2}
    bind="--bind-to none"
    if [ "$((ranks * threads))" -le "$(nproc)" ]; then
        bind="--map-by slot:PE=$threads --bind-to core"
    fi
    exec mpirun -n "$ranks" $bind "$program" "$@"
}
