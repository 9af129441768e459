"""Setting a program up with nothing but a browser: its settings to copy, and what has arrived of it since."""

from collections.abc import Sequence
from typing import Any, Final

from collector.connect.editing import shown
from collector.connect.findings import arrived_of, calls_of, is_complete, problems, signals_of
from collector.connect.programs import Program, programs
from collector.errors import Reason, Rejected
from collector.model.arrivals import ArrivedService
from collector.model.times import unix_nano
from collector.web.arrivals import arrived
from collector.web.pages.page import Asked, Shown
from collector.web.times import rfc3339

_DEFAULT_URL: Final = "http://127.0.0.1:4318"
_SERVICE: Final = "my-agent"
_TOKEN: Final = "TOKEN"  # noqa: S105 - what stands where one is to be put


async def page(asked: Asked) -> Shown:
    """Raises Rejected for a program that is not known, and for a `since` that is no time."""
    name = asked.query.get("program", "")
    choices = [
        (one.title, "/connect" if one.name == name else f"/connect?program={one.name}", one.name == name)
        for one in programs().values()
    ]
    if not name:
        return Shown(
            "connect.html", "Connect a program", context={"choices": choices, "program": None}, modules=("views",)
        )
    program = programs().get(name)
    if program is None:
        raise Rejected(Reason.NOT_FOUND, f"There is no program {name[:60]!r} here.")
    facts = asked.services.facts() if asked.services.facts else None
    http, needs_token = (facts.otlp_url, facts.needs_token) if facts else (_DEFAULT_URL, False)
    content = asked.query.get("content") == "1"
    since = _since(asked)
    found, refused = await arrived(asked.services, asked.principal, since) if since else ([], [])
    mine = arrived_of(program, found)
    again = asked.without(since=rfc3339(since or asked.now))
    context = {
        "choices": choices,
        "program": program,
        "blocks": _blocks(program, program.wanted(http, _TOKEN if needs_token else "", _SERVICE, content=content)),
        "needs_token": needs_token,
        "content": content,
        "toggle": asked.without("content") if content else asked.without(content="1"),
        "since": since or asked.now,
        "ask": f"/api/v1/arrivals?since={rfc3339(since or asked.now)}",
        "again": again,
        "seen": sum(_things(one) for one in found) + len(refused),
        "arrived": _rows(mine),
        "complete": is_complete(mine),
        "problems": list(problems(program, mine, refused, http, content=content)) if mine or refused else [],
    }
    return Shown("connect.html", f"Connect {program.title}", context=context, modules=("connect",))


def _blocks(program: Program, wanted: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What is to be copied: an id, where it belongs, and the text; in the order in which it is done."""
    steps = (
        ("install", "Install", program.install),
        ("settings", program.shown_file, shown(program.format, wanted)),
        ("code", "In the program", program.code),
        ("run", "Run", program.run_with(f"./{program.shown_file}")),
    )
    return [(name, title, text) for name, title, text in steps if text]


def _rows(found: Sequence[ArrivedService]) -> list[dict[str, str]]:
    return [
        {
            "name": one.name or "(no name)",
            "signals": signals_of(one),
            "calls": calls_of(one) if one.calls else "",
            "run": one.run,
        }
        for one in found
    ]


def _things(one: ArrivedService) -> int:
    """What the browser compares, to see whether more has arrived."""
    return one.spans + one.log_records + one.metric_points + one.calls


def _since(asked: Asked) -> int:
    """Unix nanoseconds; 0 for who has just come."""
    text = asked.query.get("since", "")
    try:
        return unix_nano(text) if text else 0
    except ValueError:
        raise Rejected(Reason.MALFORMED, f"since={text[:40]!r} is not a time.") from None
