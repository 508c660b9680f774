"""The same bytes of a truth whatever computes it: filters, instruction sets, ranks, threads, memory."""
import itertools
import os

import h5py
import numpy
import pytest

import test_truth
from program import has_filter, has_kernel, run, same, same_answers, save, tight_memory

KERNELS = ["portable", "avx2", "avx512", "vnni"]
FILTERS = ["int8", "int7", "int16", "float32", "sgemm"]


def mixed():
    """Of all kinds: copies, zeros, far away, tiny, one huge value in a row of small ones."""
    rows = test_truth.normal(100, 1500)[0]
    rows[::9] = rows[0]
    rows[1::9] = 0
    rows[2::9] += numpy.float32(1e4)
    rows[3::9] *= numpy.float32(1e-20)
    rows[4::9, 7] = 1e6
    return rows, numpy.concatenate([rows[:40], rows[40:60] + numpy.float32(0.5)])


def few_axes():
    """Near 12 directions of 120 columns, with copies, zeros and some far away or tiny."""
    chance = numpy.random.default_rng(3)
    rows = chance.normal(size=(1500, 12)) @ chance.normal(size=(12, 120))
    rows = (rows + chance.normal(size=rows.shape) / 10).astype("f4")
    rows[::9] = rows[0]
    rows[1::9] = 0
    rows[2::9] += numpy.float32(30)
    rows[3::9] *= numpy.float32(1e-20)
    return rows, numpy.concatenate([rows[:40], rows[40:60] + numpy.float32(0.5)])


HARD = {
    "mixed": (mixed, ["l2", "ip", "cosine"], 30),
    "offset": (test_truth.offset, ["l2"], 10),
    "copies": (test_truth.copies, ["l2"], 20),
    "zeros": (test_truth.zeros, ["cosine"], 400),
    "three columns": (lambda: test_truth.whole(3), ["ip"], 12),
    "many columns": (lambda: test_truth.normal(4096, 300), ["l2"], 12),
    "few axes": (few_axes, ["l2", "ip", "cosine"], 20),
}
CASES = [(name, metric) for name, (_, metrics, _) in HARD.items() for metric in metrics]


@pytest.mark.parametrize("name, metric", CASES)
def test_filters_and_kernels(tmp_path, name, metric):
    make, _, k = HARD[name]
    rows, queries = make()
    source = save(tmp_path / "in.h5", train=rows, test=queries)
    run("truth", source, source, tmp_path / "plain", "-k", k, "--metric", metric, ranks=0)
    used, looked = set(), set()
    looks = ["0", "16"] if 96 <= rows.shape[1] <= 8192 else ["0"]
    for kernel, wanted, axes in itertools.product(filter(has_kernel, KERNELS), FILTERS, looks):
        given = {"MPIVF_KERNEL": kernel, "MPIVF_FILTER": wanted, "MPIVF_AXES": axes}
        told = run("truth", source, source, tmp_path / "t", "-k", k, "--metric", metric, "--force",
                   "--json", ranks=0, env=given).json()
        assert same(tmp_path / "t", tmp_path / "plain"), given
        used.add((kernel, told["filter"]))
        looked.add((kernel, told["filter"], told["axes"]))
        assert wanted == "int8" or told["filter"] == wanted
    assert {("portable", f) for f in FILTERS[1:]} <= used
    assert not has_kernel("vnni") or ("vnni", "int8") in used
    assert name != "few axes" or {(*way, 16) for way in used if way[1].startswith("int")} <= looked


def test_kernels_that_this_processor_lacks():
    """Not run here; said, so that nobody takes them for tested."""
    missing = [name for name in KERNELS if not has_kernel(name)]
    if missing:
        pytest.skip(f"this processor has no {', '.join(missing)}")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A source of many blocks, its truth made in the plainest way, and what all runs ask."""
    folder = tmp_path_factory.mktemp("same")
    rows = test_truth.normal(40, 9000)[0]
    rows[5000:5300] = rows[:300]
    queries = numpy.concatenate([rows[::30], rows[:300] + numpy.float32(0.1)])
    save(folder / "in.h5", train=rows, test=queries)
    numpy.save(folder / "base.npy", rows)
    numpy.save(folder / "queries.npy", queries)
    with h5py.File(folder / "gzip.h5", "w") as file:
        file.create_dataset("train", data=rows, chunks=(128, 40), compression="gzip", compression_opts=1)
        file.create_dataset("test", data=queries, chunks=(7, 40), compression="gzip", shuffle=True)
    with h5py.File(folder / "tiles.h5", "w") as file:
        file.create_dataset("train", data=rows.astype(">f4"), chunks=(300, 17))
        file.create_dataset("test", data=queries.astype("f8"), chunks=(100, 40))
    run("truth", folder / "in.h5", folder / "in.h5", folder / "truth", "-k", 25, ranks=0)
    return folder


def truth(place, out, *words, base="in.h5", queries="in.h5", **how):
    told = run("truth", place / base, place / queries, out, "-k", 25, "--json", *words, **how).json()
    other_type = "tiles.h5" in (base, queries)  # the mark of what was asked tells types apart
    assert (same_answers if other_type else same)(out, place / "truth")
    assert told["rows"] == 9000 and told["queries"] == 600 and told["reused_rows"] == 0
    assert not os.path.exists(f"{out}.work")
    return told


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_ranks_and_threads(tmp_path, place, ranks, threads):
    truth(place, tmp_path / "t", "--threads", threads, ranks=ranks)


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
@pytest.mark.parametrize("kept", [False, True])
def test_little_memory(tmp_path, place, ranks, kept):
    """Few queries and few rows at a time; kept: with progress written after every read."""
    given = tight_memory("truth", place / "in.h5", place / "in.h5", tmp_path / "t", "-k", 25,
                         "--threads", 1, ranks=ranks, more=0.7)
    told = truth(place, tmp_path / "t", "--threads", 1, "--memory", given, "--checkpoint",
                 0 if kept else 60, ranks=ranks)
    assert told["passes"] > 1


@pytest.mark.parametrize("amount", ["200M", "1G", "64G"])
def test_more_memory(tmp_path, place, amount):
    assert truth(place, tmp_path / "t", "--memory", amount, ranks=2)["passes"] == 1


@pytest.mark.parametrize("ranks", [2, 5])
@pytest.mark.parametrize("mode", ["independent", "collective"])
def test_read_modes(tmp_path, place, mode, ranks):
    truth(place, tmp_path / "t", "--read", mode, ranks=ranks)
    truth(place, tmp_path / "u", "--read", mode, base="gzip.h5", queries="gzip.h5", ranks=ranks)


@pytest.mark.parametrize("base, queries", [("base.npy", "queries.npy"), ("gzip.h5", "queries.npy"),
                                           ("tiles.h5", "tiles.h5"), ("base.npy", "gzip.h5")])
def test_files(tmp_path, place, base, queries):
    truth(place, tmp_path / "t", base=base, queries=queries, ranks=3)


@pytest.mark.parametrize("name", FILTERS)
def test_filters_with_little_memory(tmp_path, place, name):
    """Several slabs, so that limits carry over from one to the next, and several passes."""
    if not has_filter(name):
        pytest.skip(f"the instruction set in use has no {name}")
    env = {"MPIVF_FILTER": name}
    given = tight_memory("truth", place / "in.h5", place / "in.h5", tmp_path / "t", "-k", 25,
                         "--threads", 2, ranks=2)
    told = truth(place, tmp_path / "t", "--threads", 2, "--memory", given, ranks=2, env=env)
    assert told["passes"] > 1 and told["filter"] == name
