"""Fault points of build with several shards a rank: all sites x all ranks at 1, 2, 3, 5."""
from faults import SLOW, matrix


def test_build_first_pass_fails(scenarios, root):
    matrix(root, [scenarios["build-spill"]], (1, 2, 3, 5), "first")


def test_build_last_pass_fails_and_force_keeps_the_old_index(scenarios, root):
    matrix(root, [scenarios["build-spill"]], (1, 3), "last", force="last")
