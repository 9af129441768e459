"""What budgets cost a daemon, and how soon they answer: CPU per span, checks under load, webhooks, parallel leases.

    python -m benchmarks.budgets [--part cpu] [--part check] [--part webhook] [--part leases] [--seconds 20]

Of every part the daemon has an embedded store. `cpu` compares 0, 1 and 20 budgets, and 20 that tell a webhook, in
alternation, for traces that come whole in one request and for long ones that come piece by piece. `check` asks 200
times a second what the same process could answer at once, beside rates of ingest; `/healthz` at the same rate tells
what the machine and the server add.
"""

import json
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from benchmarks.asking import Asking
from benchmarks.daemon import Measured, daemon
from benchmarks.ingest import one_round
from benchmarks.latency import post
from benchmarks.load import Figures, Shape, sender
from benchmarks.report import parser, spread, table, write
from tests.support.calls import Call, request
from tests.support.webhooks import SECRET, Received, Receiver, Reply, receiver

_PERIODS: Final = ("hour", "day", "week", "month", "24h", "7d", "30d")
_PER: Final[tuple[list[str], ...]] = ([], ["feature"], ["user"], ["model"], ["service", "environment"])
_WHO: Final = {"service": "support-agent", "model": "gpt-4o-mini-2024-07-18", "feature": "search", "user": "ada"}
_RATE = 200.0
_LOADS = (0, 1_000, 5_000, 15_000)
_SHAPES: Final = {
    "traces of 10 spans": Shape("http", 512),
    "200 traces, piece by piece": Shape("http", 512, traces=200),
}
_CAP_USD = 5
_PARALLEL = 1_000
_LEASE_USD = "0.01"
_BREACHES = 120
_BREACHES_A_SECOND = 5.0


def budgets(count: int) -> list[dict[str, Any]]:
    """So many budgets that never fill: calendars in several zones and windows, of everyone, each feature, user, ..."""
    zones = ("UTC", "America/New_York", "Asia/Kolkata")
    return [
        {
            "name": f"budget-{number}",
            "limit_usd": 10**9,
            "period": _PERIODS[number % len(_PERIODS)],
            "timezone": zones[number % 3] if len(_PERIODS[number % len(_PERIODS)]) > 3 else "UTC",
            "per": _PER[number % len(_PER)],
            "hard": True,
        }
        for number in range(count)
    ]


def settings(rules: list[dict[str, Any]], **more: Any) -> list[str]:
    """As values of `--set`."""
    return [f"{key}={json.dumps(value)}" for key, value in {"budgets": rules, **more}.items()]


# -- CPU ----------------------------------------------------------------------------------------------------------


def cpu(rounds: int, requests: int) -> Figures:
    """CPU us a span of the process tree, by shape and budgets."""
    found: Figures = {}
    with receiver() as hooks:
        ops = {"ops": {"url": hooks.url, "secret": SECRET, "allow_private": True}}
        telling = [{**rule, "webhooks": ["ops"]} for rule in budgets(20)]
        compared = {
            **{str(count): settings(budgets(count)) for count in (0, 1, 20)},
            "20 with webhooks": settings(telling, webhooks=ops),
        }
        for _ in range(rounds):
            for name, shape in _SHAPES.items():
                for which, values in compared.items():
                    figures = _cpu_round(shape, values, requests)
                    found.setdefault(name, {}).setdefault(which, []).append(figures["cpu_us_per_span"])
                    print(f"{name}, {which} budgets: {figures['cpu_us_per_span']:.1f} us/span", flush=True)
    rows = [
        [
            name,
            *(spread(costs) for costs in by_budgets.values()),
            f"{np.median(by_budgets['20']) / np.median(by_budgets['0']):.2f}",
        ]
        for name, by_budgets in found.items()
    ]
    print(table(["CPU us/span, budgets", *compared, "20 / none"], rows))
    return found


def _cpu_round(shape: Shape, values: list[str], requests: int) -> Figures:
    with daemon(values) as server, sender(shape) as load:
        one_round(server, load, shape, max(1, requests // 10))
        return one_round(server, load, shape, requests)


# -- checks -------------------------------------------------------------------------------------------------------


def checks(seconds: float, switch: list[str]) -> Figures:
    """Milliseconds until a check is answered, by rate of ingest."""
    found: Figures = {}
    with daemon([*settings(budgets(20)), *switch]) as server:
        for rate in _LOADS:
            for what, url, body in (
                ("healthz", f"{server.web}/healthz", None),
                ("check", f"{server.web}/api/v1/budgets/check", _WHO),
            ):
                found[f"{what} at {rate} spans/s"] = _under_load(server, rate, seconds, url, body)
    rows = [
        [name, figures["asked"], figures["failures"]]
        + [f"{figures[f'{kind}_p{part}']:.1f}" for kind, part in _QUANTILES]
        for name, figures in found.items()
    ]
    print(
        table(
            ["200 a second", "asked", "failed", "p50 ms", "p95", "p99", "max", "from sending p99", "sent late p99"],
            rows,
        )
    )
    return found


_QUANTILES: Final = (("ms", 50), ("ms", 95), ("ms", 99), ("ms", 100), ("answer_ms", 99), ("late_ms", 99))


def _under_load(server: Measured, rate: float, seconds: float, url: str, body: Any) -> Figures:
    if not rate:
        return Asking(url, body, rate=_RATE, seconds=seconds).figures()
    with sender(Shape("http", 100), "--seconds", str(seconds + 4), "--rate", str(rate)) as load:
        load.open(server.address("http"))
        load.start()
        time.sleep(2)
        figures = Asking(url, body, rate=_RATE, seconds=seconds).figures()
        sent = load.finish()
    return figures | {"spans_per_s": sent["acknowledged"] / sent["seconds"]}


# -- webhooks -----------------------------------------------------------------------------------------------------


def webhooks(rate: float) -> Figures:
    """Seconds from the acknowledgement of the span that breaches until the receiver has the event."""
    arrived: dict[str, float] = {}
    without_top: list[bool] = []

    def take(received: Received, _: int) -> Reply:
        event = received.verify()
        if event["type"] == "budget.breached" and event["data"]["budget"] == "tiny":
            arrived.setdefault(event["data"]["scope"]["feature"], time.monotonic())
            without_top.append(event["data"]["top"] is None)
        return Reply()

    tiny = {"name": "tiny", "limit_tokens": 1, "period": "day", "per": ["feature"], "webhooks": ["ops"]}
    with receiver() as hooks:
        hooks.reply = take
        ops = {"ops": {"url": hooks.url, "secret": SECRET, "allow_private": True}}
        with daemon(settings([*budgets(19), tiny], webhooks=ops)) as server:
            acknowledged = _breaching(server, rate)
            _wait(lambda: arrived.keys() >= acknowledged.keys(), hooks)
    taken = [arrived[feature] - at for feature, at in acknowledged.items()]
    p50, p99, most = (float(np.percentile(taken, part)) for part in (50, 99, 100))
    row = [len(taken), rate, *map(_two, (p50, p99, most)), sum(without_top)]
    print(table(["breaches", "spans/s", "p50 s", "p99 s", "max s", "without top"], [row]))
    figures = {"breaches": len(taken), "spans_per_s": rate, "p50_s": p50, "p99_s": p99, "max_s": most}
    return figures | {"without_top": sum(without_top)}


def _breaching(server: Measured, rate: float) -> dict[str, float]:
    """Spend over the limit of one feature after the other; when each was acknowledged."""
    acknowledged = {}
    options = ["--seconds", str(_BREACHES / _BREACHES_A_SECOND + 4), "--rate", str(rate)]
    with sender(Shape("http", 100), *options) as load:
        load.open(server.address("http"))
        load.start()
        time.sleep(2)
        begin = time.monotonic()
        for number in range(_BREACHES):
            time.sleep(max(0.0, begin + number / _BREACHES_A_SECOND - time.monotonic()))
            feature = f"feature-{number}"
            trace, span = secrets.randbits(120) + 1, secrets.randbits(60) + 1
            post(server, request([Call(trace, span, time.time_ns(), tokens=10, feature=feature)]))
            acknowledged[feature] = time.monotonic()
        load.finish()
    return acknowledged


def _wait(condition: Callable[[], bool], hooks: Receiver) -> None:
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not every event came; {len(hooks.received)} did")
        threading.Event().wait(0.05)


def _two(value: float) -> str:
    return f"{value:.2f}"


# -- leases -------------------------------------------------------------------------------------------------------


def leases() -> Figures:
    """A thousand leases at once against a cap that has room for half of them."""
    cap = {"name": "cap", "limit_usd": _CAP_USD, "period": "month", "hard": True}
    body = {**_WHO, "estimate_usd": _LEASE_USD}
    with daemon(settings([cap, *budgets(19)])) as server:
        url = f"{server.web}/api/v1/leases"
        figures = Asking(url, body, rate=0, count=_PARALLEL, connections=_PARALLEL).figures()
    granted = figures["allowed"]
    total = granted * float(_LEASE_USD)
    row = [_PARALLEL, granted, f"{total:.2f}", _CAP_USD, figures["failures"], f"{figures['ms_p100']:.0f}"]
    print(table(["leases at once", "granted", "sum USD", "cap USD", "failed", "all answered after ms"], [row]))
    return figures | {"granted_usd": total, "cap_usd": _CAP_USD}


def main() -> None:
    arguments = parser(__doc__)
    parts = ("cpu", "check", "webhook", "leases")
    arguments.add_argument("--part", action="append", choices=parts, help="only these; repeatable")
    arguments.add_argument("--seconds", type=float, default=20, help="of checks at each rate of ingest")
    arguments.add_argument("--rate", type=float, default=5_000, help="spans a second beside the breaches")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--requests", type=int, default=150, help="of 512 spans, a round of `cpu`")
    arguments.add_argument("--set", action="append", default=[], help="a setting, as KEY=VALUE; repeatable")
    options = arguments.parse_args()
    figures: Figures = {"benchmark": "budgets"}
    for part in options.part or parts:
        match part:
            case "cpu":
                figures[part] = cpu(options.rounds, options.requests)
            case "check":
                figures[part] = checks(options.seconds, options.set)
            case "webhook":
                figures[part] = webhooks(options.rate)
            case "leases":
                figures[part] = leases()
    write(options, figures)


if __name__ == "__main__":
    main()
