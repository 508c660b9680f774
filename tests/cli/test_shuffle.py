"""shuffle: a permutation of whole rows, the same however it is made, within its memory."""
import json
import os
import re

import h5py
import numpy
import pytest

from program import SLOW, fails, memory, neighbours, run, same, save

ROWS, DIM = 3000, 13
TYPES = [order + kind for kind in ("f2", "f4", "f8") for order in "<>"] + ["u1", "i1"]


@pytest.fixture(scope="module")
def rows():
    return numpy.random.default_rng(5).integers(0, 100, size=(ROWS, DIM))


@pytest.fixture(scope="module")
def plain(tmp_path_factory, rows):
    """A folder with in.h5 and out.h5, shuffled in the plainest way."""
    folder = tmp_path_factory.mktemp("plain")
    save(folder / "in.h5", train=rows.astype("f4"), test=rows[:40].astype("f4"))
    shuffle(folder / "in.h5", folder / "out.h5")
    return folder


def shuffle(source, out, *words, ranks=0):
    return run("shuffle", source, out, "--json", "--quiet", *words, ranks=ranks).json()


def assert_shuffled(path, rows, name="train"):
    """`path` has each of `rows`, bit for bit, with its number, and in the machine's byte order."""
    with h5py.File(path) as file:
        found, ids = file[name], file["id"][:]
        assert set(file) == {name, "id"} and ids.dtype == "<i8"
        assert found.dtype == rows.dtype.newbyteorder("<")
        assert (numpy.sort(ids) == numpy.arange(len(rows))).all()
        want = rows.astype(found.dtype)[ids]
        assert found[:].tobytes() == want.tobytes()
        return ids


# ---- what is in the file

@pytest.mark.parametrize("kind", TYPES)
def test_every_type_stays_what_it_is(tmp_path, rows, kind):
    typed = rows.astype(kind)
    save(tmp_path / "in.h5", train=typed)
    numpy.save(tmp_path / "in.npy", typed)
    told = shuffle(tmp_path / "in.h5", tmp_path / "a.h5", ranks=2)
    assert told["type"] == kind.lstrip("<>")[0] + str(8 * typed.itemsize)
    assert (told["rows"], told["dim"], told["seed"], told["dataset"]) == (ROWS, DIM, 1, "train")
    assert_shuffled(tmp_path / "a.h5", typed)
    shuffle(tmp_path / "in.npy", tmp_path / "b.h5", ranks=3)
    assert same(tmp_path / "a.h5", tmp_path / "b.h5")


def test_order_is_random(plain, rows):
    ids = assert_shuffled(plain / "out.h5", rows.astype("f4"))
    assert abs(numpy.corrcoef(ids, numpy.arange(ROWS))[0, 1]) < 0.06
    assert (ids == numpy.arange(ROWS)).sum() < 10
    thirds = numpy.histogram2d(ids, numpy.arange(ROWS), bins=3)[0]
    assert (abs(thirds - ROWS / 9) < 100).all()


def test_attributes(tmp_path, plain):
    shuffle(plain / "in.h5", tmp_path / "x.h5", "--seed", 7)
    with h5py.File(tmp_path / "x.h5") as file, h5py.File(plain / "out.h5") as other:
        assert set(file.attrs) == {"type", "dimension", "seed", "source_fingerprint"}
        assert (file.attrs["type"], file.attrs["dimension"], file.attrs["seed"]) == ("dense", DIM, 7)
        assert file.attrs["source_fingerprint"] == other.attrs["source_fingerprint"]
        assert (file["id"][:] != other["id"][:]).mean() > 0.99


@pytest.mark.parametrize("object, name", [("deep/er", "er"), ("/deep/er", "er"), ("id", "train"),
                                          ("deep/id", "train"), ("column", "column")])
def test_the_rows_keep_their_name(tmp_path, rows, object, name):
    values = rows[:50].astype("f4")
    save(tmp_path / "in.h5", **{object: values[:, 0] if name == "column" else values})
    assert shuffle(f"{tmp_path / 'in.h5'}:{object}", tmp_path / "x.h5")["dataset"] == name
    assert_shuffled(tmp_path / "x.h5", values[:, :1] if name == "column" else values, name)


def test_bad_rows_are_rows(tmp_path):
    values = numpy.random.default_rng(1).normal(size=(99, 3)).astype("f4")
    values[3] = numpy.nan
    values[50, 1] = -numpy.inf
    values.view("u4")[70, 2] = 0x7F812345  # a signalling NaN with a payload
    save(tmp_path / "in.h5", train=values)
    shuffle(tmp_path / "in.h5", tmp_path / "x.h5", ranks=2)
    assert_shuffled(tmp_path / "x.h5", values)


@pytest.mark.parametrize("layout", [dict(chunks=(100, DIM), compression="gzip"), dict(chunks=(37, 5)),
                                    dict(chunks=(1500, DIM), shuffle=True, compression="gzip")])
def test_layouts_and_read_modes_give_the_same_bytes(tmp_path, plain, rows, layout):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("train", data=rows.astype("f4"), **layout)
    for mode, ranks in (("auto", 3), ("collective", 5)):
        shuffle(tmp_path / "in.h5", tmp_path / "x.h5", "--read", mode, "--force", ranks=ranks)
        assert same(tmp_path / "x.h5", plain / "out.h5"), (mode, ranks)


# ---- how it is made does not show

@pytest.mark.parametrize("ranks, mode", [(1, "collective"), (2, "independent"), (3, "auto"),
                                         (5, "collective")])
def test_ranks_threads_and_modes_give_the_same_bytes(tmp_path, plain, ranks, mode):
    shuffle(plain / "in.h5", tmp_path / "x.h5", "--read", mode, "--threads", 1 + ranks % 2, ranks=ranks)
    assert same(tmp_path / "x.h5", plain / "out.h5")


@pytest.mark.parametrize("rows, dim", [(1, 1), (1, 700), (3, 2)])
def test_more_ranks_than_rows(tmp_path, rows, dim):
    values = numpy.arange(rows * dim).reshape(rows, dim).astype("f4")
    save(tmp_path / "in.h5", train=values)
    for ranks in (0, 2, 5):
        shuffle(tmp_path / "in.h5", tmp_path / f"{ranks}.h5", ranks=ranks)
        assert_shuffled(tmp_path / f"{ranks}.h5", values)
        assert same(tmp_path / f"{ranks}.h5", tmp_path / "0.h5")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A folder with in.h5, 96 MiB of rows, and out.h5 with all the memory there is."""
    folder = tmp_path_factory.mktemp("large")
    values = numpy.random.default_rng(3).integers(0, 256, size=(96 << 12, 256), dtype="u1")
    save(folder / "in.h5", train=values)
    shuffle(folder / "in.h5", folder / "out.h5", ranks=2)
    assert_shuffled(folder / "out.h5", values)
    return folder


@pytest.mark.parametrize("buffers, ranks", [(4, 1), (12, 1), (12, 3), (40, 2)])
def test_memory_is_bounded_and_changes_no_byte(tmp_path, large, buffers, ranks):
    given = memory(buffers)
    told = shuffle(large / "in.h5", tmp_path / "x.h5", "--memory", given, "--threads", 1,
                   ranks=ranks)
    assert same(tmp_path / "x.h5", large / "out.h5")
    report = json.loads((tmp_path / "x.h5.report.json").read_text())
    assert [phase["phase"] for phase in report["phases"]] == ["scatter", "order"]
    for phase in report["phases"]:
        assert sum(rank["rows"] for rank in phase["ranks"]) == 96 << 12
        assert sum(rank["bytes_written"] for rank in phase["ranks"]) == (96 << 12) * 264
        for rank in phase["ranks"]:
            assert rank["buffer_peak_bytes"] <= (buffers + 1) * 2**20
            assert SLOW > 1 or rank["resident_peak_bytes"] <= int(given[:-1]) * 1024
    assert told["buckets"] >= 96 / buffers


def test_too_little_memory_is_said_at_once_with_what_is_enough(tmp_path, large):
    little = memory(2)  # of 3.1 MiB
    words = ("shuffle", large / "in.h5", tmp_path / "x.h5", "--threads", 1)
    failed = fails(*words, "--memory", little, says="two passes", output=tmp_path / "x.h5")
    run(*words, "--memory", re.search(r"raise --memory to ([0-9]+M)", failed.messages()[0]).group(1))
    assert same(tmp_path / "x.h5", large / "out.h5")


# ---- what it is good for

def test_an_index_of_the_shuffled_rows_gives_the_same_neighbours(tmp_path):
    source = tmp_path / "in.h5"
    run("generate", source, "-n", 5000, "-d", 24, "--queries", 60, "--clusters", 30)
    shuffle(source, tmp_path / "s.h5", ranks=3)
    words = ("-l", 12, "--store", "source")
    run("build", source, tmp_path / "a", *words, ranks=2)
    ids = ("--ids", f"{tmp_path / 's.h5'}:id")
    run("build", tmp_path / "s.h5", tmp_path / "b", *ids, *words, ranks=2)
    for name in "ab":
        run("search", tmp_path / name, source, tmp_path / f"{name}.r", "-k", 20, "-p", 12, ranks=2)
    ids, distances = neighbours(tmp_path / "a.r")
    assert (neighbours(tmp_path / "b.r")[0] == ids).all()
    assert (neighbours(tmp_path / "b.r")[1] == distances).all()


# ---- what is refused

def test_an_output_that_is_there_is_kept_without_force(tmp_path, plain, rows):
    out = tmp_path / "x.h5"
    out.write_bytes(b"mine")
    fails("shuffle", plain / "in.h5", out, says="--force replaces it", ranks=2, output=out)
    shuffle(plain / "in.h5", out, "--force")
    assert same(out, plain / "out.h5")


def test_an_input_is_never_overwritten(tmp_path, rows):
    save(tmp_path / "in.h5", train=rows.astype("f4"))
    os.link(tmp_path / "in.h5", tmp_path / "link.h5")
    before = (tmp_path / "in.h5").read_bytes()
    for source, out in (("in.h5", "in.h5"), ("in.h5:train", "in.h5"), ("in.h5", "link.h5")):
        failed = run("shuffle", "-q", tmp_path / source, tmp_path / out, "--force", ranks=2,
                     check=False)
        assert failed.code == 2 and len(failed.messages()) == 1
        assert "is also an input" in failed.messages()[0]
    assert (tmp_path / "in.h5").read_bytes() == before


BAD = {"nothing.h5": "there is no file", "in.h5:other": "has no object 'other'",
       "text": "is a text file", "in.h5:empty": "nothing to read", "in.h5:cube": "3 dimensions",
       "in.h5:whole": "holds"}


@pytest.mark.parametrize("source", BAD)
def test_what_cannot_be_read_is_refused(tmp_path, source):
    save(tmp_path / "in.h5", empty=numpy.zeros((0, 3), "f4"), cube=numpy.zeros((2, 2, 2), "f4"),
         whole=numpy.zeros((4, 4), "i8"))
    (tmp_path / "text").write_text("no vectors")
    fails("shuffle", tmp_path / source, tmp_path / "x.h5", says=BAD[source], ranks=2,
          output=tmp_path / "x.h5")


def test_an_output_without_a_folder_is_refused(tmp_path, plain):
    fails("shuffle", plain / "in.h5", tmp_path / "no" / "x.h5", says="there is no folder", ranks=2,
          output=tmp_path / "no" / "x.h5")


def test_a_partial_file_of_a_killed_run_is_in_nobodys_way(tmp_path, plain):
    left = tmp_path / "x.h5.0123456789abcdef.partial"
    left.write_bytes(b"left over" * 100000)
    shuffle(plain / "in.h5", tmp_path / "x.h5", ranks=2)
    assert same(tmp_path / "x.h5", plain / "out.h5")
    assert set(os.listdir(tmp_path)) == {left.name, "x.h5", "x.h5.report.json"}
    assert left.read_bytes() == b"left over" * 100000
