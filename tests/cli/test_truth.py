"""truth against a brute force in numpy: ids, distances, ties, duplicates, on data that filters find hard."""
import numpy
import pytest

from exact import assert_exact, canonical, read
from program import data, fails, run, save

METRICS = ["l2", "ip", "cosine"]
K = 12


def random(seed):
    return numpy.random.default_rng(seed)


def fvecs(path):
    raw = numpy.fromfile(path, "<i4")
    return raw.reshape(-1, raw[0] + 1)[:, 1:].view("f4").copy()


def fashion():
    """A slice of images, sorted by class; u8, so that l2 and ip are sums of whole numbers."""
    return (numpy.load(data("fashion-mnist-train.npy"), mmap_mode="r")[::15].copy(),
            numpy.load(data("fashion-mnist-test.npy"), mmap_mode="r")[::250].copy())


def sift():
    return fvecs(data("sift5k-base.fvecs")), fvecs(data("siftsmall_query.fvecs"))[::2]


def glove():
    rows = numpy.load(data("glove50-5403.npy")).astype("f4")
    return rows, numpy.concatenate([rows[::97], rows[5:400:41] + numpy.float32(0.25)])


def whole(dim, rows=700):
    """Small whole numbers: every distance is exact, and many are the same."""
    base = random(dim).integers(-3, 4, size=(rows, dim)).astype("f4")
    return base, numpy.concatenate([base[::60], random(dim + 1).integers(-3, 4, size=(5, dim)).astype("f4")])


def normal(dim, rows=700):
    base = random(dim).normal(size=(rows, dim)).astype("f4")
    return base, numpy.concatenate([base[::60], random(dim + 1).normal(size=(5, dim)).astype("f4")])


def offset():
    """A cloud far from the origin; its values are multiples of 2^-7, so that l2 is exact."""
    base, queries = normal(24, 3000)
    return base + numpy.float32(1e5), queries + numpy.float32(1e5)


def copies():
    """Five rows, thousands of times each, in no order."""
    five = random(3).integers(-9, 10, size=(5, 16)).astype("f4")
    rows = five[random(4).integers(0, 5, size=9000)]
    return rows, numpy.concatenate([five, five[:2] + 1])


def zeros():
    rows = normal(20, 900)[0]
    rows[::3] = 0
    return rows, numpy.concatenate([rows[1:50:7], -rows[1:50:7], numpy.zeros((2, 20), "f4")])


# name: (rows and queries, metrics, k, metrics whose distances nothing is rounded in)
CASES = {
    "fashion": (fashion, METRICS, 100, ["l2", "ip"]),
    "sift": (sift, METRICS, 100, ["l2", "ip"]),
    "glove": (glove, ["cosine", "ip"], 100, []),
    "offset": (offset, METRICS, K, ["l2"]),
    "copies": (copies, METRICS, K, ["l2", "ip"]),
    "copies, k in the second": (copies, ["l2", "ip"], 2500, ["l2", "ip"]),
    "zeros": (zeros, METRICS, 500, []),
    "more than rows": (lambda: whole(6, 90), METRICS, 91, ["l2", "ip"]),
    "all rows": (lambda: whole(6, 90), METRICS, 90, ["l2", "ip"]),
    "k 10000, few rows": (lambda: whole(6), ["l2"], 10000, ["l2"]),
    "k 10000": (lambda: whole(5, 12000), ["l2"], 10000, ["l2"]),
}
for d in 1, 3, 100, 768, 4096:
    CASES[f"whole, {d}"] = (lambda d=d: whole(d), METRICS, K, ["l2", "ip"])
    CASES[f"normal, {d}"] = (lambda d=d: normal(d), METRICS, K, [])


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_brute_force(tmp_path, name):
    make, metrics, k, exact = CASES[name]
    rows, queries = make()
    numpy.save(tmp_path / "base.npy", rows)
    numpy.save(tmp_path / "queries.npy", queries)
    for i, metric in enumerate(metrics):
        run("truth", tmp_path / "base.npy", tmp_path / "queries.npy", tmp_path / metric, "-k", k,
            "--metric", metric, ranks=(0, 2, 3)[i])
        assert_exact(tmp_path / metric, rows, queries, metric, k, exact=metric in exact)


def test_the_expanded_form_in_float32_is_wrong_far_from_the_origin():
    """So that the case above shows what it is meant to."""
    rows, queries = offset()
    expanded = (queries ** 2).sum(axis=1)[:, None] + (rows ** 2).sum(axis=1)[None, :] - 2 * queries @ rows.T
    assert expanded.dtype == numpy.float32
    wrong = numpy.argsort(expanded, axis=1, kind="stable")[:, :K]
    right = numpy.argsort(canonical(rows, queries, "l2"), axis=1, kind="stable")[:, :K]
    assert (wrong != right).any(axis=1).mean() > 0.9


def test_the_smallest_ids_of_thousands_of_copies(tmp_path):
    rows, queries = copies()
    source = save(tmp_path / "in.h5", train=rows, test=queries)
    run("truth", source, source, tmp_path / "t", "-k", K, ranks=5)
    truth = read(tmp_path / "t")
    for q in range(5):
        same = numpy.flatnonzero((rows == queries[q]).all(axis=1))
        assert truth["neighbors"][q].tolist() == same[:K].tolist()
        assert truth["ties"][q] == truth["duplicates"][q] == len(same) > 1000
    assert (truth["duplicates"][5:] == 0).all() and (truth["ties"][5:] > 1000).all()


def test_minus_zero_is_as_near_and_no_duplicate(tmp_path):
    """Duplicates are equal bit for bit, ties are equally far."""
    rows = numpy.zeros((40, 3), "f4")
    rows[::4, 1] = -0.0
    source = save(tmp_path / "in.h5", train=rows, test=rows[:2])
    run("truth", source, source, tmp_path / "t", "-k", 7)
    truth = read(tmp_path / "t")
    assert (truth["neighbors"] == numpy.arange(7)).all() and (truth["distances"] == 0).all()
    assert truth["ties"].tolist() == [40, 40] and truth["duplicates"].tolist() == [10, 30]


def test_a_zero_query_is_at_distance_one_from_everything(tmp_path):
    rows, _ = zeros()
    source = save(tmp_path / "in.h5", train=rows, test=numpy.zeros((2, 20), "f4"))
    run("truth", source, source, tmp_path / "t", "-k", 50, "--metric", "cosine", ranks=3)
    truth = read(tmp_path / "t")
    assert (truth["neighbors"] == numpy.arange(50)).all() and (truth["distances"] == 1).all()
    assert truth["ties"].tolist() == [900, 900] and truth["duplicates"].tolist() == [300, 300]


@pytest.mark.parametrize("metric", METRICS)
def test_huge_and_tiny_values(tmp_path, metric):
    """Squares that float32 cannot hold: beyond its largest, below its smallest."""
    rows = normal(9, 600)[0]
    rows[::3] *= numpy.float32(1e25)
    rows[1::3] *= numpy.float32(1e-30)
    queries = rows[:60:7]
    source = save(tmp_path / "in.h5", train=rows, test=queries)
    for name in ("int8", "int7", "int16", "float32", "sgemm"):
        run("truth", source, source, tmp_path / name, "-k", 300, "--metric", metric, ranks=0,
            env={"MPIVF_FILTER": name})
        assert_exact(tmp_path / name, rows, queries, metric, 300)


@pytest.mark.parametrize("kind", ["f2", ">f4", "f8", "u1", "i1"])
def test_every_type_of_number(tmp_path, kind):
    rows = random(8).integers(0 if kind == "u1" else -100, 100, size=(400, 11)).astype(kind)
    source = save(tmp_path / "in.h5", train=rows, test=rows[::40])
    run("truth", source, source, tmp_path / "t", "-k", K, ranks=0)
    assert_exact(tmp_path / "t", rows.astype("f4"), rows[::40].astype("f4"), "l2", K, exact=True)


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("value", [numpy.nan, numpy.inf])
def test_a_query_that_is_not_finite_is_named(tmp_path, value, ranks):
    rows, queries = normal(5)
    queries[6, 2] = value
    numpy.save(tmp_path / "base.npy", rows)
    numpy.save(tmp_path / "queries.npy", queries)
    fails("truth", tmp_path / "base.npy", tmp_path / "queries.npy", tmp_path / "t", ranks=ranks,
          says="query 6 of", output=tmp_path / "t")
