from collections.abc import Iterator

import pytest

from tests.support.daemon import Daemon, running
from tests.support.witness import warm_up


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Default settings, shared by the attacks of one file; it must be alive at the end of them."""
    with running(tmp_path_factory.mktemp("hostile")) as started:
        warm_up(started)
        yield started
