"""truth of float64 data: computed on the float64 values, against a brute force in numpy."""
import os

import h5py
import numpy
import pytest

from exact import assert_exact, read
from program import fails, neighbours, run, same, same_answers, save, tight_memory

METRICS = ["l2", "ip", "cosine"]
FILTERS = ["int8", "int7", "int16", "float32", "sgemm"]
K = 12
SOAK = os.environ.get("MPIVF_SOAK") == "1"


def normal(seed, rows=700, dim=24):
    """Rows, and queries some of which are rows, or rows but for the last bits."""
    chance = numpy.random.default_rng(seed)
    base = chance.normal(size=(rows, dim))
    return base, numpy.concatenate([chance.normal(size=(6, dim)), base[::rows // 5]])


def scaled(scale, offset=0.0):
    base, queries = normal(1)
    return offset + scale * base, offset + scale * queries


def near():
    """Whole numbers, and differences that float32 does not see."""
    base, queries = normal(2)
    base, queries = numpy.round(2 * base), numpy.round(2 * queries)
    base[::2] += 2.0 ** -40 * numpy.random.default_rng(3).integers(0, 3, size=base[::2].shape)
    base[5:40:5] = queries[0]
    base[40:75:5] = queries[0]
    base[40:75:5, 3] = numpy.nextafter(queries[0, 3], 9)
    return base, queries


def mixed():
    """Every row at a scale of its own, from 1e-60 to 1e60; some are zeros."""
    base, queries = normal(4)
    chance = numpy.random.default_rng(5)
    base *= 10.0 ** chance.integers(-60, 60, size=(len(base), 1))
    queries[:6] *= 10.0 ** chance.integers(-60, 60, size=(6, 1))
    base[3::50] = 0
    queries[6:] = base[::140]
    return base, queries


DATA = {
    "normal": normal(6),
    "offset": scaled(1e-3, 1e8),
    "near": near(),
    "beyond float32": scaled(1e100),
    "about the largest": scaled(1e150),
    "below float32": scaled(1e-100),
    "squares of 0": scaled(1e-300),
    "mixed": mixed(),
    "product in reach": (1e60 * normal(7)[0], 1e-60 * normal(7)[1]),
}


def exact(folder, base, queries, metric, *words, k=K, **how):
    source = save(folder / "in.h5", train=base, test=queries)
    run("truth", source, source, folder / "t", "-k", k, "--metric", metric, "--force", *words, **how)
    assert_exact(folder / "t", base, queries, metric, k)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", DATA)
def test_brute_force(tmp_path, name, metric):
    """With each filter in turn; in a soak all of them, on 1 and 3 ranks."""
    which = list(DATA).index(name) + METRICS.index(metric)
    for i, filter in enumerate(FILTERS):
        if SOAK or i == which % 4:
            for ranks in (0, 3) if SOAK else (0,):
                exact(tmp_path, *DATA[name], metric, ranks=ranks, env={"MPIVF_FILTER": filter})


@pytest.mark.parametrize("kernel", ["portable", "avx2", "avx512", "vnni"])
def test_kernels(tmp_path, kernel):
    """Where the processor has no such set the best one runs again."""
    for metric in METRICS:
        exact(tmp_path, *DATA["offset"], metric, ranks=0, env={"MPIVF_KERNEL": kernel})


def test_what_float32_cannot_tell_apart(tmp_path):
    """The same values as float32 have other neighbours."""
    base, queries = scaled(1e-3, 1e8)
    for kind in ("f8", "f4"):
        source = save(tmp_path / f"{kind}.h5", train=base.astype(kind), test=queries.astype(kind))
        run("truth", source, source, tmp_path / kind, "-k", K, ranks=0)
    assert_exact(tmp_path / "f8", base, queries, "l2", K)
    assert (neighbours(tmp_path / "f8")[0] != neighbours(tmp_path / "f4")[0]).mean() > 0.2
    found = read(tmp_path / "f8")["duplicates"]
    assert (found == [0] * 6 + [1] * 5).all()


@pytest.mark.parametrize("wide", ["train", "test"])
@pytest.mark.parametrize("narrow", ["f4", ">f4", "f2", "u1"])
def test_one_side_is_float64(tmp_path, wide, narrow):
    base, queries = (numpy.abs(numpy.round(30 * rows)) % 200 for rows in normal(8))
    if wide == "train":
        base[::3] += 2.0 ** -30
        queries = queries.astype(narrow)
    else:
        queries[:6] += 2.0 ** -30
        base = base.astype(narrow)
    for metric in METRICS:
        exact(tmp_path, base, queries, metric, ranks=0)


@pytest.mark.parametrize("kind", ["big-endian", "npy", "big-endian npy", "chunked"])
def test_files(tmp_path, kind):
    base, queries = DATA["offset"]
    plain = save(tmp_path / "in.h5", train=base, test=queries)
    run("truth", plain, plain, tmp_path / "right", "-k", K, ranks=0)
    order = ">f8" if kind.startswith("big") else "<f8"
    if "npy" in kind:
        source, asked = tmp_path / "base.npy", tmp_path / "queries.npy"
        numpy.save(source, base.astype(order))
        numpy.save(asked, queries.astype(order))
    else:
        source = asked = tmp_path / "other.h5"
        with h5py.File(source, "w") as file:
            chunks = dict(chunks=(5, 7), compression="gzip") if kind == "chunked" else {}
            file.create_dataset("train", data=base.astype(order), **chunks)
            file.create_dataset("test", data=queries.astype(order), **chunks)
    run("truth", source, asked, tmp_path / "t", "-k", K, ranks=3)
    assert_exact(tmp_path / "t", base, queries, "l2", K)
    assert same_answers(tmp_path / "t", tmp_path / "right")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Rows of several blocks, at an offset, and a truth made in the plainest way."""
    folder = tmp_path_factory.mktemp("large")
    base, queries = normal(9, rows=9000, dim=40)
    base[5000:5300] = base[:300]
    base, queries = 1e8 + 1e-3 * base, 1e8 + 1e-3 * queries
    save(folder / "in.h5", train=base, test=queries)
    run("truth", folder / "in.h5", folder / "in.h5", folder / "right", "-k", K, "--prefix", "1K,9K", ranks=0)
    for n in (1000, 9000):
        assert_exact(folder / f"right-{n // 1000}K", base[:n], queries, "l2", K)
    return folder


@pytest.mark.parametrize("ranks, threads", [(1, 2), (3, 1), (5, 2)])
def test_ranks_and_memory(tmp_path, large, ranks, threads):
    words = ("truth", large / "in.h5", large / "in.h5", tmp_path / "t", "-k", K, "--prefix", "1K,9K")
    given = tight_memory(*words, "--threads", 1, ranks=ranks, more=0.7)
    run(*words, "--threads", threads, ranks=ranks)
    for n in ("1K", "9K"):
        assert same(tmp_path / f"t-{n}", large / f"right-{n}")
    run(*words, "--threads", 1, "--memory", given, "--checkpoint", 0, "--force", ranks=ranks)
    for n in ("1K", "9K"):
        assert same(tmp_path / f"t-{n}", large / f"right-{n}")


def test_going_on_after_a_kill(tmp_path, large):
    words = ("truth", large / "in.h5", large / "in.h5", tmp_path / "t", "-k", K, "--prefix", "1K,9K",
             "--checkpoint", 0)
    given = tight_memory(*words, "--threads", 1, ranks=2, more=0.7)
    killed = run(*words, "--threads", 1, "--memory", given, ranks=2, check=False,
                 env={"MPIVF_FAULT": "file-rename:1:3:kill"})
    assert killed.code != 0 and os.listdir(tmp_path / "t.work")
    told = run(*words, "--json", ranks=3).json()
    assert told["reused_rows"] > 0
    for n in ("1K", "9K"):
        assert same(tmp_path / f"t-{n}", large / f"right-{n}")


def test_work_on_float32_values_is_not_gone_on_with(tmp_path, large):
    """What is asked is told apart by the type that it is computed in."""
    with h5py.File(large / "right-9K") as file:
        wide = file.attrs["request"]
    with h5py.File(large / "in.h5") as file:
        source = save(tmp_path / "in.h5", train=file["train"][:].astype("f4"), test=file["test"][:].astype("f4"))
    run("truth", source, source, tmp_path / "t", "-k", K, "--prefix", "1K,9K", ranks=0)
    with h5py.File(tmp_path / "t-9K") as file:
        assert file.attrs["request"] != wide


def test_self(tmp_path):
    base, _ = DATA["offset"]
    base = base.copy()
    base[100:110] = base[:10]
    source = save(tmp_path / "in.h5", train=base)
    run("truth", source, tmp_path / "t", "--self", "-k", K, ranks=3)
    assert_exact(tmp_path / "t", base, base, "l2", K, own=numpy.arange(len(base)))


def test_other_files(tmp_path):
    """--also: the ids of the truth, distances as float32."""
    base, queries = DATA["offset"]
    source = save(tmp_path / "in.h5", train=base, test=queries)
    run("truth", source, source, tmp_path / "t.h5", "-k", K, "--also", "vecs", ranks=0)
    words = numpy.fromfile(tmp_path / "t.ivecs", "<i4").reshape(len(queries), K + 1)
    assert (words[:, 1:] == neighbours(tmp_path / "t.h5")[0]).all()


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("value", [numpy.nan, -numpy.inf, 1e200])
def test_bad_rows(tmp_path, value, ranks):
    """Not finite, or so large that no square is: left out, or refused by name."""
    base, queries = normal(10)
    base[[5, 600], 3] = value
    source = save(tmp_path / "in.h5", train=base, test=queries)
    fails("truth", source, source, tmp_path / "t", "-k", K, ranks=ranks, output=tmp_path / "t",
          says="has a value that is not finite or is beyond 1e150; --bad-rows skip")
    run("truth", source, source, tmp_path / "t", "-k", K, "--bad-rows", "skip", ranks=ranks)
    assert_exact(tmp_path / "t", base, queries, "l2", K,
                 good=numpy.setdiff1d(numpy.arange(len(base)), [5, 600]))
    queries[4, 0] = value
    source = save(tmp_path / "bad.h5", train=base, test=queries)
    fails("truth", source, source, tmp_path / "u", "--bad-rows", "skip", ranks=ranks, says="query 4 of",
          output=tmp_path / "u")


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("kinds", ["f8 f8", "f8 f4", "f4 f8"])
def test_a_build_watches_float64(tmp_path, kinds, ranks):
    """build --truth: the truth of the float64 rows, the index of float32 ones."""
    base, queries = (rows.astype(kind) for rows, kind in zip(normal(11, rows=3000), kinds.split()))
    base[7], base[8, 2] = queries[2], 1e39 if base.dtype == "f8" else numpy.nan
    source = save(tmp_path / "in.h5", train=base, test=queries)
    words = ("--bad-rows", "skip")
    told = run("build", source, tmp_path / "x", "-l", 9, *words, "--truth", f"{source}:{tmp_path / 't'}",
               "--truth-k", K, "--json", ranks=ranks).json()
    assert (told["rejected"], told.get("rejected_too_large", 0)) == (1, int(base.dtype == "f8"))
    run("truth", source, source, tmp_path / "alone", "-k", K, *words, ranks=0)
    assert same(tmp_path / "t", tmp_path / "alone")
    run("build", source, tmp_path / "y", "-l", 9, *words, ranks=ranks)
    assert same(tmp_path / "x", tmp_path / "y")
    with h5py.File(tmp_path / "x") as file:
        order = numpy.argsort(file["id"][:])
        assert (file["code"][:][order] == numpy.delete(base, 8, axis=0).astype("f4")).all()
