"""Fault points of every other command, and that none of the points is dead."""
import pytest
from faults import matrix, sites
from program import SLOW


@pytest.mark.parametrize("name", ["train", "merge", "generate", "truth", "shuffle"])
def test_writer_fails(scenarios, root, name):
    matrix(root, [scenarios[name]], (3,), "first")


@pytest.mark.parametrize("name", ["search-rerank", "search-recall", "truth-npy", "shuffle-virtual"])
def test_more_ways_fail(scenarios, root, name):
    matrix(root, [scenarios[name]], (2,), "first")


@pytest.mark.parametrize("name", ["train", "merge", "generate", "truth", "search-rerank", "shuffle"])
@pytest.mark.skipif(SLOW > 1, reason="the sanitizer's matrix is smaller")
def test_last_pass_fails_and_force_keeps_the_old_file(scenarios, root, name):
    matrix(root, [scenarios[name]], (2,), "last", force="last")


@pytest.mark.parametrize("name", ["verify", "info", "eval"])
def test_reader_fails(scenarios, root, name):
    matrix(root, [scenarios[name]], (2,), "ends")


def test_every_fault_point_is_passed(scenarios, root):
    passed = set()
    for scenario in scenarios.values():
        _, passes = scenario.clean(root, 2)
        passed |= {site for site, _ in passes}
    assert passed == set(sites())
