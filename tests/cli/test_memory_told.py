"""A --memory that is told to be enough is: with exactly that the same command works, and stays below."""
import itertools
import json
import os
import re

import h5py
import numpy
import pytest

from program import SLOW, fails, run, save, taken

SOAK = os.environ.get("MPIVF_SOAK") == "1"
MIB = 1024
SHAPES = [(1000, 24, 100), (24, 70000, 4)]  # rows, columns, queries
WAYS = [("cosine", 2, 0)]  # metric, threads, ranks (0: without mpirun)
FILTERS = ["int8", "int7", "sgemm"]
if SOAK:
    SHAPES += [(500, 1, 2000), (3000, 3, 5000), (1500, 700, 1000), (300, 5000, 300), (60, 30000, 20),
               (40, 100000, 40), (6, 1 << 20, 2)]
    WAYS = list(itertools.product(("l2", "ip", "cosine"), (1, 2, 4), (0, 1, 3)))
    FILTERS += ["int16", "float32"]
BUFFERS = re.compile(r"needs? [0-9.]+ MiB of buffers at least, [0-9.]+ MiB are left; raise --memory to ([0-9]+)M")


def attempt(words, given, ranks, env):
    """The --memory, in MiB, that a run with `given` KiB asks for; 0 when it has done its work."""
    done = run(*words, "--memory", f"{given}k", "--json", ranks=ranks, env=env, check=False, timeout=300)
    if done.code == 0:
        return 0
    line, = done.messages()
    assert done.code == 1 and BUFFERS.search(line), line
    return int(BUFFERS.search(line).group(1))


def resident(report):
    """The largest resident memory of a rank, in KiB."""
    with open(report) as file:
        return max(rank["resident_peak_bytes"] for phase in json.load(file)["phases"]
                   for rank in phase["ranks"]) / 1024


def check(*words, output, ranks=0, env=None):
    """Too little is refused with a figure and leaves nothing; with that figure the run does its work."""
    little = taken() + MIB
    enough = attempt(words, little, ranks, env)
    if enough:
        assert [name for name in os.listdir(output.parent) if name.startswith(output.name)] == []
        assert attempt(words, enough * MIB, ranks, env) == 0
    report = f"{output}.report.json"
    if os.path.exists(report) and SLOW == 1:  # a sanitizer keeps what was freed
        assert resident(report) <= (enough * MIB or little)
    return enough


@pytest.fixture(params=SHAPES, ids=lambda shape: "x".join(map(str, shape[:2])))
def shape(request):
    return request.param


@pytest.fixture
def place(tmp_path, shape):
    rows, columns, queries = shape
    random = numpy.random.default_rng(3)
    os.mkdir(tmp_path / "out")
    save(tmp_path / "in.h5", train=random.integers(-9, 9, (rows, columns)).astype("f4"),
         test=random.integers(-9, 9, (queries, columns)).astype("f4"))
    return tmp_path


@pytest.mark.parametrize("metric,threads,ranks", WAYS)
def test_training_and_adding(place, shape, metric, threads, ranks):
    how = ("--threads", threads, "--metric", metric, "--lists", min(40, shape[0] // 3), "--quiet")
    check("train", place / "in.h5", place / "out" / "model", *how, output=place / "out" / "model", ranks=ranks)
    check("build", place / "in.h5", place / "out" / "index", *how, output=place / "out" / "index", ranks=ranks)


@pytest.mark.parametrize("metric,threads,ranks", WAYS)
def test_truth(place, metric, threads, ranks):
    out = place / "out" / "truth"
    check("truth", place / "in.h5", place / "in.h5", out, "-k", 10, "--metric", metric, "--threads", threads,
          "--quiet", output=out, ranks=ranks)


@pytest.mark.parametrize("name", FILTERS)
def test_truth_with_every_filter(place, name):
    out = place / "out" / "truth"
    check("truth", place / "in.h5", place / "in.h5", out, "-k", 3, "--threads", 2, "--quiet", output=out,
          env={"MPIVF_FILTER": name})


@pytest.mark.parametrize("metric,threads,ranks", WAYS)
def test_searching(place, shape, metric, threads, ranks):
    run("build", place / "in.h5", place / "index", "--metric", metric, "--codec", "f16", "--store", "source",
        "--lists", min(40, shape[0] // 3), "--quiet", ranks=0)
    for more in (("--probes", 3), ("--recall", 0.9), ("--rerank", 12)):
        out = place / "out" / more[0]
        check("search", place / "index", place / "in.h5", out, "-k", 5, "--threads", threads, "--quiet", *more,
              output=out, ranks=ranks)


def test_merging(place, shape):
    lists = min(40, shape[0] // 3)
    run("train", place / "in.h5", place / "model", "--lists", lists, "--quiet", ranks=0)
    parts = [place / f"part{i}" for i in range(1, 4)]
    for i, part in enumerate(parts, 1):
        run("build", place / "in.h5", part, "--model", place / "model", "--part", f"{i}/3", "--quiet", ranks=0)
    out = place / "out" / "merged"
    check("merge", *parts, place / "model", out, "--quiet", output=out)


def test_shuffling_and_generating(place, shape):
    check("shuffle", place / "in.h5", place / "out" / "mixed", "--quiet", output=place / "out" / "mixed")
    check("generate", place / "out" / "made", "--rows", 50, "--queries", 5, "--dim", shape[1], "--clusters", 30,
          "--quiet", output=place / "out" / "made")


@pytest.mark.parametrize("ranks", [0, 3])
@pytest.mark.parametrize("kind,chunk", [("f4", 15000), ("f4", 30000), ("f8", 1000)])
def test_the_chunks_and_what_comes_after_are_told_together(tmp_path, kind, chunk, ranks):
    """Tall compressed chunks need room of their own, beside what the command needs: one figure for both."""
    random = numpy.random.default_rng(5)
    os.mkdir(tmp_path / "out")
    source = tmp_path / "in.h5"
    with h5py.File(source, "w") as file:
        for name, rows in (("train", 30000), ("test", 50)):
            file.create_dataset(name, data=random.integers(-9, 9, (rows, 48)).astype(kind), compression="gzip",
                                chunks=(min(rows, chunk), 48))
    run("build", source, tmp_path / "index", "--lists", 40, "--quiet", ranks=0)
    both = 0
    for words in (["train", source, "OUT", "--lists", 40], ["build", source, "OUT", "--lists", 40],
                  ["truth", source, source, "OUT", "-k", 10], ["truth", source, "OUT", "--self", "-k", 3],
                  ["shuffle", source, "OUT"], ["search", tmp_path / "index", f"{source}:train", "OUT"]):
        out = tmp_path / "out" / f"{words[0]}{len(words)}"
        told = run(*(out if word == "OUT" else word for word in words), "--memory", f"{taken() + MIB}k", "--quiet",
                   ranks=ranks, check=False)
        both += "reading the chunks of" in told.err and " and " in told.err and "or rewrite with h5repack" in told.err
        check(*(out if word == "OUT" else word for word in words), "--quiet", output=out, ranks=ranks)
        for each in os.listdir(tmp_path / "out"):
            os.remove(tmp_path / "out" / each)
    assert both >= 4 or kind == "f8"


def test_on_three_ranks(tmp_path):
    random = numpy.random.default_rng(4)
    source = save(tmp_path / "in.h5", train=random.standard_normal((900, 200)).astype("f4"),
                  test=random.standard_normal((50, 200)).astype("f4"))
    os.mkdir(tmp_path / "out")
    for words in (("build", source), ("truth", source, source)):
        out = tmp_path / "out" / words[0]
        assert check(*words, out, "--quiet", output=out, ranks=3) > 0


def test_one_limit_of_columns(tmp_path):
    """Every command refuses at once what is wider than any of them can do."""
    columns, out = (1 << 20) + 1, tmp_path / "out"
    with h5py.File(tmp_path / "in.h5", "w") as file:
        for name in ("train", "test"):
            file.create_dataset(name, (4, columns), "f4")
    says, wide = f"has {columns} columns, and {columns - 1} are the most that are supported", tmp_path / "in.h5"
    for words in (("train", wide, out), ("build", wide, out), ("truth", wide, wide, out), ("shuffle", wide, out)):
        fails(*words, says=says, ranks=0, output=out)
    fails("generate", out, "--dim", columns, code=2, says="1048576", ranks=0, output=out)


@pytest.mark.skipif(not SOAK, reason="takes a minute: the soak form runs it")
def test_the_widest_rows(tmp_path):
    rows = numpy.zeros((4, 1 << 20), "f4")
    rows[:, :7] = numpy.arange(28).reshape(4, 7)
    source = save(tmp_path / "in.h5", train=rows, test=rows)
    run("build", source, tmp_path / "index", "--lists", 2, "--quiet", ranks=0)
    run("search", tmp_path / "index", source, tmp_path / "result", "-k", 1, "--probes", 2, "--quiet", ranks=0)
    run("truth", source, source, tmp_path / "truth", "-k", 1, "--quiet", ranks=0)
    for name in ("result", "truth"):
        with h5py.File(tmp_path / name) as file:
            assert file["neighbors"][:].ravel().tolist() == [0, 1, 2, 3]
