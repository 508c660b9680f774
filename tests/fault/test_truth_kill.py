"""A truth that is killed or fails, anywhere: the same command, with any number of ranks, ends with the
bytes of a run that nobody disturbed."""
import pytest
from truths import again_and_again, matrix, one_fault, one_kill


@pytest.mark.parametrize("name, ranks, where", [("truth-all", 3, (0.4,)), ("truth", 1, (0.9,)),
                                                ("truth-self", 2, (0.6,))])
def test_a_rank_is_killed(jobs, root, clean_truth, name, ranks, where):
    matrix(one_kill, jobs[name], root, ranks, *clean_truth(name, ranks), where)


@pytest.mark.parametrize("name, ranks, where", [("truth-all", 3, (0.6,)), ("truth", 1, (0.3,))])
def test_something_fails(jobs, root, clean_truth, name, ranks, where):
    matrix(one_fault, jobs[name], root, ranks, *clean_truth(name, ranks), where)


@pytest.mark.parametrize("name, seed", [("truth-all", 1), ("truth", 2), ("truth-self", 3)])
def test_killed_again_and_again_at_random_times(jobs, root, clean_truth, name, seed):
    again_and_again(jobs[name], root, clean_truth(name, 2)[0], seed)
