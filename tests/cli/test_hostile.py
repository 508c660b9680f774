"""What nobody should do, and some will: nothing is destroyed and nothing crashes."""
import os
import random
import subprocess

import numpy
import pytest

from program import PROGRAM, environment, fails, run, same


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    rows = numpy.random.default_rng(3).standard_normal((3000, 16)).astype("f4")
    numpy.save(folder / "v.npy", rows)
    run("train", folder / "v.npy", folder / "model", "-l", 8, "-q")
    for part in (1, 2):
        run("build", folder / "v.npy", folder / f"p{part}", "--model", folder / "model", "--part",
            f"{part}/2", "-q")
    run("build", folder / "v.npy", folder / "index", "--model", folder / "model", "-q")
    return folder


@pytest.mark.parametrize("words", [
    ["train", "v.npy", "v.npy"], ["build", "v.npy", "v.npy"],
    ["build", "v.npy", "model", "--model", "model"], ["truth", "v.npy", "index", "v.npy"],
    ["search", "index", "v.npy", "index"], ["search", "index", "v.npy", "v.npy"],
    ["merge", "p1", "p2", "model", "p1"]], ids=" ".join)
def test_an_output_that_is_an_input_is_refused(given, words):
    paths = [given / word if (given / word).exists() else word for word in words]
    fails(*paths, "--force", says="is also an input", code=2, ranks=2, output=paths[-1]
          if words[-2] != "--model" else given / "model")


def test_a_special_file_is_not_replaced(given, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    fails("train", given / "v.npy", tmp_path / "pipe", "-l", 4, "--force", says="not a regular file")
    assert not os.path.isfile(tmp_path / "pipe")


def test_the_cure_for_too_many_lists_works_at_once(given, tmp_path):
    fails("build", given / "v.npy", tmp_path / "x", "-l", 3001, says="fewer --lists", ranks=2)
    run("build", given / "v.npy", tmp_path / "x", "-l", 30, "-q", ranks=2)


def test_two_equal_builds_at_once(given, tmp_path):
    """Each ends well or says that another is at work; the index is never a wrong one."""
    words = [PROGRAM, "build", given / "v.npy", tmp_path / "x", "--model", given / "model", "-q"]
    for _ in range(6):
        both = [subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                                 env=environment()) for _ in range(2)]
        said = [(one.communicate(timeout=60)[1], one.returncode) for one in both]
        for text, code in said:
            assert code == 0 or "at work" in text or "exists" in text, text
        assert any(code == 0 for _, code in said), said
        assert same(tmp_path / "x", given / "index")
        os.remove(tmp_path / "x")


def test_damaged_headers_do_not_crash(given, tmp_path):
    good = (given / "index").read_bytes()
    chance = random.Random(7)
    for _ in range(120):
        at, bit = chance.randrange(4096), 1 << chance.randrange(8)
        bad = bytearray(good)
        bad[at] ^= bit
        (tmp_path / "bad").write_bytes(bad)
        done = run("info", tmp_path / "bad", ranks=0, timeout=20, check=False)
        assert done.code in (0, 1), f"byte {at} bit {bit}: exit {done.code}\n{done.err}"
