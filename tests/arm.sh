#!/bin/sh
# The kernels for Arm against their definitions, cross-compiled and run by qemu; 77: not here.
# usage: sh tests/arm.sh SOURCES [compiler options]
set -eu
cd "$1"
shift
if [ "$(uname -m)" = aarch64 ]; then
    echo "skipped: this is such a processor, and the unit tests run here"
    exit 77
fi
for tool in aarch64-linux-gnu-gcc qemu-aarch64; do
    if ! command -v $tool >/dev/null; then
        echo "skipped: there is no $tool (gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user)"
        exit 77
    fi
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
options="-std=gnu11 -O3 -fno-math-errno -ffp-contract=off -Wall -Wextra -Werror -Isrc -Iinclude -Itests -Itests/arm"
aarch64-linux-gnu-gcc $options "$@" -march=armv8.2-a+dotprod -c src/math/kernel_neon.c -o "$work/neon.o"
for test in kernel kernel_add; do
    aarch64-linux-gnu-gcc $options "$@" -static tests/unit/$test.c src/math/kernel.c \
        src/math/kernel_portable.c src/base/rng.c "$work/neon.o" -lm -o "$work/$test"
    qemu-aarch64 -cpu max "$work/$test" | tee -a "$work/told"
done
grep -qx "neon runs here" "$work/told"
echo "and without dot products:"
qemu-aarch64 -cpu cortex-a72 "$work/kernel"
