"""The client for Python against the real server."""

import asyncio
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from collector.model.money import picodollars
from collector.spending.enforcement import Run
from spanmeter import LEASE_ATTRIBUTE, Budget, BudgetError, BudgetExceeded, LeaseSpanProcessor
from tests.support.budgets import CHECKER, FEATURES, MONTH, Desk, checks_of
from tests.support.ports import free_ports
from tests.support.webserver import Web, serving

README = Path(__file__).parents[2] / "clients" / "python" / "README.md"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, MONTH, FEATURES)
    yield desk
    desk.close()


@pytest.fixture
def web(desk: Desk) -> Iterator[Web]:
    with serving(checks_of(desk)) as web:
        yield web


@pytest.fixture
def budget(web: Web) -> Budget:
    return Budget(web.url, CHECKER)


def held(desk: Desk) -> int:
    decision = desk.enforcement.check(Run("default", {}))
    assert decision.budget
    return decision.budget.reserved


def test_a_run_holds_its_estimate_and_then_what_it_cost(desk: Desk, budget: Budget) -> None:
    with budget.run(service="shop", feature="checkout", estimate_usd="0.75", attributes={"a": "b"}) as lease:
        assert lease.attributes == {"spanmeter.lease": lease.id}
        assert list(desk.enforcement.open_leases()) == [lease.id]
        too_much = budget.run(service="shop", feature="checkout", estimate_usd=Decimal("0.5"))
        with pytest.raises(BudgetExceeded, match=r"has 0\.25 USD of 1 USD left") as caught, too_much:
            pytest.fail("entered a run that was refused")
        assert caught.value.decision["budget"]["name"] == "features"
        assert caught.value.retry_after == 10
        lease.settle(usd="0.25")
    assert held(desk) == picodollars("0.25")
    desk.clock.advance(60)
    assert list(desk.enforcement.open_leases()) == []


def test_a_run_that_fails_is_held_until_its_spans_had_time_to_arrive(desk: Desk, budget: Budget) -> None:
    with pytest.raises(ZeroDivisionError), budget.run(estimate_usd="6"):
        raise ZeroDivisionError
    assert held(desk) == picodollars("6")
    desk.clock.advance(59)
    assert held(desk) == picodollars("6")
    desk.clock.advance(1)
    assert held(desk) == 0


def test_spans_of_a_run_carry_its_lease(budget: Budget) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(LeaseSpanProcessor())
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = provider.get_tracer("test")
    with budget.run(estimate_usd="1") as lease, tracer.start_as_current_span("agent"):
        assert baggage.get_baggage(LEASE_ATTRIBUTE) == lease.id
        tracer.start_span("chat").end()
    assert baggage.get_baggage(LEASE_ATTRIBUTE) is None
    tracer.start_span("after").end()
    carried = {span.name: (span.attributes or {}).get(LEASE_ATTRIBUTE) for span in spans.get_finished_spans()}
    assert carried == {"agent": lease.id, "chat": lease.id, "after": None}
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_runs_of_asyncio_do_not_mix_their_leases(desk: Desk, budget: Budget) -> None:
    async def one() -> tuple[str, object]:
        async with budget.arun(estimate_usd="1") as lease:
            await asyncio.sleep(0)
            return lease.id, baggage.get_baggage(LEASE_ATTRIBUTE)

    async def several() -> list[tuple[str, object]]:
        return await asyncio.gather(*(one() for _ in range(5)))

    pairs = asyncio.run(several())
    assert len({lease_id for lease_id, _ in pairs}) == 5
    assert all(lease_id == carried for lease_id, carried in pairs)


def test_check_sets_nothing_aside(desk: Desk, budget: Budget) -> None:
    assert budget.check(estimate_usd="10")["allowed"] is True
    decision = budget.check(estimate_usd="10.01", model="gpt-5", feature=None)
    assert (decision["allowed"], decision["reason"]) == (False, "over_limit")
    assert held(desk) == 0


def test_wrong_questions_are_errors_also_when_failing_open(web: Web) -> None:
    lenient = Budget(web.url, CHECKER, fail_open=True)
    with pytest.raises(BudgetError, match="'featur' is not a known field; did you mean feature"):
        lenient.check(featur="x")
    with pytest.raises(BudgetError, match="A known token is required"):
        Budget(web.url, "wrong", fail_open=True).check()
    with pytest.raises(ValueError, match="'file:///etc/passwd' is not an http:// or https:// URL"):
        Budget("file:///etc/passwd")


def test_no_answer_is_an_error_unless_failing_open() -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(BudgetError, match=f"{url} did not answer"), Budget(url).run(estimate_usd="1"):
        pytest.fail("entered a run without an answer")
    with Budget(url, fail_open=True).run(estimate_usd="1") as lease:
        assert (lease.id, lease.attributes, lease.decision["allowed"]) == ("", {}, True)
        assert baggage.get_baggage(LEASE_ATTRIBUTE) is None


def test_answers_of_something_else_are_no_decisions() -> None:
    async def broken(_: Request) -> Response:
        return Response("<html>", 503)

    async def page(_: Request) -> Response:
        return Response("<html>")

    async def elsewhere(_: Request) -> Response:
        return RedirectResponse("http://127.0.0.1:9/")

    for answer, sentence in ((page, "is not spanmeter's web port"), (elsewhere, "HTTP 307"), (broken, "503")):
        with serving(Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])) as web:
            with pytest.raises(BudgetError, match=sentence):
                Budget(web.url, "secret").check()
            if answer is broken:
                assert Budget(web.url, fail_open=True).check()["allowed"] is True


def test_the_example_of_the_readme(desk: Desk, web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    """As printed, but for where the daemon is; run once with room, once without."""
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    here = example.replace("http://localhost:8080", web.url).replace("spm_...", CHECKER)
    carried: list[dict[str, str]] = []
    written: dict[str, Any] = {"run_agent": carried.append}
    exec(here, written)
    assert carried == [{LEASE_ATTRIBUTE: lease} for lease in desk.enforcement.open_leases()]
    assert len(carried) == 1
    desk.spend("9.99")
    exec(here, written)
    assert len(carried) == 1
    assert re.match(r"The budget 'month' has .* Try again in \d+ s\.\n", capsys.readouterr().out)
