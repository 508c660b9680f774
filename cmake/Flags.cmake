# One set of compiler flags for every target. No -march=native: kernels are chosen at run time.
add_library(mpivf_flags INTERFACE)
target_compile_features(mpivf_flags INTERFACE c_std_11)
target_compile_options(mpivf_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes
  -Wpointer-arith -Wwrite-strings -Wno-psabi
  -fno-math-errno -ffp-contract=off   # results must not depend on whether the machine can fuse
)
# Asserts stay on in every configuration: they cost nothing where they are. A release has lines for a backtrace.
target_compile_options(mpivf_flags INTERFACE -UNDEBUG $<$<CONFIG:Release>:-g1>)

if(MPIVF_WERROR)
  target_compile_options(mpivf_flags INTERFACE -Werror)
endif()
if(MPIVF_FAULTS)
  target_compile_definitions(mpivf_flags INTERFACE MPIVF_FAULTS)
endif()
if(MPIVF_SANITIZE)
  target_compile_options(mpivf_flags INTERFACE -fsanitize=address,undefined
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(mpivf_flags INTERFACE -fsanitize=address,undefined)
endif()
