"""What holds for every test: array shapes and types are checked while the first case of each test runs.

Checking every case would find little more, and took a quarter of the suite's time.
"""

from collections.abc import Iterator

import jaxtyping
import pytest

_checked: set[str] = set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    test = item.nodeid.partition("[")[0]
    jaxtyping.config.update("jaxtyping_disable", test in _checked)
    _checked.add(test)
    return (yield)
