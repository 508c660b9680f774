#!/bin/sh
# The tests once for each instruction set that this processor has, as if it had no better one.
# usage: sh tests/kernels.sh [BUILD [ctest options]]; -R cli_truth picks tests. A soak: four times the time.
set -eu
build=${1:-$(dirname "$0")/../build/test}
[ $# -eq 0 ] || shift
failed=0
for kernel in portable avx2 avx512 vnni; do
    if ! MPIVF_KERNEL=$kernel "$build/mpivf" --version | grep -q "kernels $kernel,"; then
        echo "== $kernel: not on this processor"
        continue
    fi
    echo "== $kernel"
    (cd "$build" && MPIVF_KERNEL=$kernel ctest --output-on-failure "$@") || failed=1
done
exit $failed
