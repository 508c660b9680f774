"""eval against a computation of its own: ids, ties, short lists, foreign files and conventions."""
import re

import h5py
import numpy
import pytest

from program import fails, memory, run, save

TIE = 1e-6


def write(path, ids, distances=None, exact=None, types=("i8", "f8"), **attributes):
    """A file of somebody's; with `exact` as this program writes it."""
    arrays = {"neighbors": numpy.asarray(ids).astype(types[0])}
    if distances is not None:
        arrays["distances"] = numpy.asarray(distances).astype(types[1])
    save(path, **arrays)
    if exact is not None:
        attributes = {"kind": "search", "distance": "euclidean", "exact": numpy.uint64(exact), **attributes}
    with h5py.File(path, "r+") as file:
        file.attrs.update(attributes)
    return path


def evaluate(result, truth, *words, **how):
    how.setdefault("ranks", 0)
    return run("eval", result, truth, "--json", *words, **how).json()


def recalls(result, truth, k, exact):
    """Id recall, tie-aware recall and the worst of the latter; a file is (ids, distances)."""
    by_id, by_tie = [], []
    for ids, found, right, far in zip(*result, *truth):
        pairs = [(id, d) for id, d in zip(right, far) if id >= 0]
        want = pairs[:k]
        if not want:
            by_id.append(1)
            by_tie.append(1)
            continue
        limit = want[-1][1] + TIE * abs(want[-1][1])
        as_near = {id for id, d in pairs if d <= limit}
        first = [(id, d) for id, d in zip(ids[:k], found[:k]) if id >= 0]
        by_id.append(sum(id in dict(want) for id, _ in first) / len(want))
        hits = sum(id in as_near or (exact == 1 and d <= limit) for id, d in first)
        by_tie.append(min(hits, len(want)) / len(want))
    return numpy.mean(by_id), numpy.mean(by_tie), min(by_tie)


def assert_agrees(told, result, truth, exact, depths):
    assert [row["k"] for row in told["recall"]] == depths
    for row in told["recall"]:
        want = recalls(result, truth, row["k"], exact)
        got = row["id_recall"], row["tie_recall"], row["worst_query"]
        assert got == pytest.approx(want, abs=1e-8), row["k"]


def random_files(folder, k, truth_k, exact, tied, seed=1):
    """A truth of 40 queries and a result that misses about a third of it."""
    rng = numpy.random.default_rng(seed)
    base = numpy.sort(rng.integers(3, 14, (40, 300)) if tied else rng.random((40, 300)), axis=1)
    base = base.astype("f8")
    ids = numpy.stack([rng.permutation(300) for _ in range(40)])
    truth = ids[:, :truth_k], base[:, :truth_k]
    kept = numpy.stack([numpy.sort(rng.choice(int(1.5 * k), k, replace=False)) for _ in range(40)])
    result = numpy.take_along_axis(ids, kept, 1), numpy.take_along_axis(base, kept, 1)
    write(folder / "truth", *truth, exact=1)
    write(folder / "result", *result, exact=exact)
    return result, truth


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("exact", [0, 1, None])
@pytest.mark.parametrize("k, truth_k, depths", [(20, 100, [1, 5, 10, 20]), (100, 60, [1, 5, 10, 50, 60]),
                                                (1, 1, [1]), (150, 150, [1, 5, 10, 50, 100, 150])])
def test_recall_is_that_of_an_independent_computation(tmp_path, tied, exact, k, truth_k, depths):
    result, truth = random_files(tmp_path, k, truth_k, exact, tied)
    told = evaluate(tmp_path / "result", tmp_path / "truth")
    assert told["queries"] == 40
    assert_agrees(told, result, truth, exact, depths)
    common = min(k, truth_k)
    ratio = result[1][:, :common].sum() / truth[1][:, :common].sum()
    assert told["distance_ratio"] == pytest.approx(ratio, rel=1e-8)


def test_a_tied_neighbour_counts_only_with_ties(tmp_path):
    write(tmp_path / "truth", [[1, 2, 3, 4]], [[0.0, 1.0, 1.0, 2.0]])
    write(tmp_path / "result", [[1, 3]], [[0.0, 1.0]])
    last = evaluate(tmp_path / "result", tmp_path / "truth")["recall"][-1]
    assert (last["k"], last["id_recall"], last["tie_recall"]) == (2, 0.5, 1.0)


def test_a_distance_is_trusted_only_when_exact(tmp_path):
    write(tmp_path / "truth", [[1, 2]], [[0.5, 1.5]])
    for exact, want in ((1, 1.0), (0, 0.5), (None, 0.5)):
        write(tmp_path / "result", [[1, 9]], [[0.5, 1.5]], exact=exact)
        assert evaluate(tmp_path / "result", tmp_path / "truth")["recall"][-1]["tie_recall"] == want


def test_the_same_row_twice_is_found_once(tmp_path):
    write(tmp_path / "truth", [[1, 2, 3]], [[1.0, 2.0, 3.0]])
    write(tmp_path / "result", [[1, 1, 1]], [[1.0, 1.0, 1.0]])
    last = evaluate(tmp_path / "result", tmp_path / "truth")["recall"][-1]
    assert last["id_recall"] == pytest.approx(1 / 3)
    assert last["tie_recall"] == pytest.approx(1 / 3)


def test_fewer_rows_than_k_are_judged_by_what_there_is(tmp_path):
    inf = numpy.inf
    truth = [[7, 8, -1, -1], [5, -1, -1, -1]], [[1.0, 2.0, inf, inf], [1.0, inf, inf, inf]]
    result = [[8, -1, -1, -1], [5, -1, -1, -1]], [[2.0, inf, inf, inf], [1.0, inf, inf, inf]]
    write(tmp_path / "truth", *truth)
    write(tmp_path / "result", *result)
    told = evaluate(tmp_path / "result", tmp_path / "truth")
    assert_agrees(told, result, truth, 0, [1, 4])
    assert told["recall"][-1]["id_recall"] == 0.75
    assert told["distance_ratio"] == pytest.approx(3 / 2)


def test_the_truth_itself_is_perfect(tmp_path):
    random_files(tmp_path, 10, 50, 1, True)
    told = evaluate(tmp_path / "truth", tmp_path / "truth", "--min-recall", 1, ranks=3)
    assert {(row["id_recall"], row["tie_recall"], row["worst_query"]) for row in told["recall"]} \
        == {(1.0, 1.0, 1.0)}
    assert told["distance_ratio"] == 1


def test_files_of_ann_benchmarks_are_read(tmp_path):
    result, truth = random_files(tmp_path, 10, 50, 0, True)
    wide = evaluate(tmp_path / "result", tmp_path / "truth")
    write(tmp_path / "narrow", *truth, types=("i4", "f4"))
    write(tmp_path / "big", *result, types=(">i4", ">f4"))
    assert evaluate(tmp_path / "big", tmp_path / "narrow") == wide


def test_table_says_what_json_says(tmp_path):
    random_files(tmp_path, 10, 50, 0, False)
    told = evaluate(tmp_path / "result", tmp_path / "truth")
    table = run("eval", tmp_path / "result", tmp_path / "truth", ranks=2).out
    for row in told["recall"]:
        assert [f"{row['k']}", f"{row['id_recall']:.4f}", f"{row['tie_recall']:.4f}",
                f"{row['worst_query']:.4f}"] in [line.split() for line in table.splitlines()]


@pytest.mark.parametrize("ranks", [0, 1, 3])
def test_exit_code_3_tells_that_recall_is_too_low(tmp_path, ranks):
    random_files(tmp_path, 10, 50, 0, False)
    found = evaluate(tmp_path / "result", tmp_path / "truth")["recall"][-1]["tie_recall"]
    files = (tmp_path / "result", tmp_path / "truth", "--json", "--min-recall")
    low = run("eval", *files, found + 0.01, ranks=ranks, check=False)
    assert low.code == 3
    assert low.json()["recall"][-1]["tie_recall"] == found
    assert len(low.messages()) == 1 and f"recall@10 is {found:.4f}" in low.messages()[0]
    assert run("eval", *files, found - 0.01, ranks=ranks).code == 0


@pytest.mark.parametrize("ranks", [1, 3])
def test_files_that_do_not_compare_are_refused(tmp_path, ranks):
    write(tmp_path / "two", [[1], [2]], [[1.0], [1.0]])
    write(tmp_path / "three", [[1], [2], [3]], [[1.0], [1.0], [1.0]])
    write(tmp_path / "unlike", [[1], [2]], [[1.0, 2.0], [1.0, 2.0]])
    save(tmp_path / "bare", distances=numpy.zeros((2, 1)))
    save(tmp_path / "empty", neighbors=numpy.zeros((2, 0), "i8"), distances=numpy.zeros((2, 0)))
    for result, says in (("three", "answers 3 queries"), ("unlike", "2 x 2 distances"),
                         ("bare", "neighbors"), ("empty", "no neighbours"), ("none", "there is no file")):
        fails("eval", tmp_path / result, tmp_path / "two", says=says, ranks=ranks)


def gap(a, b):
    return numpy.sqrt(((a[:, None] - b[None]) ** 2).sum(2))


def cosine(a, b):
    return 1 - (a @ b.T) / numpy.outer(numpy.linalg.norm(a, axis=1), numpy.linalg.norm(b, axis=1))


DISTANCE = {"l2": gap, "ip": lambda a, b: -(a @ b.T), "cosine": cosine}
# What files of others hold, from what this program shows.
CONVENTIONS = {
    "l2": {"squared distances": numpy.square, "half squared distances": lambda d: d * d / 2},
    "ip": {"inner products with the other sign": numpy.negative,
           "distances that are larger by 1": lambda d: 1 + d,
           "similarities, 1 - distance": lambda d: 1 - d},
    "cosine": {"similarities, 1 - distance": lambda d: 1 - d,
               "distances that are smaller by 1": lambda d: d - 1,
               "Euclidean distances of unit vectors": lambda d: numpy.sqrt(2 * d),
               "squared Euclidean distances of unit vectors": lambda d: 2 * d,
               "half distances": lambda d: d / 2, "angles": lambda d: numpy.arccos(1 - d),
               "scores (1 + cos) / 2": lambda d: 1 - d / 2},
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """For each metric a search that misses much, its ids and distances, and the right ones."""
    folder = tmp_path_factory.mktemp("searched")
    rng = numpy.random.default_rng(11)
    rows, queries = (rng.standard_normal((n, 12)).astype("f4") for n in (1200, 30))
    save(folder / "in.h5", train=rows, test=queries)
    found = {}
    for metric, distance in DISTANCE.items():
        run("build", folder / "in.h5", folder / metric, "-m", metric, "-l", 30, ranks=0)
        run("search", folder / metric, folder / "in.h5", folder / f"{metric}.result", "-k", 10, "-p", 2,
            ranks=0)
        all_ = distance(queries.astype("f8"), rows.astype("f8"))
        ids = numpy.argsort(all_, axis=1, kind="stable")[:, :20]
        with h5py.File(folder / f"{metric}.result") as file:
            result = file["neighbors"][:], file["distances"][:]
        found[metric] = result, (ids, numpy.take_along_axis(all_, ids, 1))
    return folder, found


@pytest.mark.parametrize("metric, name", [(m, n) for m in CONVENTIONS for n in CONVENTIONS[m]])
def test_another_convention_is_recognised_and_converted(tmp_path, searched, metric, name):
    folder, found = searched
    result, truth = found[metric]
    write(tmp_path / "other", truth[0], CONVENTIONS[metric][name](truth[1]), types=("i4", "f4"))
    told = evaluate(folder / f"{metric}.result", tmp_path / "other", "--min-recall", 0, check=False)
    assert (told["counted"], told["converted"], told["unequal_distances"]) == ("distances", name, 0)
    assert_agrees(told, result, truth, 1, [1, 5, 10])
    assert told["distance_ratio"] == pytest.approx(result[1].sum() / truth[1][:, :10].sum(), rel=1e-5)
    least = told["recall"][-1]["tie_recall"] + 0.01
    low = run("eval", folder / f"{metric}.result", tmp_path / "other", "--min-recall", least, ranks=0,
              check=False)
    assert low.code == 3 and f"holds {name}: converted" in low.err and f"(converted from {name})" in low.out


@pytest.mark.parametrize("metric, name", [("l2", "euclidean"), ("cosine", "angular"), ("ip", "ip")])
@pytest.mark.parametrize("types", [("i4", "f4"), ("i8", "f8"), ("f8", ">f4"), ("u8", "f4"), ("u2", "f8")])
def test_truths_of_ann_benchmarks_are_compared_by_distance(tmp_path, searched, metric, name, types):
    folder, found = searched
    result, truth = found[metric]
    write(tmp_path / "truth", *truth, types=types, distance=name)
    told = evaluate(folder / f"{metric}.result", tmp_path / "truth")
    assert (told["counted"], told["converted"]) == ("distances", None)
    assert_agrees(told, result, truth, 1, [1, 5, 10])


def ids_only(told, result, truth, depths=(1, 5, 10)):
    """Nothing but the ids was counted, and rightly."""
    assert told["counted"] == "ids" and told["converted"] is None and told["distance_ratio"] is None
    assert [row["k"] for row in told["recall"]] == list(depths)
    for row in told["recall"]:
        shares = [len(set(a[:row["k"]]) & set(b[:row["k"]])) / row["k"] for a, b in zip(result[0], truth[0])]
        assert row["id_recall"] == pytest.approx(numpy.mean(shares), abs=1e-8)
        assert row["tie_recall"] is None and row["worst_query"] == min(shares)


STRANGE = {"cubes": lambda d: d ** 3, "half floats": lambda d: d.astype("f2"),
           "another base": lambda d: d * 1.01, "zeros": lambda d: d * 0,
           "not numbers": lambda d: d * numpy.nan, "infinite": lambda d: d * 0 + numpy.inf}


@pytest.mark.parametrize("strange", STRANGE)
def test_distances_that_do_not_compare_are_not_counted(tmp_path, searched, strange):
    """The gate judges what can be: ids."""
    folder, found = searched
    result, truth = found["l2"]
    write(tmp_path / "other", truth[0], STRANGE[strange](truth[1]))
    told = run("eval", folder / "l2.result", tmp_path / "other", "--json", "--min-recall", 0.9, ranks=0,
               check=False)
    assert told.code == 3 and "id recall@10 is" in told.err and "only ids are counted" in told.err
    ids_only(told.json(), result, truth)
    table = run("eval", folder / "l2.result", tmp_path / "other", ranks=0)
    assert "counted by ids only" in table.out and " - " in table.out


@pytest.mark.parametrize("useless", [lambda d: d * 0, lambda d: d * 0 + 7, lambda d: d.astype("f2")],
                         ids=["zeros", "the same", "half floats"])
def test_ties_of_a_truth_that_cannot_tell_them_are_not_counted(tmp_path, searched, useless):
    """The distances of this result are not exact, so that only the truth's own ties could count."""
    result, truth = searched[1]["l2"]
    write(tmp_path / "result", *result)
    far = useless(truth[1])
    write(tmp_path / "truth", truth[0], far, types=("i8", far.dtype))
    ids_only(evaluate(tmp_path / "result", tmp_path / "truth"), result, truth)


def test_the_truth_of_another_base_is_recognised(tmp_path, searched):
    """Half of the rows: what is found in the other half is nearer than the truth, which is none."""
    folder, found = searched
    result, _ = found["l2"]
    with h5py.File(folder / "in.h5") as file:
        save(tmp_path / "half.h5", train=file["train"][:600])
    run("truth", tmp_path / "half.h5", folder / "in.h5", tmp_path / "truth", "-k", 10, ranks=0)
    told = run("eval", folder / "l2.result", tmp_path / "truth", "--json", ranks=0)
    assert "is the truth of another base: only ids are counted" in told.err
    with h5py.File(tmp_path / "truth") as file:
        ids_only(told.json(), result, (file["neighbors"][:], None))


def test_a_truth_without_distances_is_compared_by_id(tmp_path, searched):
    folder, found = searched
    result, truth = found["ip"]
    write(tmp_path / "truth", truth[0], types=("i4", None))
    ids_only(evaluate(folder / "ip.result", tmp_path / "truth"), result, truth)
    write(tmp_path / "bare", result[0])
    write(tmp_path / "whole", *truth)
    told = evaluate(tmp_path / "bare", tmp_path / "whole")  # the truth's own ties count
    assert told["counted"] == "ties"
    assert_agrees(told, result, truth, 0, [1, 5, 10])


def test_no_common_id_is_no_evidence(tmp_path):
    """1000 is as near by its own distance as the truth's last; nothing says that they compare."""
    write(tmp_path / "truth", [[1, 2], [3, 4]], [[1.5, 2.5], [1.5, 2.5]])
    write(tmp_path / "result", [[1000, 1001], [1002, 1003]], [[1.0, 1.2], [1.0, 1.2]], exact=1)
    told = evaluate(tmp_path / "result", tmp_path / "truth")
    assert told["common_ids"] == 0
    ids_only(told, [[[1000, 1001], [1002, 1003]]], [[[1, 2], [3, 4]]], [1, 2])


def test_rows_that_only_meet_at_themselves_are_no_evidence(tmp_path):
    """At distance 0 from itself a row is by any convention; of two files of ours one is known."""
    ids, far = numpy.arange(20).reshape(10, 2), [[0.0, 9.0]] * 10
    write(tmp_path / "result", ids * [1, 0] + [0, 900], [[0.0, 9.0]] * 10, exact=1)
    write(tmp_path / "squared", ids, far, distance="euclidean")
    assert evaluate(tmp_path / "result", tmp_path / "squared")["counted"] == "ids"
    write(tmp_path / "ours", ids, far, exact=1)
    assert evaluate(tmp_path / "result", tmp_path / "ours")["recall"][-1]["tie_recall"] == 1.0


def test_a_few_inexact_distances_are_told(tmp_path, searched):
    folder, found = searched
    result, truth = found["l2"]
    common = [(q, i) for q in range(30) for i in range(20) if truth[0][q, i] in result[0][q]]
    for many, counted in ((1, "distances"), (len(common) // 5, "ids")):
        noisy = truth[1].copy()
        for q, i in common[:many]:
            noisy[q, i] *= 1 + 1e-4
        write(tmp_path / "truth", truth[0], noisy)
        told = evaluate(folder / "l2.result", tmp_path / "truth")
        assert (told["counted"], told["unequal_distances"], told["common_ids"]) == (counted, many, len(common))


@pytest.mark.parametrize("other", [lambda d: d, numpy.square], ids=["as they are", "squared"])
def test_unsorted_rows_are_sorted(tmp_path, searched, other):
    folder, found = searched
    result, truth = found["l2"]
    shuffled = [numpy.random.default_rng(q).permutation(20) for q in range(30)]
    ids, far = (numpy.stack([row[order] for row, order in zip(part, shuffled)]) for part in truth)
    write(tmp_path / "truth", ids, other(far))
    told = run("eval", folder / "l2.result", tmp_path / "truth", "--json", ranks=0)
    assert f"rows of '{tmp_path / 'truth'}' are not in the order of their distances: sorted" in told.err
    assert_agrees(told.json(), result, truth, 1, [1, 5, 10])
    write(tmp_path / "result", result[0][:, ::-1], result[1][:, ::-1], exact=1)
    assert_agrees(evaluate(tmp_path / "result", tmp_path / "truth"), result, truth, 1, [1, 5, 10])
    write(tmp_path / "bare", ids)
    told = evaluate(folder / "l2.result", tmp_path / "bare")
    ids_only(told, result, (ids, far))


def test_larger_may_be_nearer_in_both(tmp_path, searched):
    """Two files of others with inner products: ties are those of the truth's own order."""
    result, truth = searched[1]["ip"]
    write(tmp_path / "result", result[0], -result[1], types=("i4", "f4"))
    write(tmp_path / "truth", truth[0], -truth[1], types=("i4", "f4"))
    told = evaluate(tmp_path / "result", tmp_path / "truth")
    assert (told["counted"], told["converted"]) == ("ties", None)
    assert_agrees(told, result, truth, 0, [1, 5, 10])
    assert told["distance_ratio"] == pytest.approx(result[1].sum() / truth[1][:, :10].sum(), rel=1e-5)


@pytest.mark.parametrize("padding", [(-1, numpy.inf), (-1, numpy.nan), (-1, 0.0), (0, numpy.inf),
                                     (7, numpy.nan)])
def test_padding_is_no_neighbour(tmp_path, searched, padding):
    folder, found = searched
    result, truth = found["l2"]
    ids, far = truth[0].copy(), truth[1].copy()
    for q in range(30):
        ids[q, q % 9 + 1:], far[q, q % 9 + 1:] = padding
    write(tmp_path / "truth", ids, far)
    told = evaluate(folder / "l2.result", tmp_path / "truth")
    ids[~numpy.isfinite(far)] = -1
    assert_agrees(told, result, (ids, far), 1, [1, 5, 10])
    assert told["queries_without_truth"] == 0


def test_unsigned_ids_may_be_missing_too(tmp_path):
    for kind in ("u1", "u4", "u8"):
        none = numpy.iinfo(kind).max
        write(tmp_path / "truth", numpy.array([[4, 5, none]], kind), [[1.5, 2.5, numpy.inf]],
              types=(kind, "f8"))
        told = evaluate(tmp_path / "truth", tmp_path / "truth")["recall"]
        assert [(row["k"], row["id_recall"]) for row in told] == [(1, 1.0), (3, 1.0)]


def test_a_query_without_truth_is_left_out(tmp_path):
    write(tmp_path / "truth", [[1, 2], [-1, -1], [5, 6]], [[1.5, 2.5], [numpy.nan] * 2, [1.5, 2.5]])
    write(tmp_path / "result", [[1, 2], [3, 4], [5, 8]], [[1.5, 2.5]] * 3, exact=1)
    told = evaluate(tmp_path / "result", tmp_path / "truth")
    assert told["queries_without_truth"] == 1
    assert told["recall"][-1]["id_recall"] == 0.75 and told["recall"][-1]["tie_recall"] == 1.0


@pytest.mark.parametrize("ids, far", [(-1, numpy.inf), (-1, 0.0), (-1, None)])
def test_a_truth_that_says_nothing_is_refused(tmp_path, ids, far):
    write(tmp_path / "truth", numpy.full((4, 3), ids), None if far is None else numpy.full((4, 3), far))
    write(tmp_path / "result", numpy.zeros((4, 3)), numpy.ones((4, 3)), exact=1)
    fails("eval", tmp_path / "result", tmp_path / "truth", says="no neighbour for any query", ranks=0)


def test_an_id_twice_in_the_truth_is_one_row(tmp_path):
    write(tmp_path / "truth", [[1, 1, 2, 3]], [[1.5, 1.5, 2.5, 3.5]])
    write(tmp_path / "result", [[1, 2, 9]], [[1.5, 2.5, 9.5]], exact=1)
    last = evaluate(tmp_path / "result", tmp_path / "truth")["recall"][-1]
    assert (last["k"], last["id_recall"]) == (3, pytest.approx(2 / 3))


BAD_IDS = {"1.5": ("f8", 1.5), "1.8446744073709549e+19": ("u8", 2 ** 64 - 3), "1e+20": ("f8", 1e20),
           "inf": ("f4", numpy.inf)}


@pytest.mark.parametrize("says", BAD_IDS)
def test_an_id_that_is_none_is_refused(tmp_path, says):
    kind, value = BAD_IDS[says]
    write(tmp_path / "good", [[1, 2]], [[1.5, 2.5]])
    write(tmp_path / "bad", numpy.array([[1, value]], kind), [[1.5, 2.5]], types=(kind, "f8"))
    for words in ((tmp_path / "good", tmp_path / "bad"), (tmp_path / "bad", tmp_path / "good")):
        fails("eval", *words, says=f"query 0 of '{tmp_path / 'bad'}' has the neighbour {says[:7]}", ranks=0)


def test_one_neighbour_a_query_may_be_a_vector(tmp_path):
    write(tmp_path / "flat", numpy.array([4, 5, 6]), numpy.array([1.5, 2.5, 3.5]))
    write(tmp_path / "result", [[4], [9], [6]], [[1.5], [2.5], [3.5]], exact=1)
    told = evaluate(tmp_path / "result", tmp_path / "flat")["recall"]
    assert [row["k"] for row in told] == [1]
    assert (told[0]["id_recall"], told[0]["tie_recall"]) == (pytest.approx(2 / 3), 1.0)


def test_other_metrics_do_not_compare(tmp_path):
    names = [("euclidean", "angular"), ("euclidean", "hamming"), ("jaccard", "hamming")]
    for mine, other in names:
        write(tmp_path / "result", [[1]], [[1.5]], distance=mine)
        write(tmp_path / "truth", [[1]], [[1.5]], distance=other)
        fails("eval", tmp_path / "result", tmp_path / "truth", says=f"is for metric {mine}, ", ranks=0)


@pytest.mark.parametrize("layout", [{}, dict(chunks=(700, 50), compression="gzip", compression_opts=1)])
def test_memory_does_not_grow_with_the_files(tmp_path, layout):
    """80 MB of neighbours, read with 6 MiB of buffers."""
    rng = numpy.random.default_rng(3)
    ids = (rng.integers(0, 1 << 20, (50000, 1)) + numpy.arange(50)).astype("i4")
    far = numpy.sort(rng.random((50000, 50), "f4"), axis=1) + numpy.float32(0.1)
    with h5py.File(tmp_path / "truth", "w") as file:
        file.create_dataset("neighbors", data=ids, **layout)
        file.create_dataset("distances", data=far, **layout)
    hidden = ids.copy()
    hidden[::2, 25:] += 1 << 21
    write(tmp_path / "result", hidden, far + numpy.float32(3) * (hidden != ids), exact=1)
    told = evaluate(tmp_path / "result", tmp_path / "truth", "--memory", memory(6))
    assert told["recall"][-1]["id_recall"] == 0.75 and told["recall"][-1]["tie_recall"] == 0.75


def test_the_memory_that_is_told_is_enough(tmp_path):
    """One chunk of 12 MB, which is in memory once, with what it is inflated from."""
    ids = numpy.arange(1_500_000, dtype="i8").reshape(30000, 50)
    with h5py.File(tmp_path / "truth", "w") as file:
        layout = dict(chunks=ids.shape, compression="gzip", compression_opts=1)
        file.create_dataset("neighbors", data=ids, **layout)
        file.create_dataset("distances", data=ids.astype("f4"), **layout)
    words = tmp_path / "truth", tmp_path / "truth", "--memory"
    told = run("eval", *words, memory(4), ranks=0, check=False)
    enough = re.search(r"raise --memory to (\d+)M", told.err)
    assert told.code == 1 and enough and int(enough.group(1)) << 10 < int(memory(3 * 12 + 4)[:-1])
    assert evaluate(*words, f"{enough.group(1)}M")["recall"][-1]["id_recall"] == 1
