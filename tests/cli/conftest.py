"""Under a sanitizer every other case of a test runs: cases differ in data more than in code."""
from program import SLOW


def pytest_collection_modifyitems(config, items):
    if SLOW == 1:
        return
    seen, kept = {}, []
    for item in items:
        place = seen[item.originalname] = seen.get(item.originalname, -1) + 1
        if place % 2 == 0:
            kept.append(item)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
