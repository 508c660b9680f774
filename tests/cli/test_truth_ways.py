"""The ways to ask for a truth: --self, --prefix, --also, --ids, --queries; wrong usage."""
import os

import h5py
import numpy
import pytest

from exact import assert_exact, read
from program import fails, run, same, same_answers, save, tight_memory

METRICS = ["l2", "ip", "cosine"]


def rows_of(n, dim, seed=1):
    """Small whole numbers with many copies: ties, and distances that nothing is rounded in."""
    chance = numpy.random.default_rng(seed)
    rows = chance.integers(-3, 4, size=(n, dim)).astype("f4")
    rows[chance.integers(0, n, n // 5)] = rows[chance.integers(0, n, n // 5)]
    return rows


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ways")
    rows = rows_of(3000, 12)
    queries = numpy.concatenate([rows[::50], rows_of(40, 12, 2)])
    save(folder / "in.h5", train=rows, test=queries,
         id=numpy.random.default_rng(3).permutation(3000).astype("i8") * 10 ** 12 + 7)
    return folder


def rows_and_queries(place):
    with h5py.File(place / "in.h5") as file:
        return file["train"][:], file["test"][:]


# ---- --self

@pytest.mark.parametrize("ranks, metric", [(1, "l2"), (3, "l2"), (2, "ip"), (5, "cosine")])
def test_self(tmp_path, place, ranks, metric):
    rows, _ = rows_and_queries(place)
    words = ("truth", place / "in.h5", tmp_path / "t", "--self", "-k", 40, "--metric", metric,
             "--threads", 1)
    told = run(*words, "--memory", tight_memory(*words, ranks=ranks, more=0.8), "--checkpoint", 0,
               "--json", ranks=ranks).json()
    assert told["passes"] > 1 and told["queries"] == 3000
    assert_exact(tmp_path / "t", rows, rows, metric, 40, exact=metric != "cosine", own=range(3000))
    truth = read(tmp_path / "t")
    assert (truth["neighbors"] != numpy.arange(3000)[:, None]).all()
    assert told["queries_in_base"] == (truth["duplicates"] > 0).sum() > 100
    run("truth", place / "in.h5", tmp_path / "u", "--self", "-k", 40, "--metric", metric, ranks=1,
        env={"MPIVF_PAIRS": "twice"})
    assert same(tmp_path / "t", tmp_path / "u")


def test_self_finds_the_copies_of_a_row(tmp_path):
    rows = numpy.repeat(numpy.arange(4, dtype="f4")[:, None], 3, axis=0)
    run("truth", save(tmp_path / "in.h5", train=rows), tmp_path / "t", "--self", "-k", 12, ranks=2)
    truth = read(tmp_path / "t")
    assert truth["neighbors"][4].tolist() == [3, 5, 0, 1, 2, 6, 7, 8, 9, 10, 11, -1]
    assert (truth["duplicates"] == 2).all() and (truth["ties"] == 0).all()


@pytest.mark.parametrize("n", [1, 7, 2999, 3000, 5000])
def test_self_of_some_queries(tmp_path, place, n):
    rows, _ = rows_and_queries(place)
    own = [i * 3000 // min(n, 3000) for i in range(min(n, 3000))]
    run("truth", place / "in.h5", tmp_path / "t", "--self", "--queries", n, "-k", 9, ranks=2)
    assert_exact(tmp_path / "t", rows, rows[own], "l2", 9, exact=True, own=own)


def test_self_of_one_row_finds_nothing(tmp_path):
    run("truth", save(tmp_path / "in.h5", train=numpy.ones((1, 3), "f4")), tmp_path / "t", "--self",
        "-k", 2, ranks=3)
    truth = read(tmp_path / "t")
    assert (truth["neighbors"] == -1).all() and truth["ties"][0] == truth["duplicates"][0] == 0


def test_self_with_prefixes(tmp_path, place):
    """Queries beyond the prefix are no rows of it: nothing is left out for them; in several passes."""
    rows, _ = rows_and_queries(place)
    words = ("truth", place / "in.h5", tmp_path / "t.h5", "--self", "--prefix", "5,1K,3K", "-k", 9, "--threads", 1)
    told = run(*words, "--memory", tight_memory(*words, ranks=3, more=0.8), "--json", ranks=3).json()
    assert told["passes"] > 1
    for name, n in (("5", 5), ("1K", 1000), ("3K", 3000)):
        assert_exact(tmp_path / f"t-{name}.h5", rows[:n], rows, "l2", 9, exact=True, own=range(3000))
    run("truth", place / "in.h5", tmp_path / "plain", "--self", "-k", 9)
    assert same_answers(tmp_path / "t-3K.h5", tmp_path / "plain")


# ---- --prefix

@pytest.mark.parametrize("out, ranks", [("t.h5", 1), ("t.hdf5", 2), ("t", 3), ("t.h5", 5)])
@pytest.mark.parametrize("little", [False, True])
def test_each_prefix_is_the_truth_of_the_first_rows(tmp_path, place, out, ranks, little):
    rows, queries = rows_and_queries(place)
    stem, ending = os.path.splitext(out)
    names = {"7": 7, "1K": 1000, "1500": 1500, "2.5K": 2500, "3k": 3000}
    words = ("truth", place / "in.h5", place / "in.h5", tmp_path / out, "-k", 20, "--prefix",
             ",".join(names), "--threads", 1)
    if little:
        words += ("--memory", tight_memory(*words, ranks=ranks, more=0.7), "--checkpoint", 0)
    told = run(*words, "--json", ranks=ranks).json()
    assert told["rows"] == 3000
    for name, n in names.items():
        plain = place / f"first-{n}"
        if not plain.exists():
            cut = save(place / "cut.h5", train=rows[:n], test=queries)
            run("truth", cut, cut, plain, "-k", 20, ranks=0)
        assert same_answers(tmp_path / f"{stem}-{name}{ending}", plain), name
    assert not os.path.exists(tmp_path / out) and not os.path.exists(tmp_path / f"{out}.work")


@pytest.mark.parametrize("metric", METRICS)
def test_prefixes_that_end_inside_a_block(tmp_path, place, metric):
    rows, queries = rows_and_queries(place)
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("train", data=rows, chunks=(700, 12), compression="gzip")
        file["test"] = queries
    run("truth", tmp_path / "in.h5", tmp_path / "in.h5", tmp_path / "t.h5", "-k", 20, "--prefix",
        "1,699,700,701,2801", "--metric", metric, ranks=3)
    for n in 1, 699, 700, 701, 2801:
        assert_exact(tmp_path / f"t-{n}.h5", rows[:n], queries, metric, 20, exact=metric != "cosine")


def test_prefixes_with_bad_rows(tmp_path, place):
    rows, queries = rows_and_queries(place)
    rows[[3, 999, 1000, 2999], 5] = numpy.nan
    source = save(tmp_path / "in.h5", train=rows, test=queries[-40:])
    told = run("truth", source, source, tmp_path / "t.h5", "-k", 20, "--prefix", "1K,2K,3K",
               "--bad-rows", "skip", "--json", ranks=2).json()
    assert (told["rows"], told["rejected"]) == (2996, 4)
    for name, n, bad in (("1K", 1000, 2), ("2K", 2000, 3), ("3K", 3000, 4)):
        good = numpy.flatnonzero(numpy.isfinite(rows[:n]).all(axis=1))
        assert_exact(tmp_path / f"t-{name}.h5", rows, queries[-40:], "l2", 20, exact=True, good=good)
        with h5py.File(tmp_path / f"t-{name}.h5") as file:
            assert file.attrs["rows"] == n - bad == len(good)
    # rows beyond the last prefix are not looked at
    told = run("truth", source, source, tmp_path / "u.h5", "-k", 20, "--prefix", "3,900,999", "--json",
               "--bad-rows", "skip", ranks=2).json()
    assert (told["rows"], told["rejected"]) == (998, 1)


# ---- --also

def cells(path, kind):
    return numpy.fromfile(path, kind)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [10, 4000])
def test_also(tmp_path, place, metric, k):
    """The bytes that other programs take for ground truth; 4000 is more than there are rows."""
    run("truth", place / "in.h5", place / "in.h5", tmp_path / "t.h5", "-k", k, "--metric", metric,
        "--also", "xbin,vecs", ranks=2)
    run("truth", place / "in.h5", place / "in.h5", tmp_path / "plain", "-k", k, "--metric", metric)
    assert same(tmp_path / "t.h5", tmp_path / "plain")
    truth = read(tmp_path / "t.h5")
    ids, far = truth["neighbors"], truth["distances"]
    if metric == "l2":
        value = numpy.where(ids < 0, numpy.inf, numpy.rint(numpy.where(ids < 0, 0, far) ** 2))
    else:
        value = numpy.where(ids < 0, -numpy.inf, (1 if metric == "cosine" else 0) - far)
    value = value.astype("<f4")
    queries = len(ids)
    assert cells(tmp_path / "t.bin", "<u4")[:2].tolist() == [queries, k]
    assert os.path.getsize(tmp_path / "t.bin") == 8 + 8 * queries * k
    assert (cells(tmp_path / "t.bin", "<i4")[2:2 + queries * k].reshape(queries, k) == ids).all()
    assert (cells(tmp_path / "t.bin", "<f4")[2 + queries * k:].reshape(queries, k) == value).all()
    led = cells(tmp_path / "t.ivecs", "<i4").reshape(queries, k + 1)
    assert (led[:, 0] == k).all() and (led[:, 1:] == ids).all()
    assert (cells(tmp_path / "t.fvecs", "<i4").reshape(queries, k + 1)[:, 0] == k).all()
    assert (cells(tmp_path / "t.fvecs", "<f4").reshape(queries, k + 1)[:, 1:] == value).all()


def test_also_of_prefixes(tmp_path, place):
    run("truth", place / "in.h5", place / "in.h5", tmp_path / "t.h5", "-k", 5, "--also", "vecs",
        "--prefix", "1K,3K", ranks=3)
    assert sorted(os.listdir(tmp_path)) == sorted(
        ["t.h5.report.json"] + [f"t-{n}.{e}" for n in ("1K", "3K") for e in ("h5", "ivecs", "fvecs")])
    for n in "1K", "3K":
        led = cells(tmp_path / f"t-{n}.ivecs", "<i4").reshape(-1, 6)
        assert (led[:, 1:] == read(tmp_path / f"t-{n}.h5")["neighbors"]).all()


# ---- --ids and --queries

@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_ids(tmp_path, place, metric, ranks):
    """Ties go by these ids, not by row."""
    rows, queries = rows_and_queries(place)
    with h5py.File(place / "in.h5") as file:
        ids = file["id"][:]
    run("truth", place / "in.h5", place / "in.h5", tmp_path / "t", "-k", 60, "--metric", metric, "--ids",
        f"{place / 'in.h5'}:id", ranks=ranks)
    assert_exact(tmp_path / "t", rows, queries, metric, 60, exact=True, ids=ids)


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("id, says", [(-5, "the id -5 of row 700 is negative"),
                                      (0, "the id 0 is given to two rows")])
def test_bad_ids_are_refused(tmp_path, place, id, says, ranks):
    """A negative id would be taken for a missing neighbour."""
    ids = numpy.arange(3000)
    ids[700] = id
    save(tmp_path / "ids.h5", id=ids)
    fails("truth", place / "in.h5", place / "in.h5", tmp_path / "t", "--ids", tmp_path / "ids.h5",
          says=says, ranks=ranks, output=tmp_path / "t")
    assert not os.path.exists(tmp_path / "t.work")


@pytest.mark.parametrize("n", [1, 3, 99, 100, 5000])
def test_some_queries_evenly_spread(tmp_path, place, n):
    rows, queries = rows_and_queries(place)
    n_used = min(n, len(queries))
    chosen = queries[[i * len(queries) // n_used for i in range(n_used)]]
    told = run("truth", place / "in.h5", place / "in.h5", tmp_path / "t", "-k", 6, "--queries", n,
               "--json", ranks=2).json()
    assert told["queries"] == n_used
    source = save(tmp_path / "q.h5", train=rows, test=chosen)
    run("truth", source, source, tmp_path / "plain", "-k", 6, ranks=0)
    assert same_answers(tmp_path / "t", tmp_path / "plain")


def test_a_bad_query_among_the_spread_is_named_by_its_row(tmp_path, place):
    rows, queries = rows_and_queries(place)
    queries[50, 0] = numpy.inf
    source = save(tmp_path / "q.h5", train=rows, test=queries)
    fails("truth", source, source, tmp_path / "t", "--queries", 10, says="query 50 of", ranks=2,
          output=tmp_path / "t")
    run("truth", source, source, tmp_path / "u", "--queries", 3, ranks=2)  # which 50 is not among


# ---- wrong usage

def usage(says, *words, out=None, ranks=0):
    fails("truth", *words, code=2, says=says, ranks=ranks, output=out)


@pytest.mark.parametrize("text", ["ten", "0", "-5", "1.0005K", "", "10,,20", "10/5", "inf", "nan", "1e30",
                                  "10,20,", "10 20", "1KK", "5,0"])
def test_a_prefix_that_is_no_number(tmp_path, place, text):
    usage("is no number of rows", place / "in.h5", place / "in.h5", tmp_path / "t", f"--prefix={text}",
          out=tmp_path / "t")


@pytest.mark.parametrize("text, says", [("20,10", "ascend"), ("10,10", "ascend"), ("1000,1K", "ascend"),
                                        ("1M", "more than the 3000 rows"),
                                        ("10,3001", "--prefix 3001 is more than the 3000 rows"),
                                        (",".join(map(str, range(1, 18))), "at most 16"),
                                        ("1" * 300, "too long")])
@pytest.mark.parametrize("ranks", [0, 3])
def test_prefixes_that_cannot_be(tmp_path, place, text, says, ranks):
    usage(says, place / "in.h5", place / "in.h5", tmp_path / "t", "--prefix", text, out=tmp_path / "t",
          ranks=ranks)
    assert os.listdir(tmp_path) == []


def test_sixteen_prefixes(tmp_path, place):
    run("truth", place / "in.h5", place / "in.h5", tmp_path / "t", "-k", 3, "--prefix",
        ",".join(map(str, range(1, 17))), ranks=2)
    assert len([name for name in os.listdir(tmp_path) if name.startswith("t-")]) == 16


def test_operands_and_options_that_exclude_each_other(tmp_path, place):
    source, out = place / "in.h5", tmp_path / "t"
    usage("--self takes BASE and OUT only", source, source, out, "--self", out=out)
    usage("expected BASE, QUERIES and OUT", source, out, out=out)
    usage("--self and --ids", source, out, "--self", "--ids", f"{source}:id", out=out)
    usage("--also 'zarr' is none of xbin, vecs", source, source, out, "--also", "zarr", out=out)
    usage("--also", source, source, out, "--also", "xbin,", out=out)
    usage("not with --ids", source, source, out, "--also", "xbin", "--ids", f"{source}:id", out=out)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("there", ["t.h5", "t.bin", "t.ivecs", "t.fvecs"])
@pytest.mark.parametrize("ranks", [0, 3])
def test_an_output_that_exists_stays(tmp_path, place, there, ranks):
    words = (place / "in.h5", place / "in.h5", tmp_path / "t.h5", "--also", "vecs,xbin", "-k", 3)
    (tmp_path / there).write_text("older")
    fails("truth", *words, says=f"'{tmp_path / there}' exists", ranks=ranks, output=tmp_path / there)
    assert os.listdir(tmp_path) == [there]
    run("truth", *words, "--force", ranks=ranks)
    assert (tmp_path / there).read_bytes() != b"older" and len(os.listdir(tmp_path)) == 5


def test_the_output_of_a_prefix_that_exists_stays(tmp_path, place):
    (tmp_path / "t-2K.bin").write_text("older")
    words = (place / "in.h5", place / "in.h5", tmp_path / "t.h5", "--also", "xbin", "--prefix", "1K,2K")
    fails("truth", *words, says="t-2K.bin' exists", ranks=2, output=tmp_path / "t-2K.bin")
    assert os.listdir(tmp_path) == ["t-2K.bin"]


@pytest.mark.parametrize("name, out, words", [
    ("t.h5", "t.h5", ()), ("t.bin", "t.h5", ("--also", "xbin")), ("t.ivecs", "t", ("--also", "vecs")),
    ("t.fvecs", "t.hdf5", ("--also", "xbin,vecs")), ("t-1K.h5", "t.h5", ("--prefix", "10,1K")),
    ("t-1K.bin", "t.h5", ("--prefix", "10,1K", "--also", "xbin"))])
@pytest.mark.parametrize("role", ["base", "queries", "ids", "self"])
def test_an_output_that_is_an_input_is_refused(tmp_path, place, name, out, words, role):
    """Also with --force; by whatever name."""
    if role == "ids" and "--also" in words:
        pytest.skip("--also does not go with --ids")
    own = tmp_path / name
    own.write_bytes((place / "in.h5").read_bytes())
    before = own.read_bytes()
    source, other = tmp_path / "." / name, place / "in.h5"
    operands = {"base": (source, other), "queries": (other, source), "self": (source,),
                "ids": (other, other)}[role]
    more = {"ids": ("--ids", f"{source}:id"), "self": ("--self",)}.get(role, ())
    fails("truth", *operands, tmp_path / out, *more, *words, "--force", code=2, says="is also an input",
          ranks=0)
    assert own.read_bytes() == before and os.listdir(tmp_path) == [name]
