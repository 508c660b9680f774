"""truth and an all-lists search against a brute force in float64, metric by metric."""
import numpy
import pytest

from program import data, neighbours, run, same, save

K = 12


def distances(base, queries, metric):
    """Independent of the program: numpy, float64, no matrix product."""
    base, queries = base.astype("f8"), queries.astype("f8")
    out = numpy.empty((len(queries), len(base)))
    for i, q in enumerate(queries):
        if metric == "l2":
            out[i] = numpy.sqrt(((base - q) ** 2).sum(axis=1))
        elif metric == "ip":
            out[i] = -(base * q).sum(axis=1)
        else:
            norms = numpy.sqrt((base ** 2).sum(axis=1)) * numpy.sqrt((q ** 2).sum())
            cosine = (base * q).sum(axis=1) / numpy.where(norms > 0, norms, 1)
            out[i] = numpy.where(norms > 0, 1 - cosine, 1)
    return out


def brute_force(base, queries, metric, k=K):
    """Ids by (distance, id), -1 behind the last row."""
    all_distances = distances(base, queries, metric)
    ids = numpy.argsort(all_distances, axis=1, kind="stable")[:, :k]
    return ids, numpy.take_along_axis(all_distances, ids, axis=1)


def fvecs(path):
    raw = numpy.fromfile(path, "<i4")
    return raw.reshape(-1, raw[0] + 1)[:, 1:].view("f4").copy()


def clouds():
    return numpy.random.default_rng(1).normal(size=(700, 17)).astype("f4")


def doubled():
    return numpy.repeat(clouds()[:300], 3, axis=0)[numpy.random.default_rng(2).permutation(900)]


def with_zeros():
    rows = clouds()
    rows[::7] = 0
    return rows


CASES = {
    "glove": lambda: numpy.load(data("glove50-5403.npy")),
    "sift": lambda: fvecs(data("sift5k-base.fvecs")),
    "doubled rows": doubled,
    "zero rows": with_zeros,
    "far from the origin": lambda: clouds() + numpy.float32(1e5),
    "whole numbers": lambda: numpy.random.default_rng(4).integers(0, 4, size=(800, 6)).astype("f4"),
}


def assert_equals(ids, found, base, queries, metric):
    """Equal up to distances that two orders of summation cannot tell apart."""
    right, right_distances = brute_force(base, queries, metric)
    assert ids.shape == right.shape
    scale = numpy.abs(base.astype("f8")).max() ** 2 * base.shape[1] if metric == "ip" else 1
    assert numpy.allclose(found, right_distances, rtol=1e-9, atol=1e-12 * scale)
    differ = numpy.argwhere(ids != right)
    if len(differ) == 0:
        return
    exact = distances(base, queries, metric)
    for q, i in differ:
        assert abs(exact[q, ids[q, i]] - exact[q, right[q, i]]) <= 1e-12 * max(scale, 1)
    assert len(differ) <= ids.size // 50


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """A source, its rows and its queries: some of the rows, some beside them, a zero."""
    rows = numpy.ascontiguousarray(CASES[request.param](), "f4")
    queries = numpy.concatenate([rows[::97], rows[5:400:41] + numpy.float32(0.25),
                                 numpy.zeros((1, rows.shape[1]), "f4")])
    path = tmp_path_factory.mktemp("case") / "in.h5"
    return save(path, train=rows, test=queries), rows, queries


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_truth_and_full_search_are_the_brute_force(tmp_path, case, metric):
    path, rows, queries = case
    how = ("--metric", metric)
    run("truth", path, path, tmp_path / "t", "-k", K, *how, ranks=3)
    ids, found = neighbours(tmp_path / "t")
    assert_equals(ids, found, rows, queries, metric)
    run("build", path, tmp_path / "x", "-l", 9, "--sample", 600, "--iterations", 3, *how, ranks=2)
    run("search", tmp_path / "x", path, tmp_path / "r", "-k", K, "-p", 9, ranks=2)
    assert (neighbours(tmp_path / "r")[0] == ids).all()
    assert (neighbours(tmp_path / "r")[1] == found).all()


def test_ties_go_to_the_smaller_id(tmp_path):
    rows = numpy.repeat(numpy.eye(3, 5, dtype="f4"), 40, axis=0)
    path = save(tmp_path / "in.h5", train=rows, test=rows[::40])
    run("truth", path, path, tmp_path / "t", "-k", 50, ranks=5)
    ids, found = neighbours(tmp_path / "t")
    for q in range(3):
        rest = [row for row in range(120) if row // 40 != q][:10]
        assert ids[q].tolist() == list(range(40 * q, 40 * q + 40)) + rest
        assert (found[q, :40] == 0).all() and numpy.allclose(found[q, 40:], numpy.sqrt(2))


@pytest.mark.parametrize("ranks", [1, 3])
def test_more_neighbours_than_rows_leaves_the_rest_empty(tmp_path, ranks):
    rows = clouds()[:5]
    path = save(tmp_path / "in.h5", train=rows, test=rows[:2])
    run("truth", path, path, tmp_path / "t", "-k", 8, ranks=ranks)
    run("build", path, tmp_path / "x", "-l", 2, ranks=ranks)
    run("search", tmp_path / "x", path, tmp_path / "r", "-k", 8, "-p", 2, ranks=ranks)
    for name in ("t", "r"):
        ids, found = neighbours(tmp_path / name)
        assert (ids[:, :5] == brute_force(rows, rows[:2], "l2")[0]).all()
        assert (ids[:, 5:] == -1).all() and not numpy.isfinite(found[:, 5:]).any()


def test_rows_left_out_are_nobodys_neighbour(tmp_path):
    rows = clouds()
    rows[[3, 99, 640], 4] = numpy.nan, numpy.inf, -numpy.inf
    path = save(tmp_path / "in.h5", train=rows, test=clouds()[[3, 99]])
    told = run("truth", path, path, tmp_path / "t", "-k", K, "--bad-rows", "skip", "--json",
               ranks=3).json()
    assert told["rejected"] == 3 and told["rows"] in (697, 700)
    good = numpy.delete(numpy.arange(700), [3, 99, 640])
    right = good[brute_force(rows[good], clouds()[[3, 99]], "l2")[0]]
    assert (neighbours(tmp_path / "t")[0] == right).all()


def test_half_precision_codes_lose_little(tmp_path):
    rows = clouds()
    path = save(tmp_path / "in.h5", train=rows, test=rows[::9])
    for codec in ("f32", "f16"):
        run("build", path, tmp_path / codec, "-l", 4, "--codec", codec)
        run("search", tmp_path / codec, path, tmp_path / f"{codec}.r", "-p", 4)
    assert not same(tmp_path / "f16.r", tmp_path / "f32.r")
    ids, found = neighbours(tmp_path / "f16.r")
    half = rows.astype("f2").astype("f4")
    assert (ids == brute_force(half, rows[::9], "l2", 10)[0]).all()
    assert numpy.allclose(found, brute_force(half, rows[::9], "l2", 10)[1], rtol=1e-9)
