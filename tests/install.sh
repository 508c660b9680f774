#!/bin/sh
# Install into a folder, build programs of somebody else in C and C++ by pkg-config and by CMake, and run
# them: same bytes as the command's. A shared library exports what the public headers declare, no more.
# usage: sh tests/install.sh BUILD_FOLDER
set -eu
build=$(cd "$1" && pwd)
cd "$(dirname "$0")"
tests=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/prefix" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
export PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig:$work/prefix/$(gcc -print-multiarch 2>/dev/null)/lib/pkgconfig

echo "by pkg-config, $(pkg-config --modversion mpivf)"
cc=${CC:-cc} cxx=$(command -v g++ || command -v clang++)
warnings="-Wall -Wextra -Werror"
"$cc" -std=c11 $warnings $(pkg-config --cflags mpivf) -o "$work/c" install/consumer.c \
    $(pkg-config --static --libs mpivf)
"$cxx" -std=c++14 $warnings $(pkg-config --cflags mpivf) -o "$work/cpp" install/consumer.cpp \
    $(pkg-config --static --libs mpivf)
for header in "$work"/prefix/include/mpivf/*.h; do # each stands alone
    echo "#include <mpivf/${header##*/}>" >"$work/alone.c"
    "$cc" -std=c11 $warnings -fsyntax-only $(pkg-config --cflags mpivf) "$work/alone.c"
    "$cxx" -std=c++14 $warnings -fsyntax-only $(pkg-config --cflags mpivf) -x c++ "$work/alone.c"
done

echo "by CMake"
cmake -S install -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$cxx" \
    -DCMAKE_BUILD_TYPE=Release >"$work/log" 2>&1 && cmake --build "$work/cmake" >>"$work/log" 2>&1 ||
    { tail -n 30 "$work/log"; exit 1; }

for program in "$work/c" "$work/cmake/consumer_c"; do
    rm -rf "$work/out" && mkdir "$work/out"
    mpirun -n 2 "$program" "$work/out" >"$work/told"
    grep -qx "3000 rows in 20 lists" "$work/told" && grep -qx "recall@10 1.0000" "$work/told" ||
        { cat "$work/told"; exit 1; }
    [ "$(ls "$work/out" | tr '\n' ' ')" = "index result.h5 rows.h5 truth.h5 " ] || { ls "$work/out"; exit 1; }
done
mpivf=$work/prefix/bin/mpivf
"$mpivf" build "$work/out/rows.h5" "$work/index" --lists 20 -q >/dev/null
cmp "$work/index" "$work/out/index"
for program in "$work/cpp" "$work/cmake/consumer_cpp"; do
    [ "$("$program" "$work/index")" = "3000 rows, 20 lists, l2" ]
done

echo "exported by a shared library"
"$cc" -shared -o "$work/libmpivf.so" -Wl,--whole-archive "$work"/prefix/lib*/libmpivf.a -Wl,--no-whole-archive \
    $(pkg-config --static --libs mpivf | sed 's/-lmpivf//') -fopenmp
nm -D --defined-only "$work/libmpivf.so" | sed -n 's/.* [TBDR] //p' | grep -v '^_' | sort >"$work/exported"
cat "$work"/prefix/include/mpivf/*.h |
    awk '!was_inline && match($0, /^([a-z0-9_]+ )?mpivf_[a-z0-9_]+\(/) { sub(/\(.*/, ""); print $NF }
         { was_inline = /^static inline/ }' | sort -u >"$work/declared"
comm -3 "$work/exported" "$work/declared" >"$work/differ"
if [ -s "$work/differ" ]; then
    echo "exported | declared only:"
    cat "$work/differ"
    exit 1
fi
echo "$(wc -l <"$work/exported") functions"
