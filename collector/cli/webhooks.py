"""`spanmeter webhooks`: what was sent, a test, and sending again.

It works on the outbox's file, also while the daemon runs, which looks for work every few seconds.
"""

import argparse
import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from collector.cli.options import config_of
from collector.cli.times import moment
from collector.config import Config
from collector.errors import ConfigError, Reason, Rejected, StartError
from collector.model.budgets import BudgetEvent, EventType
from collector.model.clock import SystemClock
from collector.webhooks.attempt import Made, attempt
from collector.webhooks.client import Client
from collector.webhooks.endpoint import Endpoint, endpoints
from collector.webhooks.outbox import FILE, Outbox
from collector.webhooks.overview import Summary
from collector.webhooks.payloads import render
from collector.webhooks.retries import Outcome


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add `webhooks` to the command's parser; `common` has the options every command takes."""
    webhooks = commands.add_parser("webhooks", help="Who receives events, and whether it worked.")
    actions = webhooks.add_subparsers(required=True, metavar="COMMAND")
    listing = actions.add_parser("list", parents=[common], help="Endpoints, and the last deliveries.")
    listing.add_argument("--limit", type=int, default=20, metavar="N", help="deliveries to show; default: 20")
    listing.set_defaults(command=_list)
    test = actions.add_parser("test", parents=[common], help="Send a webhook.test event now, and print the answer.")
    test.add_argument("names", nargs="*", metavar="NAME", help="endpoints; default: all")
    test.set_defaults(command=_test)
    replay = actions.add_parser("replay", parents=[common], help="Send events again, with the same ids.")
    replay.add_argument("events", nargs="*", metavar="EVENT_ID", help="events, as `list` shows them")
    replay.add_argument("--failed", action="store_true", help="what was not delivered")
    replay.add_argument("--since", type=moment, help="events decided since, e.g. 2026-11-01 (UTC)")
    replay.add_argument("--endpoint", metavar="NAME", help="only to this endpoint")
    replay.set_defaults(command=_replay)
    enable = actions.add_parser("enable", parents=[common], help="Send again to an endpoint that answered 410 Gone.")
    enable.add_argument("name", metavar="NAME", help="the endpoint")
    enable.set_defaults(command=_enable)


def _list(options: argparse.Namespace) -> int:
    config = config_of(options)
    known = endpoints(config)
    none = _none_configured(options)
    if not _path(config).exists():
        print("\n".join(_endpoint_line(endpoint, {}) for endpoint in known.values()) or none)
        return 0
    outbox = _outbox(config)
    try:
        disabled, latest = outbox.endpoints.disabled(), outbox.overview.latest(options.limit)
    finally:
        outbox.close()
    print("\n".join(_endpoint_line(endpoint, disabled) for endpoint in known.values()) or none)
    print("\n" + ("\n".join(map(_delivery_line, latest)) or "Nothing has been sent."))
    return 0


def _endpoint_line(endpoint: Endpoint, disabled: Mapping[str, tuple[int, str]]) -> str:
    state = "enabled"
    if endpoint.name in disabled:
        at, why = disabled[endpoint.name]
        state = f"DISABLED since {_time(at)}: {why} `spanmeter webhooks enable {endpoint.name}` sends to it again."
    return f"{endpoint.name}  {endpoint.address}  {endpoint.template}  {state}"


def _delivery_line(delivery: Summary) -> str:
    about = f"{_time(delivery.queued_at)}  {delivery.event_id}  {delivery.type}  {_short(delivery.budget)}"
    tries = f"{delivery.attempts} attempt{'' if delivery.attempts == 1 else 's'}"
    line = f"{about}  to {delivery.endpoint}: {delivery.state} after {tries}"
    if delivery.error:
        line += f"; {delivery.error}"
    if delivery.state == "pending" and delivery.attempts:
        line += f" Next attempt: {_time(delivery.next_at)}"
    return line


def _test(options: argparse.Namespace) -> int:
    config = config_of(options)
    known = _some(options, config)
    for name in options.names:
        _check_known(name, known)
    outbox = _outbox(config, create=True)
    try:
        made = [_send_test(outbox, known[name]) for name in options.names or known]
    finally:
        outbox.close()
    return 0 if all(one.outcome is Outcome.DELIVERED for one in made) else 1


def _send_test(outbox: Outbox, endpoint: Endpoint) -> Made:
    clock, client = SystemClock(), Client()
    event = BudgetEvent(
        id=f"evt_{os.urandom(16).hex()}",
        type=EventType.TEST,
        budget="",
        created_ns=clock.time_ns(),
        data={"message": f"A test of the webhook {endpoint.name}, sent by `spanmeter webhooks test`."},
        webhooks=(endpoint.name,),
    )
    body = render(event, endpoint.template)
    try:
        made = asyncio.run(attempt(client, clock, endpoint, event.id, body))
    finally:
        client.close()
    outbox.note_test(event, endpoint, body, made.log)
    answer = made.log.error or f"{endpoint.address} answered {made.log.status}."
    print(f"{endpoint.name}: {answer} ({made.log.duration // 10**6} ms)")
    if made.log.response:
        print(f"  {_short(made.log.response)}")
    return made


def _replay(options: argparse.Namespace) -> int:
    config = config_of(options)
    if not (options.events or options.failed) and options.since is None:
        raise ConfigError("Say what to send again: EVENT_ID, --failed or --since.")
    if options.endpoint:
        known = _some(options, config)
        _check_known(options.endpoint, known)
    outbox = _outbox(config)
    try:
        for event in options.events:
            if not outbox.has(event):
                raise Rejected(
                    Reason.NOT_FOUND,
                    f"The outbox has no event {_short(event)}; `spanmeter webhooks list` shows what it has.",
                )
        count = outbox.deliveries.replay(
            options.events or None, endpoint=options.endpoint, since=options.since, failed=options.failed
        )
    finally:
        outbox.close()
    print(f"{count} deliveries are queued; a running daemon takes them up within seconds.")
    return 0


def _enable(options: argparse.Namespace) -> int:
    config = config_of(options)
    known = _some(options, config)
    _check_known(options.name, known)
    outbox = _outbox(config)
    try:
        outbox.endpoints.enable(options.name)
    finally:
        outbox.close()
    print(f"{options.name} is enabled; a running daemon sends what was held for it.")
    return 0


def _some(options: argparse.Namespace, config: Config) -> Mapping[str, Endpoint]:
    """The endpoints that are configured. Raises ConfigError when there is none."""
    known = endpoints(config)
    if not known:
        raise ConfigError(_none_configured(options) + (" Add one to `webhooks:`." if options.config else ""))
    return known


def _none_configured(options: argparse.Namespace) -> str:
    if options.config:
        return "No webhook is configured."
    return (
        "Without --config no webhook is configured: which there are is told by the file that `serve` was started with, "
        "and not by the data directory. Name it with --config FILE."
    )


def _path(config: Config) -> Path:
    return config.directory / FILE


def _outbox(config: Config, *, create: bool = False) -> Outbox:
    path = _path(config)
    if not create and not path.exists():
        raise StartError(f"There is no {FILE} in {config.directory}; is this the right data directory?")
    return Outbox(path, SystemClock())


def _check_known(name: str, known: Mapping[str, Endpoint]) -> None:
    if name not in known:
        raise ConfigError(f"No webhook is named {_short(name)}; configured are: {', '.join(known) or 'none'}.")


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _short(text: str) -> str:
    """Text of others on one line of a terminal, without control characters."""
    printable = "".join(character if character.isprintable() else " " for character in text[:200])
    return printable + ("..." if len(text) > 200 else "")
