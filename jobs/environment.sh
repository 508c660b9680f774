# Sourced by the other scripts: what mpirun needs on a small machine, and nothing else.
# More ranks than cores, ranks that may use every core, root inside containers.
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
export OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none
# An exported core type would halve sgemm on processors with AVX-512.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
