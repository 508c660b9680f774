"""Inputs that are not what they have to be: each is refused at once, by a line with the cure."""
import gzip
import io
import json
import os
import pickle
import re
import socket

import h5py
import numpy
import pytest

from program import fails, run, save


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    rows = numpy.random.default_rng(1).normal(size=(300, 8)).astype("f4")
    save(folder / "in.h5", train=rows, test=rows[:20], id=numpy.arange(300))
    run("build", folder / "in.h5", folder / "index", "-l", 5, ranks=0)
    run("truth", folder / "in.h5", folder / "in.h5", folder / "truth", "-k", 5, ranks=0)
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    os.symlink("gone.h5", folder / "link")
    address = socket.socket(socket.AF_UNIX)
    address.bind(str(folder / "socket"))
    return folder


# Every operand and option that names an input, in the place of X.
INPUTS = ["train X out", "build X out", "build in.h5 out --ids X", "build in.h5 out --model X",
          "build in.h5 out --truth X:t", "merge index X out", "merge X index out", "search X in.h5 out",
          "search index X out", "truth X in.h5 out", "truth in.h5 X out", "truth in.h5 in.h5 out --ids X",
          "eval X truth", "eval truth X", "info X", "verify X", "shuffle X out"]
SPECIAL = {"pipe": "is a pipe, where a regular file is needed; write what it brings to a file first",
           "folder": "is a folder",
           "link": "is a link to 'gone.h5', where there is no file",
           "socket": "is a socket, where a regular file is needed",
           "/dev/zero": "is a device, where a regular file is needed"}


def words_of(place, tmp_path, line, given):
    """The words of a line: X is `given`, out is made in tmp_path, the rest is in place."""
    command, *rest = line.split()
    yield command
    for word in rest:
        if word == "out":
            yield tmp_path / "x"
        elif word.startswith("X"):
            yield f"{place / given}{f':{tmp_path / word[2:]}' if word[1:] else ''}"
        else:
            yield place / word if (place / word).exists() else word


def assert_refused(place, tmp_path, line, given, says, ranks=0):
    command, *words = words_of(place, tmp_path, line, given)
    fails(command, *words, says=says, ranks=ranks, timeout=20)
    assert not list(tmp_path.iterdir()), line


@pytest.mark.parametrize("line", INPUTS)
def test_a_pipe_is_not_waited_for(tmp_path, place, line):
    assert_refused(place, tmp_path, line, "pipe", SPECIAL["pipe"])


@pytest.mark.parametrize("name", SPECIAL)
def test_what_is_no_regular_file_is_told_apart(tmp_path, place, name):
    for line in ("build X out", "info X", "eval X truth", "build in.h5 out --model X"):
        assert_refused(place, tmp_path, line, name, f"'{place / name}' {SPECIAL[name]}")
    assert_refused(place, tmp_path, "truth in.h5 X out", name, SPECIAL[name], ranks=3)


def vecs(rows, kind):
    """Every row led by its columns, as TEXMEX has it."""
    lead = numpy.full((len(rows), 1), rows.shape[1], "<i4")
    return b"".join(head.tobytes() + row.astype(kind).tobytes() for head, row in zip(lead, rows))


def xbin(rows, kind):
    return numpy.array(rows.shape, "<u4").tobytes() + rows.astype(kind).tobytes()


def npz(rows):
    file = io.BytesIO()
    numpy.savez(file, emb=rows)
    return file.getvalue()


def text(rows, separator):
    return "\n".join(separator.join(repr(float(x)) for x in row) for row in rows).encode()


ROWS = numpy.random.default_rng(2).integers(0, 100, (60, 7)).astype("f4")
# By the name of a file: its bytes, and what the line has to call it. Python reads these.
FOREIGN = {
    "a.npz": (npz(ROWS), "an .npz archive"), "archive": (npz(ROWS), "an .npz archive"),
    "a.fbin": (xbin(ROWS, "<f4"), "an .fbin file"), "a.u8bin": (xbin(ROWS, "u1"), "a .u8bin file"),
    "a.i8bin": (xbin(ROWS, "i1"), "an .i8bin file"), "a.f16bin": (xbin(ROWS, "<f2"), "an .f16bin file"),
    "a.fvecs": (vecs(ROWS, "<f4"), "an .fvecs file"), "a.bvecs": (vecs(ROWS, "u1"), "a .bvecs file"),
    "a.ivecs": (vecs(ROWS, "<i4"), "an .ivecs file"), "a.csv": (text(ROWS, ","), "a text file"),
    "a.tsv": (text(ROWS, "\t"), "a text file"), "table": (text(ROWS, " "), "a text file"),
    "a.json": (json.dumps(ROWS.tolist()).encode(), "JSON"), "a.pkl": (pickle.dumps(ROWS), "a pickle"),
    "old.pkl": (pickle.dumps(ROWS, protocol=2), "a pickle"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_the_cure_for_a_file_of_another_kind_works(tmp_path, name):
    content, what = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    done = fails("build", tmp_path / name, tmp_path / "x", "-l", 4, ranks=0,
                 says=f"'{tmp_path / name}' is {what}, which is not read; in Python, numpy.save('rows.npy', ")
    cure = re.search(r"in Python, (numpy\.save\(.*\)) makes a file that is$", done.messages()[0]).group(1)
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        eval(cure, {"numpy": numpy, "pickle": pickle, "json": json})
    finally:
        os.chdir(before)
    assert (numpy.load(tmp_path / "rows.npy") == ROWS).all()
    if name != "a.ivecs":  # integers are no vectors
        run("build", tmp_path / "rows.npy", tmp_path / "x", "-l", 4, ranks=0)


@pytest.mark.parametrize("ending", ["bin", "ivecs", "npy"])
def test_the_cure_for_a_truth_of_another_kind_works(tmp_path, place, ending):
    """The ids of what `truth --also` writes, out of a file that eval does not read."""
    run("truth", place / "in.h5", place / "in.h5", tmp_path / "gt.h5", "-k", 5, "--also", "xbin,vecs", ranks=0)
    with h5py.File(tmp_path / "gt.h5") as file:
        ids = file["neighbors"][:]
    numpy.save(tmp_path / "gt.npy", ids)
    done = fails("eval", place / "truth", tmp_path / f"gt.{ending}", says="which is not read", ranks=0)
    cure = re.search(r"\['neighbors'\] = (.*) makes a file that is$", done.messages()[0]).group(1)
    assert (eval(cure, {"numpy": numpy}) == ids).all()


# Told apart by their first bytes, and what helps.
OTHERS = {
    "a.parquet": (b"PAR1" + bytes(range(256)), "is a Parquet file", "pandas.read_parquet('"),
    "a.feather": (b"ARROW1\0\0" + bytes(256), "is an Arrow file", "pandas.read_feather('"),
    "a.npy.gz": (gzip.compress(b"x" * 999), "is compressed by gzip", "gunzip it first"),
    "a.zip": (b"PK\x03\x04" + bytes(60), "is a zip archive", "unzip it first"),
    "a.pt": (b"PK\x03\x04" + bytes(22) + b"\x10\0\0\0archive/data.pkl" + bytes(60), "a PyTorch archive",
             "torch.load('"),
    "a.safetensors": (b"\x40\0\0\0\0\0\0\0" + b'{"emb":{"dtype":"F32"}}' + bytes(99), "a safetensors file",
                      "load_file('"),
    "a.index": (b"IxF2" + bytes(99), "is a Faiss index", "faiss.read_index('"),
    "a.mat": (b"MATLAB 5.0 MAT-file" + bytes(199), "is a MATLAB file", "scipy.io.loadmat('"),
    "a.nc": (b"CDF\x01" + bytes(99), "netCDF file of the classic kind", "nccopy -k netCDF-4"),
    "page.h5": (b"<!DOCTYPE html><html>", "is a web page", "download"),
    "lfs.npy": (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS", "git lfs pull"),
    "empty.npy": (b"", "is empty", ""), "empty": (b"", "is empty", ""),
    "zeros.h5": (bytes(5000), "is damaged, or not what it is named", "does not begin as an HDF5 file"),
    "zeros.npy": (bytes(5000), "is damaged, or not what it is named", "does not begin as an .npy file"),
    "bare": (bytes(range(200)) * 9, "is neither an HDF5 file nor an .npy file", "reshape(-1, COLUMNS)"),
    "short.fbin": (xbin(ROWS, "<f4")[:-1], "is named as an .fbin file", "too few for the 60 rows of 7 columns"),
    "short.fvecs": (vecs(ROWS, "<f4")[:-1], "is named as an .fvecs file", "no whole rows of 7 columns"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_another_kind_is_named(tmp_path, name):
    content, what, cure = OTHERS[name]
    (tmp_path / name).write_bytes(content)
    told = fails("build", tmp_path / name, tmp_path / "x", "-l", 4, says=what, ranks=0).messages()[0]
    assert f"'{tmp_path / name}'" in told and cure in told


def test_folders_are_named(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    fails("build", tmp_path / "a.zarr", tmp_path / "x", says="is a folder; name a file in it", ranks=0)
    (tmp_path / "a.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    for given, cure in (("a.zarr", "['ARRAY'][:]"), ("a.zarr:X", "['X'][:]")):
        fails("build", tmp_path / given, tmp_path / "x", ranks=0,
              says=f"zarr.open('{tmp_path / 'a.zarr'}'){cure}")


def test_names_may_have_colons_on_both_sides(tmp_path, place):
    """The file is as much of the name as there is a file of; never overwritten for its colons."""
    with h5py.File(place / "in.h5") as file:
        rows = file["train"][:]
    for name in ("c.h5", "d:e.h5"):
        save(tmp_path / name, **{"ns:emb": rows})
        run("build", f"{tmp_path / name}:ns:emb", tmp_path / "x", "-l", 5, "--force", ranks=0)
        fails("build", f"{tmp_path / name}:ns:emb", tmp_path / name, "--force", says="is also an input",
              code=2, ranks=0)
    fails("build", tmp_path / "gone.h5:ns:emb", tmp_path / "y", says="there is no file", ranks=0)
    fails("build", f"{tmp_path / 'c.h5'}:{'n' * 600}", tmp_path / "y", says="is too long: it may have 511 bytes", code=2, ranks=0)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission_is_named(tmp_path, place):
    (tmp_path / "in.npy").write_bytes(b"x")
    (tmp_path / "in.npy").chmod(0)
    fails("build", tmp_path / "in.npy", tmp_path / "x", ranks=0,
          says=f"cannot open '{tmp_path / 'in.npy'}': Permission denied")


NUMPY = {
    "int16": (ROWS.astype("i2"), "holds numpy's type '<i2', which is not read"),
    "boolean": (ROWS > 50, "holds numpy's type '|b1', which is not read"),
    "complex": (ROWS.astype("c8"), "holds numpy's type '<c8', which is not read"),
    "text": (ROWS.astype("U9"), "holds numpy's type '<U9', which is not read"),
    "records": (numpy.zeros(9, [("shape", "<f4"), ("descr", "<f4")]), "holds records with fields, which are"),
    "many fields": (numpy.zeros(9, [(f"column {i}", "<f4") for i in range(300)]), "records with many fields?"),
    "three dimensions": (numpy.ones((4, 3, 2), "f4"), "is an array of shape (4, 3, 2), not a matrix of rows"),
    "no dimension": (numpy.float32(5), "is an array of shape (), not a matrix of rows"),
    "by columns": (numpy.asfortranarray(ROWS), "is stored by columns (Fortran order)"),
    "no rows": (numpy.ones((0, 2), "f4"), "has 0 rows of 2 columns"),
}


@pytest.mark.parametrize("name", NUMPY)
def test_an_array_that_is_no_matrix_of_rows_is_refused(tmp_path, name):
    rows, says = NUMPY[name]
    numpy.save(tmp_path / "in.npy", rows)
    fails("build", tmp_path / "in.npy", tmp_path / "x", "-l", 1, says=f"'{tmp_path / 'in.npy'}' {says}"
          if name != "many fields" else says, ranks=0)


@pytest.mark.parametrize("rows", [numpy.asfortranarray(ROWS), numpy.array([*ROWS, None], object)[:-1]],
                         ids=["by columns", "objects"])
def test_the_cure_for_an_array_works(tmp_path, rows):
    numpy.save(tmp_path / "in.npy", rows)
    done = fails("build", tmp_path / "in.npy", tmp_path / "x", "-l", 1, ranks=3, says="in Python, ")
    cure = re.search(r"in Python, (numpy\.save\(.*\)) (stores|makes)", done.messages()[0]).group(1)
    eval(cure.replace("rows.npy", str(tmp_path / "rows.npy")), {"numpy": numpy})
    run("build", tmp_path / "rows.npy", tmp_path / "x", "-l", 1, ranks=0)
    with h5py.File(tmp_path / "x") as file:
        assert (file["code"][:] == ROWS).all()


def test_arrays_that_lie_the_same_in_either_order_are_read(tmp_path):
    """One row, or one column, is no matter of order; numpy marks them as it likes."""
    for rows in (ROWS[:1], ROWS[:, :1]):
        numpy.save(tmp_path / "in.npy", rows)
        content = (tmp_path / "in.npy").read_bytes()
        (tmp_path / "in.npy").write_bytes(content.replace(b"'fortran_order': False", b"'fortran_order': True "))
        run("build", tmp_path / "in.npy", tmp_path / "x", "-l", 1, "--force", ranks=0)
        with h5py.File(tmp_path / "x") as file:
            assert (file["code"][:] == rows).all()


@pytest.mark.parametrize("ranks", [0, 3])
def test_what_is_after_an_array_is_told(tmp_path, ranks):
    with open(tmp_path / "in.npy", "wb") as file:
        numpy.save(file, ROWS)
        numpy.save(file, ROWS[:30])
    done = run("build", tmp_path / "in.npy", tmp_path / "x", "-l", 4, ranks=ranks)
    assert done.err.count(f"'{tmp_path / 'in.npy'}' has {128 + 30 * 7 * 4} bytes after the array") == 1
    with h5py.File(tmp_path / "x") as file:
        assert len(file["id"]) == 60


def test_a_single_column_is_told(tmp_path):
    numpy.save(tmp_path / "flat.npy", ROWS[:, 0])
    save(tmp_path / "flat.h5", train=ROWS[:, 0], id=numpy.arange(60))
    for name in ("flat.npy", "flat.h5"):
        done = run("build", tmp_path / name, tmp_path / "x", "-l", 4, "--force", ranks=0)
        assert f"'{tmp_path / name}' has one column: 60 rows of a single number" in done.err
    done = run("build", tmp_path / "flat.npy", tmp_path / "x", "-l", 4, "--force", "--ids",
               tmp_path / "flat.h5:id", ranks=0)
    assert done.err.count("one column") == 1
