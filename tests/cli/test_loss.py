"""What is lost on the way into an index is told, and an index of nothing is an error."""
import json
import os

import h5py
import numpy
import pytest

from program import data, fails, neighbours, run, save
from test_metrics import brute_force


def normal(scale=1.0, offset=0.0, kind="f4"):
    return (offset + scale * numpy.random.default_rng(4).standard_normal((4000, 32))).astype(kind)


def build(folder, rows, *words, ranks=0):
    """Build; the result, and the warnings."""
    source = save(folder / "in.h5", train=rows)
    done = run("build", source, folder / "x", "-l", 40, "--json", *words, "-q", "--force",
               ranks=ranks)
    with open(folder / "x.report.json") as file:
        figures = json.load(file)["figures"]
    told = done.json()
    for name, value in figures.items():
        assert abs(value - told[name]) <= 1e-5 * abs(value)
    return told, [line for line in done.messages() if "warning" in line]


def share(folder, rows, stored, metric):
    """Of the distance to the centroid, what is lost between `rows` and `stored`, by the definition."""
    with h5py.File(folder / "x") as file:
        sizes = numpy.diff(file["list_offset"][:].astype("i8"))
        ids = file["id"][:]
        centroid = numpy.repeat(file["centroid"][:].astype("f8"), sizes, axis=0)
    rows, stored = rows[ids].astype("f8"), stored[ids].astype("f8")
    near = rows.astype("f4").astype("f8")
    length = numpy.sqrt((near ** 2).sum(axis=1, keepdims=True))
    error, apart = rows - stored, near - (centroid if metric == "l2" else length * centroid)
    if metric == "cosine":
        error, apart = error / length, apart / length
    rounded = 2.0 ** -48 * (1 if metric == "cosine" else (near ** 2).sum(axis=1))
    error, apart = (error ** 2).sum(), numpy.maximum((apart ** 2).sum(axis=1) - rounded, 0).sum()
    return numpy.sqrt(error / (error + apart)) if error else 0


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
@pytest.mark.parametrize("scale, offset, lossy", [(1e-8, 0, "l2 ip cosine"), (1e-2, 1000, "l2 ip cosine"),
                                                  (1, 0, ""), (3e3, 0, ""), (1e-3, 0, "")])
def test_codec_f16(tmp_path, scale, offset, lossy, metric):
    rows = normal(scale, offset)
    told, warnings = build(tmp_path, rows, "--codec", "f16", "--metric", metric)
    right = share(tmp_path, rows, rows.astype("f2"), metric)
    assert abs(told["code_error"] - right) < 1e-4 * right
    assert told["vanished_values"] == ((rows != 0) & (rows.astype("f2") == 0)).sum()
    assert "decode_error" not in told
    if metric in lossy:
        assert told["code_error"] > 0.3 and len(warnings) == 1
        assert f"codec f16 loses {100 * right:.1f} % of what tells neighbours apart" in warnings[0]
        assert "use --codec f32" in warnings[0]
        assert ("makes 0 of" in warnings[0]) == (told["vanished_values"] > 0)
    else:
        assert told["code_error"] < 0.01 and not warnings


def from_int8(path):
    """The rows that an index of codec int8 stands for, by id, from what its header file says."""
    with h5py.File(path) as file:
        sizes = numpy.diff(file["list_offset"][:].astype("i8"))
        centroid = numpy.repeat(file["centroid"][:], sizes, axis=0)
        factor, code, ids = file["factor"][:], file["code"][:], file["id"][:]
    assert code.dtype == "i1" and factor.dtype == "f4" and abs(code.astype("i4")).max() == 127
    rows = numpy.empty(code.shape, "f4")
    rows[ids] = factor[:, :1] * centroid + factor[:, 1:] * code.astype("f4")
    return rows


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
@pytest.mark.parametrize("scale, offset", [(1e-8, 0), (1e-2, 10), (1, 0), (3e3, 0), (1e10, 0)])
def test_codec_int8(tmp_path, scale, offset, metric):
    """8 bits tell rows apart, of whatever size and offset; a search finds what they stand for."""
    rows = normal(scale, offset)
    told, warnings = build(tmp_path, rows, "--codec", "int8", "--metric", metric)
    stored = from_int8(tmp_path / "x")
    right = share(tmp_path, rows, stored, metric)
    print(f"code_error {told['code_error']:.5f}")
    assert abs(told["code_error"] - right) < 1e-4 * right and right < 0.01 and not warnings
    queries = save(tmp_path / "q.h5", test=rows[::50])
    for ranks in (1, 3):
        found = tmp_path / f"r{ranks}"
        run("search", tmp_path / "x", queries, found, "-k", 10, "-p", 40, "-q", ranks=ranks)
        assert (neighbours(found)[0] == brute_force(stored, rows[::50], metric, 10)[0]).all()


@pytest.mark.parametrize("codec", ["f32", "f16"])
def test_images_lose_nothing(tmp_path, codec):
    rows = numpy.load(data("fashion-mnist-train.npy"), mmap_mode="r")[::20].copy()
    told, warnings = build(tmp_path, rows, "--codec", codec)
    assert told.get("code_error", 0) == 0 and not warnings
    assert ("code_error" in told) == (codec == "f16")


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_float64_rows(tmp_path, metric):
    rows = normal(1e-3, 1e8, "f8")
    told, warnings = build(tmp_path, rows, "--metric", metric)
    right = share(tmp_path, rows, rows.astype("f4"), metric)
    assert right > 0.03 and abs(told["decode_error"] - right) < 1e-4
    assert len(warnings) == 1 and "the rows are float64 and the index holds float32" in warnings[0]
    assert "code_error" not in told
    told, warnings = build(tmp_path, normal(1, 0, "f8"), "--metric", metric)
    assert 0 < told["decode_error"] < 1e-6 and not warnings


def test_the_same_figures_on_any_number_of_ranks(tmp_path):
    rows = normal(1e-7, 0, "f8")
    figures = set()
    for ranks in (1, 2, 5):
        told, _ = build(tmp_path, rows, "--codec", "f16", ranks=ranks)
        figures.add((told["decode_error"], told["code_error"], told["vanished_values"]))
    assert len(figures) == 1


def test_train_and_search_of_float64(tmp_path):
    for name, rows, lossy in (("plain", normal(kind="f8"), False), ("far", normal(1e-3, 1e8, "f8"), True)):
        source = save(tmp_path / f"{name}.h5", train=rows, test=rows[:50])
        trained = run("train", source, tmp_path / f"{name}.m", "-l", 40, "--json", "-q", ranks=0)
        built = run("build", source, tmp_path / name, "--model", tmp_path / f"{name}.m", "--json", "-q", ranks=0)
        found = run("search", tmp_path / name, source, tmp_path / f"{name}.r", "--json", "-q", ranks=0)
        for done, what in ((trained, "the rows are"), (built, "the rows are"), (found, "the queries are")):
            assert (done.json()["decode_error"] > 0.3) == lossy
            assert len(done.messages()) == lossy
            assert not lossy or f"warning: {what} float64" in done.messages()[0]


def bad(rows):
    rows = rows.copy()
    rows[:, 3] = numpy.nan
    return rows


@pytest.mark.parametrize("ranks", [1, 3])
def test_all_rows_rejected(tmp_path, ranks):
    """An error with its cause, no output, and nothing in the way of the corrected command."""
    good = normal()
    save(tmp_path / "good.h5", train=good, test=good[:5])
    nan = save(tmp_path / "nan.h5", train=bad(good))
    large = save(tmp_path / "large.h5", train=(1e5 * numpy.sign(good)).astype("f4"))
    model = tmp_path / "m"
    run("train", tmp_path / "good.h5", model, "-l", 8, ranks=0)
    out, skip = tmp_path / "x", ("--bad-rows", "skip")
    fails("train", nan, out, "-l", 8, *skip, ranks=ranks, output=out, says="there is nothing to train on")
    fails("build", nan, out, "--model", model, *skip, ranks=ranks, output=out,
          says="each of the 4000 rows has a value that is not finite as float32: there is nothing to index")
    fails("build", large, out, "-l", 8, "--codec", "f16", *skip, ranks=ranks, output=out,
          says="is too large for codec f16: there is nothing to index; use --codec f32")
    assert not os.path.exists(f"{out}.work")
    run("build", large, out, "-l", 8, *skip, ranks=ranks)
    truth = tmp_path / "t"
    fails("truth", nan, tmp_path / "good.h5", truth, *skip, ranks=ranks, output=truth,
          says="each of the 4000 rows has a value that is not finite: no query has a neighbour")
    assert not os.path.exists(f"{truth}.work")


def test_a_prefix_without_a_good_row(tmp_path):
    rows = normal()
    rows[:1000, 3] = numpy.inf
    source = save(tmp_path / "in.h5", train=rows, test=rows[2000:2010])
    fails("truth", source, source, tmp_path / "t", "--prefix", "1K,4K", "--bad-rows", "skip", ranks=3,
          says="each of the first 1000 rows has a value that is not finite", output=tmp_path / "t-1K")
    assert not os.path.exists(tmp_path / "t-4K")


def test_a_part_of_a_job_array_may_have_no_row(tmp_path):
    """Others may have some; when none has, merge tells."""
    rows = normal()
    rows[:2000] = bad(rows[:2000])
    half, none = save(tmp_path / "half.h5", train=rows), save(tmp_path / "none.h5", train=bad(rows))
    run("train", half, tmp_path / "m", "-l", 8, "--bad-rows", "skip", ranks=0)
    for source in (half, none):
        for part in ("1/2", "2/2"):
            done = run("build", source, f"{source}.{part[0]}", "--model", tmp_path / "m", "--part", part,
                       "--bad-rows", "skip", "-q", "--json", ranks=0)
            empty = done.json()["rows"] == 0
            assert [("each of the 2000 rows of this part was rejected" in line) for line in done.messages()] \
                == [True] * empty
    told = run("merge", f"{half}.1", f"{half}.2", tmp_path / "m", tmp_path / "x", "--json", ranks=0).json()
    assert (told["rows"], told["rejected"]) == (2000, 2000)
    fails("merge", f"{none}.1", f"{none}.2", tmp_path / "m", tmp_path / "y", output=tmp_path / "y",
          says="the shards have no rows, all 4000 were rejected")
    run("merge", f"{none}.1", tmp_path / "m", tmp_path / "z", "--partial", ranks=0)
