"""build --truth: the index and the truth of one pass over the rows, both as if made alone."""
import os
import re

import h5py
import numpy
import pytest

from program import fails, memory, run, same, save

TRAIN = ("-l", 16, "--sample", 1000, "--iterations", 1, "--bad-rows", "skip", "--quiet")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    rows = numpy.random.default_rng(1).normal(size=(1000, 12)).astype("f4")
    save(folder / "in.h5", train=rows, test=rows[::50])
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Large enough for several shards, with rows that are not finite and ids."""
    folder = tmp_path_factory.mktemp("large")
    chance = numpy.random.default_rng(5)
    rows = chance.normal(size=(90000, 128)).astype("f4")
    rows[1::1000] = rows[::1000]
    queries = numpy.concatenate([rows[::1500], chance.normal(size=(20, 128)).astype("f4")])
    rows[[7, 44444, 89999], 3] = numpy.nan, numpy.inf, -numpy.inf
    with h5py.File(folder / "in.h5", "w") as file:
        file.create_dataset("train", data=rows, chunks=(500, 128))
        file["test"] = queries
        file["id"] = numpy.arange(90000)[::-1] * 5
    run("truth", folder / "in.h5", folder / "in.h5", folder / "truth", "-k", 30, "--bad-rows", "skip",
        ranks=2)
    run("truth", folder / "in.h5", folder / "in.h5", folder / "named", "-k", 30, "--bad-rows", "skip",
        "--ids", f"{folder / 'in.h5'}:id", ranks=2)
    run("build", folder / "in.h5", folder / "index", *TRAIN, ranks=2)
    yield folder
    for path in folder.iterdir():
        path.unlink()


def build(large, folder, *words, out="t.h5", **how):
    built = run("build", large / "in.h5", folder / "x", *TRAIN, "--truth", f"{large / 'in.h5'}:{folder / out}",
                "--truth-k", 30, "--json", *words, **how).json()
    assert not [name for name in os.listdir(folder) if name.endswith(".work")]
    assert built["rejected"] == 3
    return built


@pytest.fixture
def emptied(tmp_path):
    """A folder whose large files go when the test ends."""
    yield tmp_path
    for path in tmp_path.iterdir():
        path.unlink()


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_both_are_what_they_are_alone(emptied, large, ranks):
    build(large, emptied, ranks=ranks)
    assert same(emptied / "t.h5", large / "truth")
    assert same(emptied / "x", large / "index")
    with h5py.File(emptied / "t.h5") as file:
        assert file.attrs["rows"] == 89997 and file.attrs["kind"] == "truth"


def tight(large, folder, ranks):
    """The --memory that a build with --truth says it needs."""
    given = memory(20)
    told = run("build", large / "in.h5", folder / "x", *TRAIN, "--threads", 1, "--truth",
               f"{large / 'in.h5'}:{folder / 't.h5'}", "--truth-k", 30, "--memory", given, ranks=ranks,
               check=False).messages()[-1]
    assert not os.path.exists(folder / "x") and not os.path.exists(folder / "t.h5")
    return re.search(r"--truth .*raise --memory to ([0-9]+M) or run truth by itself", told).group(1)


@pytest.mark.parametrize("ranks", [1, 3])
def test_with_little_memory(emptied, large, ranks):
    """Several shards of one rank: what was found is kept before each."""
    built = build(large, emptied, "--threads", 1, "--memory", tight(large, emptied, ranks), ranks=ranks)
    assert ranks > 1 or built["shards"] > 1
    assert same(emptied / "t.h5", large / "truth")


def test_names_rows_by_ids(emptied, large):
    build(large, emptied, "--ids", f"{large / 'in.h5'}:id", ranks=3)
    assert same(emptied / "t.h5", large / "named")


def test_takes_the_metric_of_the_model(tmp_path, place):
    run("train", place / "in.h5", tmp_path / "m", "-l", 5, "--metric", "cosine")
    run("build", place / "in.h5", tmp_path / "x", "--model", tmp_path / "m", "--truth",
        f"{place / 'in.h5'}:test:{tmp_path / 't'}", "--truth-k", 7, ranks=2)
    run("truth", place / "in.h5", place / "in.h5", tmp_path / "plain", "-k", 7, "--metric", "cosine")
    assert same(tmp_path / "t", tmp_path / "plain")


def test_stops_at_a_bad_row(large, tmp_path):
    fails("build", large / "in.h5", tmp_path / "x", "-l", 16, "--truth", f"{large / 'in.h5'}:{tmp_path / 't'}",
          says="has a value that is not finite", ranks=2, output=tmp_path / "t")
    assert not os.path.exists(tmp_path / "x")


@pytest.mark.parametrize("ranks", [0, 3])
@pytest.mark.parametrize("truth, says, code", [
    ("{source}", "is not QUERIES:OUT", 2), (":{out}", "is not QUERIES:OUT", 2),
    ("{source}:", "is not QUERIES:OUT", 2), ("{source}:nope:{out}", "has no object 'nope'", 1),
    ("{folder}/nope.h5:{out}", "/nope.h5'", 1), ("{source}:{source}", "is also an input", 2),
    ("{source}:{index}", "name of two outputs", 2),
    ("{source}:{folder}/./x", "name of two outputs", 2),
    ("{narrow}:{out}", "columns", 1)])
def test_a_truth_that_cannot_be(tmp_path, place, truth, says, code, ranks):
    narrow = tmp_path / "narrow.h5"
    save(narrow, test=numpy.ones((3, 5), "f4"))
    text = truth.format(source=place / "in.h5", out=tmp_path / "t", index=tmp_path / "x", folder=tmp_path,
                        narrow=narrow)
    before = (place / "in.h5").read_bytes()
    fails("build", place / "in.h5", tmp_path / "x", "-l", 5, "--truth", text, says=says, code=code,
          ranks=ranks, output=tmp_path / "x")
    assert os.listdir(tmp_path) == ["narrow.h5"] and (place / "in.h5").read_bytes() == before


def test_a_truth_that_is_an_input(tmp_path, place):
    """Even with --force."""
    (tmp_path / "in.h5").write_bytes((place / "in.h5").read_bytes())
    run("train", tmp_path / "in.h5", tmp_path / "m", "-l", 5)
    before = (tmp_path / "m").read_bytes()
    for out in "in.h5", "m":
        fails("build", tmp_path / "in.h5", tmp_path / "x", "--model", tmp_path / "m", "--truth",
              f"{tmp_path / 'in.h5'}:{tmp_path / out}", "--force", says="is also an input", code=2,
              output=tmp_path / "x")
    assert (tmp_path / "m").read_bytes() == before and same(tmp_path / "in.h5", place / "in.h5")


def test_a_part_has_no_truth(tmp_path, place):
    run("train", place / "in.h5", tmp_path / "m", "-l", 5)
    fails("build", place / "in.h5", tmp_path / "x", "--model", tmp_path / "m", "--part", "1/2", "--truth",
          f"{place / 'in.h5'}:{tmp_path / 't'}", says="not with --part", code=2, output=tmp_path / "x")
