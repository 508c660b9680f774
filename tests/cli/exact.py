"""The exact neighbours in plain numpy, float64, row by row: what a truth is held against."""
import h5py
import numpy

CLOSE = 1e-12  # relative: nearer to each other than this, two orders of summation cannot tell


def canonical(base, queries, metric):
    """Distances [queries, rows], l2 squared, from differences; no matrix product."""
    base, queries = base.astype("f8"), queries.astype("f8")
    norms = numpy.sqrt((base ** 2).sum(axis=1))
    out = numpy.empty((len(queries), len(base)))
    for i, q in enumerate(queries):
        if metric == "l2":
            out[i] = ((base - q) ** 2).sum(axis=1)
        elif metric == "ip":
            out[i] = -(base * q).sum(axis=1)
        else:
            both = norms * numpy.sqrt((q ** 2).sum())
            out[i] = numpy.where(both > 0, 1 - (base * q).sum(axis=1) / numpy.where(both > 0, both, 1), 1)
    return out


def scale(base, queries, metric):
    """What a rounding error of a distance is relative to, [queries, 1]; 0: to the distance itself."""
    if metric == "l2":
        return numpy.zeros((len(queries), 1))
    if metric == "cosine":
        return numpy.ones((len(queries), 1))
    longest = numpy.sqrt((base.astype("f8") ** 2).sum(axis=1)).max()
    return numpy.sqrt((queries.astype("f8") ** 2).sum(axis=1, keepdims=True)) * longest


def read(path):
    with h5py.File(path) as file:
        return {name: file[name][:] for name in ("neighbors", "distances", "ties", "duplicates")}


def bits(rows):
    """Each row as one comparable value: equal when all bits are, in the type that holds all others."""
    rows = numpy.ascontiguousarray(rows, "f8")
    return rows.view(numpy.dtype((numpy.void, rows.shape[1] * 8))).ravel()


def assert_exact(path, base, queries, metric, k, exact=False, own=None, ids=None, good=None):
    """Hold a truth against the brute force.

    exact: the distances are sums of whole numbers (or the like), so nothing is rounded.
    own: for each query the row that it is, which does not count. ids: of the rows. good: the rows
    that count, by number.
    """
    truth = read(path)
    number = numpy.arange(len(base)) if good is None else numpy.asarray(good)
    base = base[number]
    name = number if ids is None else ids[number]
    order = numpy.argsort(name, kind="stable")
    base, name, number = base[order], name[order], number[order]
    distances = canonical(base, queries, metric)
    equal = bits(base)[None, :] == bits(queries)[:, None]
    if own is not None:
        mine = numpy.asarray(own)[:, None] == number[None, :]
        distances[mine] = numpy.inf
        equal &= ~mine
    rank = numpy.argsort(distances, axis=1, kind="stable")[:, :k]
    nearest = numpy.take_along_axis(distances, rank, axis=1)
    found = numpy.isfinite(nearest)
    right = numpy.full((len(queries), k), -1)
    right[:, :rank.shape[1]] = numpy.where(found, name[rank], -1)
    shown = numpy.full(right.shape, numpy.inf)
    shown[:, :rank.shape[1]] = numpy.sqrt(nearest) if metric == "l2" else nearest
    unit = scale(base, queries, metric)

    assert truth["neighbors"].shape == right.shape
    assert ((truth["neighbors"] == -1) == (right == -1)).all()
    assert numpy.isinf(truth["distances"][right == -1]).all()
    there = right != -1
    off = numpy.abs(numpy.where(there, truth["distances"], 0) - numpy.where(there, shown, 0))
    slack = 0 if exact else CLOSE * unit
    assert (off <= 1e-9 * numpy.where(there, numpy.abs(shown), 1) + slack).all()
    assert (truth["duplicates"] == equal.sum(axis=1)).all()
    differ = numpy.argwhere(truth["neighbors"] != right)
    assert not exact or len(differ) == 0
    place = {int(n): i for i, n in enumerate(name)}
    for q, i in differ:
        a, b = distances[q, place[int(truth["neighbors"][q, i])]], nearest[q, i]
        assert abs(a - b) <= CLOSE * max(abs(b), unit[q, 0]), (q, i)
    for q in range(len(queries)):
        last = int(truth["neighbors"][q, -1])
        if last == -1:
            assert truth["ties"][q] == 0
            continue
        kth = distances[q, place[last]]
        least = (distances[q] == kth) if exact else bits(base) == bits(base[place[last]][None])
        least = least & numpy.isfinite(distances[q])
        most = numpy.abs(distances[q] - kth) <= (0 if exact else CLOSE * max(abs(kth), unit[q, 0]))
        assert least.sum() <= truth["ties"][q] <= most.sum(), q
