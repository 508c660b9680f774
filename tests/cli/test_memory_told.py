"""A --memory that is told to be enough is: with exactly that the same command works, and stays below."""
import itertools
import json
import os
import re

import h5py
import numpy
import pytest

from program import fails, run, save, taken

SOAK = os.environ.get("MPIVF_SOAK") == "1"
MIB = 1024
SHAPES = [(2000, 24, 300), (60, 30000, 20), (30, 100000, 5)]  # rows, columns, queries
if SOAK:
    SHAPES += [(500, 1, 2000), (3000, 3, 5000), (1500, 700, 1000), (300, 5000, 300), (40, 70000, 40),
               (6, 1 << 20, 2)]
WAYS = [("l2", 1, 0), ("cosine", 2, 3)] if not SOAK else itertools.product(
    ("l2", "ip", "cosine"), (1, 2, 4), (0, 1, 3))
BUFFERS = re.compile(r"needs [0-9.]+ MiB of buffers at least, [0-9.]+ MiB are left; raise --memory to ([0-9]+)M")


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
    if os.path.exists(report):
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


@pytest.mark.parametrize("name", ["int8", "int16", "float32", "sgemm"])
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


def test_one_limit_of_columns(tmp_path):
    """2^20 columns are the most, for every command; what is written can be read."""
    most = 1 << 20
    for columns in (most, most + 1):
        with h5py.File(tmp_path / f"{columns}.h5", "w") as file:
            for name in ("train", "test"):
                data = file.create_dataset(name, (4, columns), "f4")
                data[:, :7] = numpy.arange(28).reshape(4, 7)
    good, bad, out = tmp_path / f"{most}.h5", tmp_path / f"{most + 1}.h5", tmp_path / "out"
    says = f"has {most + 1} columns, and {most} are the most that are supported"
    for words in (("train", bad, out), ("build", bad, out), ("truth", bad, bad, out), ("shuffle", bad, out)):
        fails(*words, "--quiet", says=says, ranks=0, output=out)
    fails("generate", out, "--dim", most + 1, code=2, says=str(most), ranks=0, output=out)
    run("train", good, tmp_path / "model", "--lists", 2, "--quiet", ranks=0)
    run("build", good, tmp_path / "index", "--model", tmp_path / "model", "--quiet", ranks=0)
    run("search", tmp_path / "index", good, tmp_path / "result", "-k", 1, "--probes", 2, "--quiet", ranks=0)
    with h5py.File(tmp_path / "result") as file:
        assert file["neighbors"][:].ravel().tolist() == [0, 1, 2, 3]
