#!/bin/sh
# Install what is missing on Debian 12: as root with apt, otherwise print the one line to run.
# usage: sh jobs/setup.sh [tests]
set -eu

packages="gcc libc6-dev make cmake pkg-config openmpi-bin libopenmpi-dev libhdf5-openmpi-dev
libopenblas-dev libjansson-dev libxxhash-dev"
if [ "${1:-}" = tests ]; then
    packages="$packages clang clang-format libomp-dev libcmocka-dev hdf5-tools python3 python3-numpy
python3-h5py python3-pytest gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
fi

missing=""
for package in $packages; do
    if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed'; then
        missing="$missing $package"
    fi
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        exit 1
    fi
    rm -f "$log"
else
    echo "some packages are missing; please run this line and start again:" >&2
    echo "  sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
