"""Under a sanitizer about half of the cases of parametrized tests run, of every value some."""
import zlib

from program import SLOW


def left_out(item):
    return hasattr(item, "callspec") and zlib.crc32(item.name.encode()) % 2


def pytest_collection_modifyitems(config, items):
    if SLOW > 1:
        config.hook.pytest_deselected(items=[item for item in items if left_out(item)])
        items[:] = [item for item in items if not left_out(item)]
