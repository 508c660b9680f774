"""eval against a computation of its own: ids, ties, short lists, foreign files."""
import h5py
import numpy
import pytest

from program import fails, run, save

TIE = 1e-6


def write(path, ids, distances, exact=None, types=("i8", "f8")):
    save(path, neighbors=numpy.asarray(ids, types[0]), distances=numpy.asarray(distances, types[1]))
    if exact is not None:
        with h5py.File(path, "r+") as file:
            file.attrs["exact"] = numpy.uint64(exact)
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
    base = numpy.sort(rng.integers(1, 12, (40, 300)) if tied else rng.random((40, 300)), axis=1)
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
    write(tmp_path / "truth", [[1, 2]], [[0.0, 1.0]])
    for exact, want in ((1, 1.0), (0, 0.5), (None, 0.5)):
        write(tmp_path / "result", [[1, 9]], [[0.0, 1.0]], exact=exact)
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
    save(tmp_path / "bare", neighbors=numpy.zeros((2, 1), "i8"))
    save(tmp_path / "empty", neighbors=numpy.zeros((2, 0), "i8"), distances=numpy.zeros((2, 0)))
    for result, says in (("three", "answers 3 queries"), ("unlike", "2 x 2 distances"),
                         ("bare", "distances"), ("empty", "no neighbours"), ("none", "there is no file")):
        fails("eval", tmp_path / result, tmp_path / "two", says=says, ranks=ranks)
