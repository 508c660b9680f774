"""build --truth that is killed or fails, anywhere: the same command ends with both files right."""
import pytest
from truths import again_and_again, matrix, one_fault, one_kill


@pytest.mark.parametrize("name, ranks, where", [("build", 3, (0.5,))])
def test_a_rank_is_killed(jobs, root, clean_truth, name, ranks, where):
    matrix(one_kill, jobs[name], root, ranks, *clean_truth(name, ranks), where)


@pytest.mark.parametrize("name, ranks, where", [("build-train", 2, (0.8,))])
def test_something_fails(jobs, root, clean_truth, name, ranks, where):
    matrix(one_fault, jobs[name], root, ranks, *clean_truth(name, ranks), where)


@pytest.mark.parametrize("name, seed", [("build", 4), ("build-train", 5)])
def test_killed_again_and_again_at_random_times(jobs, root, clean_truth, name, seed):
    again_and_again(jobs[name], root, clean_truth(name, 2)[0], seed)
