"""Fault points of build with several shards a rank: all sites x all ranks at 1 and 5."""
from faults import matrix


def test_build_first_pass_fails(scenarios, root):
    matrix(root, [scenarios["build-spill"]], (1, 5), "first")
