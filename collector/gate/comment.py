"""A gate's result as Markdown for a comment on a pull request: found again by its marker, cut to size."""

import re
from typing import Final

from collector.gate.compare import Compared, value_of
from collector.gate.decide import Decided, passes, why
from collector.gate.policy import MetricConfig
from collector.gate.words import change, count, detectable, headline, interval, level, warnings

MARKER: Final = "<!-- spanmeter gate -->"
MAX_CHARACTERS: Final = 60_000  # GitHub takes 65,536, GitLab more
_MAX_CASES: Final = 20
_MAX_REASON: Final = 600
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|<>~&])")
_MENTION = re.compile(r"@(?=\w)")


def comment(decided: Decided, trace_link: str = "", artifact: str = "the gate's JSON result") -> str:
    """The comment. `trace_link` is what comes before a trace id in links."""
    parts = [MARKER, f"### spanmeter gate: {plain(headline(decided))}"]
    if decided.metrics:
        parts.append(_table(decided))
    parts += [f"> {plain(warning)}" for warning in warnings(decided)]
    parts += _problems(decided)
    parts += _failing(decided, trace_link)
    parts += _dearer(decided)
    parts.append(_money(decided))
    text = "\n\n".join(parts) + "\n"
    if len(text) <= MAX_CHARACTERS:
        return text
    note = f"\n\n_Cut here; the whole is in {plain(artifact)}._\n"
    return _closed(text[: MAX_CHARACTERS - len(note) - 8]) + note


def plain(text: str) -> str:
    """Text of a trace within Markdown: no markup, no link, no mention, one line."""
    one_line = " ".join(text.split())
    unlinked = one_line.replace("://", ":\u200b//").replace("www.", "www\u200b.")
    return _MENTION.sub("@\u200b", _MARKUP.sub(r"\\\1", unlinked))


def _table(decided: Decided) -> str:
    head = "| metric | cases | base | head | change | 95 % interval | could have seen | outcome |"
    return "\n".join(
        [head, "|---|---|---|---|---|---|---|---|", *(_row(one, decided.title(one.config)) for one in decided.metrics)]
    )


def _row(one: Compared, title: str) -> str:
    cases = f"{one.cases}" + (f" ({one.without} without)" if one.without else "")
    turned = f" ({one.improved} better, {one.worsened} worse)"
    cells = (
        plain(title),
        cases + turned,
        level(one, one.old),
        level(one, one.new),
        change(one),
        interval(one),
        detectable(one),
        f"**{one.conclusion}**" if one.config.gating else f"{one.conclusion} (not gating)",
    )
    return f"| {' | '.join(cells)} |"


def _problems(decided: Decided) -> list[str]:
    found = []
    for check in decided.checks:
        if not check.passed:
            lines = [f"- {plain(problem[:_MAX_REASON])}" for problem in check.problems[:_MAX_CASES]]
            more = len(check.problems) - _MAX_CASES
            found.append("\n".join([f"**{check.name}**", "", *lines, *([f"- and {more} more"] if more > 0 else [])]))
    return found


def _failing(decided: Decided, trace_link: str) -> list[str]:
    if not decided.newly_failing:
        return []
    found = [f"**Newly failing: {count(len(decided.newly_failing), 'case')}**"]
    for name in decided.newly_failing[:_MAX_CASES]:
        trials = decided.new.cases[name]
        link = f" ([trace]({trace_link}{trials[0].trace_id}))" if trace_link else ""
        found.append(f"{plain(name)}{link}\n\n{fenced(why(trials, decided.uncalibrated)[:_MAX_REASON])}")
    more = len(decided.newly_failing) - _MAX_CASES
    return [*found, *([f"and {more} more"] if more > 0 else [])]


def _dearer(decided: Decided) -> list[str]:
    """Cost per case beside the verdict, the dearest changes first."""
    if decided.old is None:
        return []
    cost = MetricConfig(metric="cost_usd")
    both = sorted(set(decided.old.cases) & set(decided.new.cases))
    sides = [(name, value_of(cost, decided.old.cases[name]), value_of(cost, decided.new.cases[name])) for name in both]
    known = [(name, before, after) for name, before, after in sides if before and after is not None]
    known.sort(key=lambda case: case[1] - case[2])
    rows = [
        f"| {plain(name)} | {_word(passes(decided.old.cases[name]))} | {_word(passes(decided.new.cases[name]))} "
        f"| ${before:.6f} | ${after:.6f} | {100 * (after / before - 1):+.1f} % |"
        for name, before, after in known[:_MAX_CASES]
    ]
    if not rows:
        return []
    head = "| case | base | head | cost, base | cost, head | change |\n|---|---|---|---|---|---|"
    table = "\n".join([head, *rows])
    return [f"<details><summary>Cost per case, of {len(known)} those that rose most</summary>\n\n{table}\n\n</details>"]


def _word(passed: bool | None) -> str:
    return {True: "pass", False: "fail", None: "-"}[passed]


def fenced(text: str) -> str:
    """Text of a trace as it is, in a fence that it cannot end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _money(decided: Decided) -> str:
    costs = [
        trial.figures["cost_usd"] for t in decided.new.cases.values() for trial in t if "cost_usd" in trial.figures
    ]
    shown = f"${sum(costs) / len(costs):.6f} a run over {count(len(costs), 'run')}" if costs else "not known"
    return f"Cost: {shown}. Judging cost ${decided.new.judge_usd:.6f}."


def _closed(text: str) -> str:
    """A text that was cut, with its last fence closed."""
    whole = text.rsplit("\n", 1)[0]
    fences = re.findall(r"^(`{3,})", whole, re.MULTILINE)
    return whole + (f"\n{fences[-1]}" if len(fences) % 2 else "")
