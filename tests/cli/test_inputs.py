"""Inputs that are not what they have to be: each is refused at once, by a line with the cure."""
import os
import socket

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
           "folder": "is a folder, where a regular file is needed",
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
