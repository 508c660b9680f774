#!/bin/sh
# Who may include whom: a layer uses itself and the layers before it. MPI is named in par only,
# HDF5 in the files src/io/hdf5*, BLAS and xxHash each in one file. usage: sh tests/layers.sh SOURCE_FOLDER
set -eu
cd "$1"
layers="base par io source math codec index build search measure cmd"
bad=$(mktemp)
trap 'rm -f "$bad"' EXIT

level() { # the number of a layer; search and build stand side by side
    n=0
    for layer in $layers; do
        n=$((n + 1))
        [ "$layer" = "$1" ] && echo $n && return
    done
    echo 0
}

home_of() { # the layer of a public header: where the file of that name is
    found=$(ls src/*/"$1".c 2>/dev/null | grep -v '^src/cmd/' | head -n 1)
    case $1 in
        index) found=src/index/ ;;
    esac
    [ -n "$found" ] || found=src/base/
    echo "$found" | cut -d/ -f2
}

includes=0
for file in src/*/*.c src/*/*.h; do
    here=$(echo "$file" | cut -d/ -f2)
    [ "$(level "$here")" != 0 ] || echo "$file: '$here' is no layer" >>"$bad"
    for name in $(sed -n 's/^#include "\([a-z0-9_\/]*\)\.h"$/\1/p; s/^#include <mpivf\/\([a-z0-9_]*\)\.h>$/<\1/p' "$file"); do
        includes=$((includes + 1))
        case $name in
            "<"*) there=$(home_of "${name#<}") ;;
            */*) there=${name%%/*} ;;
            *) echo "$file: '$name.h' is included without its folder" >>"$bad" && continue ;;
        esac
        if [ "$(level "$there")" -gt "$(level "$here")" ] ||
            { [ "$here" = search ] && [ "$there" = build ]; } || # side by side
            { [ "$here" = measure ] && case $name in build/* | search/*) true ;; *) false ;; esac; }; then
            echo "$file: '$here' may not include '$name' of '$there'" >>"$bad"
        fi
    done
done
[ "$includes" -gt 100 ] || echo "only $includes includes were found: is this the right folder?" >>"$bad"

only() { # pattern, files where it may stand
    pattern=$1
    shift
    for file in $(grep -lE "$pattern" src/*/*.[ch] || true); do
        case " $* " in
            *" $file "*) ;;
            *) echo "$file: '$pattern' is allowed in $* only" >>"$bad" ;;
        esac
    done
    for file in "$@"; do
        grep -qE "$pattern" "$file" || echo "$file: '$pattern' was expected" >>"$bad"
    done
}
only '\bMPI_[A-Z][a-z]' $(ls src/par/par.c src/par/world.c)
only '#include <hdf5\.h>' src/io/hdf5_internal.h
for file in $(grep -lE '#include "io/hdf5_(internal|survey|reader)\.h"' src/*/*.[ch] | grep -v '^src/io/hdf5'); do
    echo "$file: the inside of src/io/hdf5* is not for others" >>"$bad"
done
only '#include <cblas\.h>' src/math/blas.c
only '#include <xxhash\.h>' src/io/checksum.c
only '\b(malloc|calloc|realloc|aligned_alloc) ?\(' src/base/memory.c

# the library does not print, exit or abort
grep -nE '\b(exit|abort|printf|puts|perror) ?\(' $(ls src/*/*.c | grep -v '^src/cmd/') >>"$bad" || true

awk -f tests/labels.awk include/mpivf/*.h src/*/*.h >>"$bad" || true

if [ -s "$bad" ]; then
    cat "$bad"
    exit 1
fi
echo "$includes includes in order"
