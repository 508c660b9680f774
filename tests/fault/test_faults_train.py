"""Fault points of training on two levels with a sample that streams: all sites x all ranks."""
import json

import pytest
from faults import launch, matrix
from program import SLOW


@pytest.mark.parametrize("ranks", [1, 5])
def test_it_does_stream(scenarios, root, ranks):
    folder, aside = scenarios["train-streams"].folders(root, "clean")
    done = launch(scenarios["train-streams"].words(folder), ranks, aside)
    assert set(done.codes.values()) == {0}, str(done)
    with open(f"{folder}/out.model.report.json") as file:
        sample = json.load(file)["phases"][0]
    assert sample["phase"] == "sample" and sample["ranks"][0]["bytes_written"] > 0


def test_first_pass_fails(scenarios, root):
    matrix(root, [scenarios["train-streams"]], (1, 3), "first")


@pytest.mark.skipif(SLOW > 1, reason="the sanitizer's matrix is smaller")
def test_a_pass_in_the_middle_fails_and_the_next_run_is_right(scenarios, root):
    matrix(root, [scenarios["train-again"]], (2,), "middle")
