"""Bad input gives one clear line, the right exit code and nothing under the final name."""
import h5py
import numpy
import pytest

from program import PROGRAM, content, execute, fails, run, same, save

BOTH = pytest.mark.parametrize("ranks", [1, 3])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("errors")
    rows = numpy.random.default_rng(1).normal(size=(300, 8)).astype("f4")
    save(folder / "in.h5", train=rows, test=rows[:20])
    save(folder / "narrow.h5", train=rows[:, :5], test=rows[:20, :5])
    run("build", folder / "in.h5", folder / "index", "-l", 5)
    run("train", folder / "narrow.h5", folder / "narrow.model", "-l", 5)
    (folder / "text").write_text("not an index\n" * 300)
    return folder


def strange_file(path):
    """An HDF5 file of objects that are no matrix of rows."""
    with h5py.File(path, "w") as file:
        file.create_group("group")["inside"] = numpy.ones((4, 2), "f4")
        file["cube"] = numpy.ones((4, 3, 2), "f4")
        file["scalar"] = 1.0
        file["strings"] = numpy.array([[b"a", b"b"]])
        file["whole"] = numpy.ones((4, 2), "i4")
        file["complex"] = numpy.ones((4, 2), "c8")
        file["truths"] = numpy.ones((4, 2), bool)
        file["none"] = numpy.ones((0, 2), "f4")
        file["thin"] = numpy.ones((4, 0), "f4")
        file["empty"] = h5py.Empty("f4")
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((2, 2))
        plist.set_filter(32008, h5py.h5z.FLAG_OPTIONAL, (0, 2))
        h5py.h5d.create(file.id, b"shuffled", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((4, 2)), plist)
        file["outside"] = h5py.ExternalLink("nowhere.h5", "/train")
        file["dangling"] = h5py.SoftLink("/nothing")
    return path


STRANGE = {
    "missing": "has no object 'missing'",
    "group/missing": "has no object 'group/missing'",
    "dangling": "dangling",
    "outside": "outside",
    "group": "is not a dataset",
    "cube": "has 3 dimensions",
    "scalar": "has 0 dimensions",
    "empty": "empty",
    "strings": "holds strings",
    "whole": "holds i32; vectors are f16 f32 f64 u8 i8",
    "complex": "holds compounds",
    "truths": "holds enumerations or booleans",
    "none": "has 0 rows of 2 columns",
    "thin": "has 4 rows of 0 columns",
    "shuffled": "HDF5 filter 32008 (bitshuffle), which is not installed",
}


@BOTH
@pytest.mark.parametrize("name", STRANGE)
def test_an_object_that_is_no_matrix_is_refused(tmp_path, name, ranks):
    source = f"{strange_file(tmp_path / 'in.h5')}:{name}"
    fails("build", source, tmp_path / "x", "-l", 1, says=STRANGE[name], ranks=ranks,
          output=tmp_path / "x")


def test_what_a_file_has_is_told_where_an_object_is_missing(tmp_path):
    source, out = tmp_path / "in.h5", tmp_path / "x"
    with h5py.File(source, "w") as file:
        file["emb/rows"] = numpy.ones((7, 5), "f4")
        file["ids"] = numpy.arange(7)
        file["names"] = [b"a", b"b"]
        file["far"] = h5py.ExternalLink("nowhere.h5", "/x")
    has = "The file has emb/rows (7 x 5 f32), far (a link), ids (7 i64)"
    fails("build", source, out, says=f"'{source}' has no object 'train'; did you mean '{source}:emb/rows'? {has}")
    fails("build", f"{source}:emb/rows", out, "--ids", source, says=f"did you mean '{source}:ids'? {has}")
    fails("build", f"{source}:emb", out, says=f"'{source}:emb' is not a dataset but a group; t{has[1:]}")
    with h5py.File(source, "a") as file:
        file["X"] = numpy.ones((7, 9), ">f8")
    has = "the file has X (7 x 9 f64), emb/rows (7 x 5 f32), far (a link), ids (7 i64)"
    for words in (["build", source, out], ["truth", f"{source}:X", source, out], ["eval", source, source]):
        done = fails(*words, says="has no object")
        assert done.messages()[0].endswith(f"; {has}"), done.err
    with h5py.File(source, "w") as file:
        for i in range(40):
            file[f"{i}"] = numpy.ones((2, 2), "f4")
    assert fails("build", source, out, says="the file has 0 (2 x 2 f32), 1 (").messages()[0].endswith(
        "(2 x 2 f32) and more, which h5ls -r lists")
    with h5py.File(source, "w") as file:
        file["names"] = [b"a", b"b"]
    fails("build", source, out, says="'train'; the file has no dataset of numbers with one or two dimensions")


@BOTH
def test_a_colon_without_an_object_is_refused(tmp_path, ranks):
    source = f"{strange_file(tmp_path / 'in.h5')}:"
    fails("build", source, tmp_path / "x", "-l", 1, code=2, says=f"'{source}' names no object: write",
          ranks=ranks, output=tmp_path / "x")


@BOTH
@pytest.mark.parametrize("command", ["train", "build", "truth", "search", "merge", "verify", "info"])
def test_a_missing_file_is_named(tmp_path, place, command, ranks):
    out, nope = tmp_path / "x", tmp_path / "nope.h5"
    words = {"train": (nope, out), "build": (nope, out), "merge": (nope, out),
             "truth": (place / "in.h5", nope, out), "search": (nope, place / "in.h5", out),
             "verify": (nope,), "info": (nope,)}[command]
    fails(command, *words, says=f"there is no file '{nope}'", ranks=ranks, output=out)


@BOTH
def test_a_truncated_source_is_refused(tmp_path, place, ranks):
    whole = (place / "in.h5").read_bytes()
    numpy.save(tmp_path / "whole.npy", numpy.ones((50, 8), "f4"))
    npy = (tmp_path / "whole.npy").read_bytes()
    cuts = [("h5", whole, cut) for cut in (0, 7, 90, 700, 2100, len(whole) // 2, len(whole) - 1)]
    cuts += [("npy", npy, cut) for cut in (3, 9, 60, 127, 128, len(npy) - 1)]
    for kind, bytes_, cut in cuts:
        source = tmp_path / f"cut.{kind}"
        source.write_bytes(bytes_[:cut])
        fails("build", source, tmp_path / "x", "-l", 2, says=f"'{source}'", ranks=ranks,
              output=tmp_path / "x")


@BOTH
def test_fewer_rows_than_lists_is_refused(tmp_path, place, ranks):
    for command in ("train", "build"):
        fails(command, place / "in.h5", tmp_path / "x", "-l", 301, ranks=ranks,
              says="300 rows cannot fill 301 lists", output=tmp_path / "x")


@BOTH
def test_queries_of_another_dimension_are_refused(tmp_path, place, ranks):
    fails("search", place / "index", place / "narrow.h5", tmp_path / "x", says="have 5 columns",
          ranks=ranks, output=tmp_path / "x")
    fails("truth", place / "in.h5", place / "narrow.h5", tmp_path / "x", says="have 5 columns",
          ranks=ranks, output=tmp_path / "x")
    fails("build", place / "in.h5", tmp_path / "x", "--model", place / "narrow.model", ranks=ranks,
          says="the rows have 8 columns, the model", output=tmp_path / "x")


@BOTH
@pytest.mark.parametrize("value", [numpy.nan, numpy.inf])
def test_a_query_that_is_not_finite_is_named(tmp_path, place, value, ranks):
    queries = numpy.zeros((9, 8), "f4")
    queries[6, 7] = value
    save(tmp_path / "q.h5", test=queries)
    for command, base in (("search", "index"), ("truth", "in.h5")):
        fails(command, place / base, tmp_path / "q.h5", tmp_path / "x", says="query 6 of",
              ranks=ranks, output=tmp_path / "x")


@BOTH
def test_a_file_that_is_no_index_is_refused(tmp_path, place, ranks):
    for name in ("text", "in.h5"):
        path = place / name
        for words in (("info", path), ("verify", path), ("merge", path, tmp_path / "x"),
                      ("search", path, place / "in.h5", tmp_path / "x"),
                      ("build", place / "in.h5", tmp_path / "x", "--model", path)):
            fails(*words, says=f"'{path}' is", ranks=ranks, output=tmp_path / "x")


OUTPUTS = {"train": ("in.h5",), "build": ("in.h5",), "truth": ("in.h5", "in.h5"),
           "search": ("index", "in.h5"), "merge": ("index",), "generate": ()}


def making(place, command, out):
    """The words that make command write `out`."""
    lists = ("-l", 5) if command in ("train", "build") else ("-n", 50) if command == "generate" else ()
    return [command, *(place / name for name in OUTPUTS[command]), out, *lists]


@BOTH
@pytest.mark.parametrize("command", OUTPUTS)
def test_an_output_that_cannot_be_written_is_refused(tmp_path, place, command, ranks):
    (tmp_path / "folder").mkdir()
    for out, says in ((tmp_path / "none" / "x", "there is no folder"), (place / "text" / "x", "cannot"),
                      (tmp_path / "folder", "is a folder"), ("/proc/x", "/proc")):
        fails(*making(place, command, out), says=says, ranks=ranks, output=out)
    assert not list((tmp_path / "folder").iterdir())


@pytest.mark.parametrize("command", OUTPUTS)
def test_an_output_is_replaced_only_with_force(tmp_path, place, command):
    out = tmp_path / "x"
    out.write_text("precious")
    fails(*making(place, command, out), says=f"'{out}' exists; --force replaces it", output=out, ranks=3)
    run(*making(place, command, out), "--force", ranks=2)
    forced = content(out)
    run(*making(place, command, tmp_path / "y"))
    assert content(tmp_path / "y") == forced != b"precious"


@BOTH
def test_memory_that_cannot_do_is_refused(tmp_path, place, ranks):
    fails("build", place / "in.h5", tmp_path / "x", "-l", 5, "--memory", "16M", code=2,
          says="--memory 16.0 MiB is too little", ranks=ranks, output=tmp_path / "x")


def test_every_rank_leaves_with_the_same_code(place, tmp_path):
    """mpirun ends the other ranks when one fails; here it does not see that any does."""
    words = f"'{PROGRAM}' build '{place / 'in.h5'}' '{tmp_path / 'x'}' -l 999 --quiet; echo code $?"
    done = execute(["mpirun", "-n", 5, "sh", "-c", words])
    assert done.out.split("\n") == ["code 1"] * 5 + [""], done.out
    assert len(done.messages()) == 1


def test_a_colon_in_a_file_name_is_no_object(tmp_path, place):
    (tmp_path / "a:b.h5").write_bytes((place / "in.h5").read_bytes())
    run("build", tmp_path / "a:b.h5", tmp_path / "x", "-l", 5)
    assert same(tmp_path / "x", place / "index")
