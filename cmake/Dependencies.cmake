# What mpivf stands on; jobs/setup.sh installs it on Debian.
find_package(MPI REQUIRED COMPONENTS C)
find_package(OpenMP REQUIRED COMPONENTS C)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_search_module(HDF5 REQUIRED IMPORTED_TARGET hdf5-openmpi hdf5-mpi hdf5)
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash>=0.8)

set(MPIVF_NEEDS PkgConfig::HDF5 PkgConfig::OPENBLAS PkgConfig::JANSSON PkgConfig::XXHASH OpenMP::OpenMP_C m)
add_library(mpivf_needs INTERFACE)
target_link_libraries(mpivf_needs INTERFACE MPI::MPI_C Threads::Threads ${MPIVF_NEEDS})

pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka) # for tests
