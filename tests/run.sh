#!/bin/sh
# Every test, from a bare Debian 12: set-up, builds, ctest. usage: sh tests/run.sh [ctest options]
# The suite runs on a release build with fault points, then again under ASan and UBSan; clang
# compiles everything too. Warnings are errors in all of them. Tests run as many at a time as there are
# processors, but for those that keep all of them busy by themselves.
set -eu
cd "$(dirname "$0")/.."
sh jobs/setup.sh tests
. jobs/environment.sh
jobs=$(nproc)

build() { # folder, compiler, options...
    folder=$1 compiler=$2
    shift 2
    CC=$compiler cmake -S . -B "$folder" -DMPIVF_WERROR=ON -DMPIVF_FAULTS=ON "$@" >"$folder.log" 2>&1 &&
        cmake --build "$folder" -j "$jobs" >>"$folder.log" 2>&1 || {
        tail -n 40 "$folder.log" >&2
        exit 1
    }
}

mkdir -p build
build build/test gcc
build build/clang clang
build build/asan gcc -DMPIVF_SANITIZE=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo
echo "compiled by gcc and clang without a warning"

failed=0
(cd build/test && ctest --output-on-failure -j "$jobs" "$@") || failed=1
echo "and again under AddressSanitizer and UndefinedBehaviorSanitizer:"
(cd build/asan && ctest --output-on-failure -j "$jobs" "$@") || failed=1
exit $failed
