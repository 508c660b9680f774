"""Figures of the sources, to compare before and after: python3 tests/house.py [SOURCE_FOLDER [BUILD_FOLDER]].

A function is what stands between a { and the next } in the first column; its length counts those lines
and what they hold. A block is repeated when six lines in a row, more than braces and blanks, stand
elsewhere too. Idioms of a sequence of steps: THEN (base/then.h), and what it has
replaced, `if (status == MPIVF_OK)` with the next step behind it and `status ? status : step`. Symbols are those that the library defines for others (nm, with BUILD_FOLDER)."""
import collections
import glob
import re
import statistics
import subprocess
import sys

folder = sys.argv[1] if len(sys.argv) > 1 else "."
lines = {path: open(path).read().split("\n") for path in sorted(
    glob.glob(f"{folder}/src/*/*.[ch]") + glob.glob(f"{folder}/include/mpivf/*.h"))}
tests = [path for end in ("c", "h", "py") for path in glob.glob(f"{folder}/tests/**/*.{end}", recursive=True)]


def functions():
    """(lines, file, number of the first line)"""
    for path, text in lines.items():
        begin = None
        for number, line in enumerate(text, 1):
            if line == "{":
                begin = number
            elif line == "}" and begin:
                yield number - begin + 1, path, begin
                begin = None


def repeated(block=6):
    """Lines that lie in a block which stands in two places at least."""
    places = collections.defaultdict(list)
    for path, text in lines.items():
        told = [(n, line.strip()) for n, line in enumerate(text) if line.strip() not in ("", "{", "}", "*/", "/*")
                and not line.startswith("#include")]
        for i in range(len(told) - block + 1):
            places["\n".join(line for _, line in told[i:i + block])].append((path, [n for n, _ in told[i:i + block]]))
    return {(path, n) for found in places.values() if len(found) > 1 for path, numbers in found for n in numbers}


def count(pattern):
    return sum(len(re.findall(pattern, "\n".join(text))) for text in lines.values())


def code():
    return sum(1 for text in lines.values() for line in text if line.strip())


def comment():
    inside = total = 0
    for text in lines.values():
        for line in text:
            inside = inside or "/*" in line
            total += bool(inside)
            inside = inside and "*/" not in line
    return total


found = sorted(functions())
lengths = [length for length, _, _ in found]
long_lines = {what: sum(len(line) > 100 for path in paths for line in open(path).read().split("\n"))
              for what, paths in (("src and include", lines), ("tests", tests))}
table = [
    ("files", len(lines)),
    ("lines that are not blank", code()),
    ("of these with comments", comment()),
    ("files above 450 lines", sum(len(text) > 451 for text in lines.values())),
    ("the longest file", max(len(text) - 1 for text in lines.values())),
    ("functions", len(lengths)),
    ("lines a function: median", statistics.median(lengths)),
    ("lines a function: 90th percentile", lengths[len(lengths) * 9 // 10]),
    ("lines of the longest function", lengths[-1]),
    ("lines in repeated blocks of six", len(repeated())),
    ("lines above 100 columns, src and include", long_lines["src and include"]),
    ("lines above 100 columns, tests", long_lines["tests"]),
    ("idiom 'THEN(status, ...)'", count(r"THEN\(status, ")),
    ("idiom 'if (status == MPIVF_OK) status = ...'", count(r"if \(status == MPIVF_OK\)[^\n]*\n?\s*status =")),
    ("idiom 'status ? status : ...'", count(r"status \? status :")),
    ("comparisons on the filter enum", count(r"[=!<>]=? MPIVF_FILTER_|case MPIVF_FILTER_")),
    ("functions named *_bytes", len(set(re.findall(r"\b(mpivf_\w+_bytes)\(", "\n".join("\n".join(t) for t in lines.values()))))),
    ("asserts", count(r"\bassert\(")),
]
if len(sys.argv) > 2:
    defined = subprocess.run(["nm", "-g", "--defined-only", f"{sys.argv[2]}/libmpivf.a"], capture_output=True, text=True)
    table.append(("symbols of the library", len(set(re.findall(r" [TDBR] (\w+)", defined.stdout)))))
for what, figure in table:
    print(f"{what:48}{figure:>8}")
print("the longest functions:", ", ".join(f"{path.rsplit('/', 1)[1]}:{begin} ({length})" for length, path, begin in found[-5:]))
