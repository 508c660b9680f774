"""Fashion-MNIST, rows sorted by class: the same bytes everywhere, exact truth, recall."""
import subprocess

import h5py
import numpy
import pytest

from program import data, memory, neighbours, recall, run, same, save

K = 10
TRAIN = ("--lists", 64, "--sample", 6000, "--iterations", 4, "--quiet")


@pytest.fixture(scope="module")
def images():
    """The training images, really sorted by class or not, as they are in the file."""
    return numpy.load(data("fashion-mnist-train.npy"))


@pytest.fixture(scope="module")
def source(tmp_path_factory, images):
    queries = numpy.load(data("fashion-mnist-test.npy"))[::10]
    path = tmp_path_factory.mktemp("source") / "fashion.h5"
    yield save(path, train=images, test=queries)
    path.unlink()


@pytest.fixture(scope="module")
def index(tmp_path_factory, source):
    path = tmp_path_factory.mktemp("index") / "fashion.index"
    run("build", source, path, *TRAIN, ranks=2)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def truth(tmp_path_factory, source):
    path = tmp_path_factory.mktemp("truth") / "truth.h5"
    run("truth", source, source, path, "-k", 100, "--quiet", ranks=3)
    return path


@pytest.fixture
def scratch(tmp_path):
    """A folder whose files, each as large as the dataset, go when the test ends."""
    yield tmp_path
    for path in tmp_path.iterdir():
        path.unlink()


@pytest.mark.parametrize("ranks, threads", [(1, 1), (1, 2), (2, 2), (3, 1), (5, 1), (5, 2)])
def test_index_is_the_same_at_any_ranks_and_threads(scratch, source, index, ranks, threads):
    run("build", source, scratch / "x", *TRAIN, "--threads", threads, ranks=ranks)
    assert same(scratch / "x", index)


@pytest.mark.parametrize("ranks", [1, 3])
def test_index_is_the_same_when_memory_makes_many_shards(scratch, source, index, ranks):
    built = run("build", source, scratch / "x", *TRAIN, "--memory", memory(43), "--threads", 1,
                "--json", ranks=ranks).json()
    assert built["shards"] > 2 * ranks
    assert same(scratch / "x", index)


def test_index_of_chunked_gzip_is_the_same(scratch, images, index):
    with h5py.File(scratch / "in.h5", "w") as file:
        file.create_dataset("train", data=images, chunks=(700, 784), compression="gzip",
                            compression_opts=1)
    built = run("build", scratch / "in.h5", scratch / "x", *TRAIN, "--json", ranks=2).json()
    assert built["rows"] == len(images)
    assert same(scratch / "x", index)


def test_index_of_npy_is_the_same(scratch, index):
    run("build", data("fashion-mnist-train.npy"), scratch / "x", *TRAIN, ranks=2)
    assert same(scratch / "x", index)


@pytest.mark.parametrize("ranks", [1, 3])
def test_truth_is_the_published_one(tmp_path, source, truth, ranks):
    if ranks == 1:
        run("truth", source, source, tmp_path / "t.h5", "-k", 100, "--quiet")
        assert same(tmp_path / "t.h5", truth)
    ids, distances = neighbours(truth)
    right_ids, right_distances = neighbours(data("fashion-mnist-truth-q1000.hdf5"))
    assert ids.shape == (1000, 100)
    assert (ids == right_ids).all()
    assert numpy.allclose(distances, right_distances, rtol=1e-6)


def test_recall_rises_to_exactness_when_all_lists_are_probed(tmp_path, source, index, truth):
    right, right_distances = neighbours(truth)
    measured = []
    for probes in (1, 8, 24, 64):
        run("search", index, source, tmp_path / "r.h5", "-k", K, "-p", probes, "--force", "--quiet",
            ranks=2)
        ids, distances = neighbours(tmp_path / "r.h5")
        measured.append(recall(ids, right, K))
        print(f"{probes} of 64 lists: recall@{K} {measured[-1]:.4f}")
    assert measured == sorted(measured) and measured[0] < 0.9
    assert max(measured[:3]) >= 0.95
    assert (ids == right[:, :K]).all()
    assert (distances == right_distances[:, :K]).all()


def test_asked_recall_is_what_eval_measures(tmp_path, source, index, truth):
    told = run("search", index, source, tmp_path / "r.h5", "-k", K, "--recall", 0.95, "--json",
               ranks=2).json()
    found = run("eval", tmp_path / "r.h5", truth, "--json", ranks=0).json()["recall"][-1]
    print(f"{told['probes']} probes, expected {told['expected_recall']:.4f}, "
          f"measured {found['tie_recall']:.4f}")
    assert found["k"] == K
    assert 0.92 <= found["tie_recall"] < 0.995
    assert told["expected_recall"] >= 0.95
    assert told["probes"] < told["lists"]


@pytest.mark.parametrize("codec", ["f16", "int8"])
def test_codes_reranked_with_raw_rows_reach_the_recall_of_f32(tmp_path, source, index, truth, codec):
    run("build", source, tmp_path / "x", *TRAIN, "--codec", codec, "--store", "source", ranks=2)
    right, _ = neighbours(truth)
    run("search", tmp_path / "x", source, tmp_path / "coded.h5", "-p", 8, "--rerank", 50, "--quiet")
    run("search", index, source, tmp_path / "f32.h5", "-p", 8, "--quiet")
    coded, f32 = neighbours(tmp_path / "coded.h5"), neighbours(tmp_path / "f32.h5")
    assert recall(coded[0], right, K) >= recall(f32[0], right, K)
    assert (coded[1][coded[0] == f32[0]] == f32[1][coded[0] == f32[0]]).all()


def test_int8_codes_lose_little_recall(tmp_path, source, index, truth):
    """Without the rows, in about a quarter of the bytes of float32."""
    run("build", source, tmp_path / "x", *TRAIN, "--codec", "int8", ranks=2)
    right, _ = neighbours(truth)
    run("search", tmp_path / "x", source, tmp_path / "int8.h5", "-p", 8, "--quiet")
    run("search", index, source, tmp_path / "f32.h5", "-p", 8, "--quiet")
    found = [recall(neighbours(tmp_path / f"{name}.h5")[0], right, K) for name in ("int8", "f32")]
    print(f"recall@{K} {found[0]:.4f} with int8, {found[1]:.4f} with f32")
    assert found[0] > found[1] - 0.01
    assert (tmp_path / "x").stat().st_size < 0.27 * index.stat().st_size


def quantization_error(images, model):
    """Mean squared distance of all rows, not only the sampled ones, to their nearest centroid."""
    rows = images.astype("f4")
    with h5py.File(model) as file:
        centroid = file["centroid"][:]
    nearest = ((centroid ** 2).sum(axis=1) - 2 * (rows @ centroid.T)).min(axis=1)
    return ((rows ** 2).sum(axis=1) + nearest).mean()


def test_sorted_and_shuffled_files_train_alike(scratch, images):
    save(scratch / "sorted.h5", train=images)
    save(scratch / "shuffled.h5", train=numpy.random.default_rng(7).permutation(images))
    objective, error = [], []
    for name in ("sorted", "shuffled"):
        told = run("train", scratch / f"{name}.h5", scratch / name, "--lists", 256, "--sample", 30000,
                   "--iterations", 5, "--quiet", "--json", ranks=3).json()
        objective.append(told["objective"])
        error.append(quantization_error(images, scratch / name))
    print("mean distance to the centroid, sorted and shuffled:", objective, "over all rows:", error)
    assert objective[0] != objective[1]
    assert objective[0] == pytest.approx(objective[1], rel=0.01)
    assert error[0] == pytest.approx(error[1], rel=0.01)


def test_index_opens_in_h5py_and_h5dump(index, images):
    with h5py.File(index) as file:
        offset, ids = file["list_offset"][:], file["id"][:]
        assert file["centroid"].shape == (64, 784)
        assert offset[0] == 0 and offset[-1] == len(images) and (numpy.diff(offset) >= 0).all()
        assert (numpy.sort(ids) == numpy.arange(len(images))).all()
        some = ids[::997]
        assert (file["code"][::997] == images[some]).all()
    dump = subprocess.run(["h5dump", "-H", str(index)], stdout=subprocess.PIPE, text=True, check=True)
    for name in ("centroid", "list_offset", "id", "code", "list_checksum", "row_range"):
        assert f'DATASET "{name}"' in dump.stdout
