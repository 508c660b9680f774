# The program, the library, and how others find it: find_package(mpivf) gives mpivf::mpivf, pkg-config mpivf.
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/mpivf)

install(TARGETS mpivf RUNTIME)
install(TARGETS libmpivf EXPORT mpivfTargets)
install(DIRECTORY include/mpivf DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT mpivfTargets NAMESPACE mpivf:: DESTINATION ${package})

configure_package_config_file(cmake/mpivfConfig.cmake.in mpivfConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(mpivfConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/mpivfConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/mpivfConfigVersion.cmake
  DESTINATION ${package})

# MPI comes with its own compiler wrapper or pkg-config file, by whichever name it has here.
pkg_search_module(MPI_PC QUIET ompi-c mpi-c mpich)
file(RELATIVE_PATH MPIVF_PC_UP /${CMAKE_INSTALL_LIBDIR}/pkgconfig /) # the prefix may move
configure_file(cmake/mpivf.pc.in mpivf.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/mpivf.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
