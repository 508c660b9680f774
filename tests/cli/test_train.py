"""Training on two levels: the same model however it is made, each row in its nearest list, recall."""
import json
import os

import h5py
import numpy
import pytest

from program import (ALONE, PROGRAM, SLOW, data, execute, fails, neighbours, recall, run, same,
                     sample_memory, save)

ROWS, DIM, LISTS = 40000, 20, 600  # the guess has 64 rows a list, less than all
TRAIN = ("--lists", LISTS, "--iterations", 4, "--quiet")
STREAMS = 1.5  # MiB for a sample: not enough on up to 3 ranks


def clusters(rows, dim, seed):
    chance = numpy.random.default_rng(seed)
    centre = 3 * chance.normal(size=(200, dim))
    return (centre[chance.integers(0, 200, rows)] + chance.normal(size=(rows, dim))).astype("f4")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a source, and its models for each metric made in the plainest way."""
    folder = tmp_path_factory.mktemp("train")
    save(folder / "in.h5", train=clusters(ROWS, DIM, 1))
    for metric in ("l2", "ip", "cosine"):
        run("train", folder / "in.h5", folder / metric, "-m", metric, *TRAIN, "--threads", 1)
    return folder


def phases(model):
    """What each rank did, by phase."""
    with open(f"{model}.report.json") as file:
        return {phase["phase"]: phase["ranks"] for phase in json.load(file)["phases"]}


def little_memory(source, more, *words, ranks=1):
    """What leaves the sample of a training `more` MiB."""
    least = sample_memory("train", source, f"{source}.none", *words, more=more, ranks=ranks)
    return "--threads", 1, "--memory", least


def settings(kernel, name):
    """A kernel that the processor lacks, and a filter that the kernel lacks, is the best one again."""
    given = {"MPIVF_KERNEL": kernel, "MPIVF_FILTER": name}
    return {key: value for key, value in given.items() if value}


@pytest.mark.parametrize("ranks, threads, kernel, name", [
    (3, 2, "portable", "int8"), (5, 1, "avx2", "int7"), (2, 3, "avx512", "float32"), (2, 2, None, "sgemm")])
def test_the_model_is_the_same(tmp_path, place, ranks, threads, kernel, name):
    run("train", place / "in.h5", tmp_path / "model", *TRAIN, "--threads", threads, ranks=ranks,
        env=settings(kernel, name))
    assert same(tmp_path / "model", place / "l2")
    assert sorted(os.listdir(tmp_path)) == ["model", "model.report.json"]
    assert not any(rank["bytes_written"] for rank in phases(tmp_path / "model")["sample"])


@pytest.mark.parametrize("ranks, kernel, name", [
    (1, None, "sgemm"), (1, "vnni", "int8"), (2, "avx2", "float32"), (3, "portable", "int16"), (2, "avx512", "int7")])
def test_the_model_is_the_same_when_the_sample_streams(tmp_path, place, ranks, kernel, name):
    words = little_memory(place / "in.h5", STREAMS, *TRAIN, ranks=ranks)
    run("train", place / "in.h5", tmp_path / "model", *TRAIN, *words, ranks=ranks,
        env=settings(kernel, name))
    assert same(tmp_path / "model", place / "l2")
    assert sorted(os.listdir(tmp_path)) == ["model", "model.report.json"]
    told = phases(tmp_path / "model")
    assert sum(rank["bytes_written"] for rank in told["sample"]) == ROWS * DIM * 4
    assert all(rank["bytes_read"] >= rank["rows"] * DIM * 4 for rank in told["k-means"])
    peak = max(rank["resident_peak_bytes"] for each in told.values() for rank in each)
    print(f"{words[-1]}: resident at most {peak // 1024}k")
    assert SLOW > 1 or peak <= int(words[-1][:-1]) * 1024


@pytest.mark.parametrize("metric", ["ip", "cosine"])
@pytest.mark.parametrize("ranks", [3])
def test_other_metrics_too(tmp_path, place, metric, ranks):
    words = little_memory(place / "in.h5", STREAMS, *TRAIN, ranks=ranks)
    run("train", place / "in.h5", tmp_path / "model", "-m", metric, *TRAIN, *words, ranks=ranks)
    assert same(tmp_path / "model", place / metric)


def test_rows_left_out_of_a_streamed_sample(tmp_path):
    rows = clusters(ROWS, DIM, 2)
    rows[7::11, 3] = numpy.nan
    source = save(tmp_path / "in.h5", train=rows)
    told = []
    for name, words in ("plenty", ()), ("little", little_memory(source, STREAMS, *TRAIN, ranks=2)):
        done = run("train", source, tmp_path / name, *TRAIN, "--bad-rows", "skip", "--json", *words,
                   ranks=2).json()
        told.append((done["sample"], done["objective"]))
    assert told[0] == told[1] and told[0][0] == numpy.isfinite(rows).all(axis=1).sum()
    assert same(tmp_path / "plenty", tmp_path / "little")
    fails("train", source, tmp_path / "x", *TRAIN[:-1], says="row ", ranks=2, output=tmp_path / "x")


# ---- where rows go

def right_distances(rows, centroid, metric):
    """[rows, lists] in float64, without a matrix product."""
    rows, centroid = rows.astype("f8"), centroid.astype("f8")
    if metric == "l2":
        return numpy.stack([((centroid - row) ** 2).sum(axis=1) for row in rows])
    return numpy.stack([-(centroid * row).sum(axis=1) for row in rows])


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_every_row_is_in_its_nearest_list(tmp_path, metric):
    source = save(tmp_path / "in.h5", train=clusters(6000, 9, 3))
    run("build", source, tmp_path / "index", "--lists", 550, "-m", metric, "--quiet", ranks=3)
    with h5py.File(tmp_path / "index") as file:
        offset, rows, centroid = file["list_offset"][:].astype("i8"), file["code"][:], file["centroid"][:]
    length = numpy.sqrt((centroid.astype("f8") ** 2).sum(axis=1))
    assert metric == "l2" or (abs(length - 1) < 1e-6).all()
    where = numpy.repeat(numpy.arange(550), numpy.diff(offset))
    distance = right_distances(rows, centroid, metric)
    assert len(where) == 6000
    differ = numpy.flatnonzero(distance.argmin(axis=1) != where)
    for i in differ:  # only where two orders of summation cannot tell
        assert distance[i, where[i]] - distance[i].min() <= 1e-12 * abs(distance[i].min())


# ---- what goes wrong

def test_too_little_memory_is_one_line(tmp_path, place):
    words = little_memory(place / "in.h5", -1.5, *TRAIN, ranks=2)
    told = fails("train", place / "in.h5", tmp_path / "x", *TRAIN[:-1], *words, ranks=2,
                 says="training 600 lists of 20 columns needs", output=tmp_path / "x")
    assert "raise --memory" in told.err and os.listdir(tmp_path) == []


def test_a_scratch_file_that_cannot_grow(tmp_path, place):
    """A quota, to the program."""
    words = ["train", place / "in.h5", tmp_path / "x", *TRAIN,
             *little_memory(place / "in.h5", STREAMS, *TRAIN)]
    done = execute(["sh", "-c", 'ulimit -f 2048; exec "$@"', "sh", PROGRAM, *words], env=ALONE)
    assert done.code == 1 and len(done.messages()) == 1, done.err
    assert f"cannot write '{tmp_path}': File too large" in done.messages()[0]
    assert os.listdir(tmp_path) == []


# ---- recall

def test_sorted_rows_are_found_as_well_as_shuffled_ones(tmp_path):
    """Fashion-MNIST by class, every third image, and the same images in no order."""
    images = numpy.load(data("fashion-mnist-train.npy"), mmap_mode="r")[::3]
    queries = numpy.load(data("fashion-mnist-test.npy"))[::10]
    order = numpy.random.default_rng(7).permutation(len(images))
    save(tmp_path / "sorted.h5", train=images, test=queries)
    save(tmp_path / "shuffled.h5", train=images[order], test=queries)
    run("truth", tmp_path / "sorted.h5", tmp_path / "sorted.h5", tmp_path / "truth", "-k", 10, "--quiet",
        ranks=2)
    right, _ = neighbours(tmp_path / "truth")
    measured = {}
    for name in ("sorted", "shuffled"):
        index, result = tmp_path / f"{name}.index", tmp_path / f"{name}.result"
        run("build", tmp_path / f"{name}.h5", index, "--lists", 520, "--sample", 10000, "--quiet", ranks=2)
        run("search", index, tmp_path / f"{name}.h5", result, "-k", 10, "-p", 12, "--quiet", ranks=2)
        found, _ = neighbours(result)
        measured[name] = recall(found if name == "sorted" else order[found], right, 10)
    print(f"recall@10 with 12 of 520 lists: {measured}")
    assert min(measured.values()) > 0.9
    assert abs(measured["sorted"] - measured["shuffled"]) <= 0.005
    for path in tmp_path.iterdir():
        path.unlink()
