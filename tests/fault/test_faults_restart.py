"""Fault points of the other ways to build: trained on the way, from .npy, gone on with."""
from faults import matrix


def test_build_last_pass_fails_and_force_keeps_the_old_index(scenarios, root):
    outcome = matrix(root, [scenarios["build-train"]], (3,), "last", force="last")
    assert outcome["failed after the commit"] > 0  # the named exceptions are real ones


def test_build_with_training_first_pass_fails(scenarios, root):
    matrix(root, [scenarios["build-train"]], (2,), "first")


def test_build_from_npy_first_pass_fails(scenarios, root):
    matrix(root, [scenarios["build-npy"]], (2,), "first")


def test_resumed_build_first_pass_fails(scenarios, root):
    matrix(root, [scenarios["build-resumed"]], (2,), "first")
