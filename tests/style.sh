#!/bin/sh
# Is the code as .clang-format has it, and no line longer than 100 columns? What clang-format 14
# makes of a file others make a little differently: with another version only the length counts.
# usage: sh tests/style.sh SOURCE_FOLDER [--write]
set -eu
cd "$1"
files=$(find src include tests -name '*.[ch]' -o -name '*.cpp')
if [ "${2:-}" = --write ]; then
    clang-format -i $files
    exit
fi
if [ "$(echo "$files" | wc -l)" -lt 100 ]; then
    echo "only a few files were found: is this the right folder?"
    exit 1
fi
if awk 'length > 100 { print FILENAME ":" FNR ": longer than 100 columns"; n++ } END { exit n == 0 }' $files; then
    exit 1
fi
case $(clang-format --version 2>/dev/null) in
    *"version 14."*) clang-format --dry-run -Werror $files ;;
    *) echo "skipped: there is no clang-format 14" && exit 77 ;;
esac
