"""The web application of a desk on a port of its own."""

import contextlib
from collections.abc import Iterator
from typing import Any

from collector.store import Store
from tests.support.budgets import Desk
from tests.support.webserver import Web, serving
from tests.support.webservices import application, no_store, services


@contextlib.contextmanager
def served(desk: Desk, tokens: list[dict[str, Any]] | None = None, store: Store | None = None) -> Iterator[Web]:
    """With the store of the test, where it has one; `tokens` as in the settings, by default none is needed."""
    parts = services(desk.enforcement, desk.clock, store=(lambda: store) if store else no_store)
    with serving(application(parts, tokens)) as web:
        yield web
    parts.jobs.close()
