"""Programs of users as evaluators: a run as JSON in, a verdict as JSON out, in a process that has no secrets and little
time, memory and space.
"""

import json
import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from collector.config.checks import Command
from collector.evals.finding import Finding, error, found
from collector.evals.subject import Subject
from collector.model.evaluations import EvalStatus
from collector.model.json_text import json_bytes
from collector.model.money import decimal_text
from collector.runs import Action, Round, Span

_MAX_OUTPUT: Final = 1024 * 1024
_MAX_FILES: Final = 256
_MAX_REASON: Final = 20_000
_MAX_LABEL: Final = 200
_ERROR: Final = "command"
_WORDS: Final = frozenset({"verdict", "score", "label", "reason"})


def check_command(check: Command, subject: Subject) -> Finding:
    """What a program finds: `{"verdict": "pass" or "fail"}`, or `{"score": 0.5}`; `reason` and `label` beside it.

    One that ends with another code than 0, takes too long, or answers anything else is an error.
    """
    with tempfile.TemporaryDirectory(prefix="spanmeter-eval-") as directory:
        try:
            code, output, problems = _run(check, json_bytes(told(subject)), Path(directory))
        except subprocess.TimeoutExpired:
            return error(_ERROR, f"The program took longer than {check.timeout:g} s.")
        except OSError as problem:
            return error(_ERROR, f"The program {check.argv[0]!r} cannot be started: {problem.strerror}.")
    if code:
        said = problems.strip().splitlines()[-1:] or ["It said nothing."]
        return error(_ERROR, f"The program ended with {_end(code)}: {said[0][:500]}")
    try:
        return _finding(json.loads(output, parse_constant=_refuse))
    except (ValueError, RecursionError) as problem:
        return error(_ERROR, f"The program's answer is no verdict: {str(problem)[:300]}")


def told(subject: Subject) -> dict[str, Any]:
    """What a program is told: the run, and the span of it that is judged."""
    run, output = subject.run, subject.output
    return {
        "version": 1,
        "span_id": subject.span.span_id if subject.span else None,
        "output": output.text if output else None,
        "cost_usd": None if subject.unpriced or run.cost is None else decimal_text(run.cost),
        "system_prompt": run.system_prompt.text if run.system_prompt else None,
        "tools": [tool.name for tool in run.tools],
        "rounds": [_round(one) for one in run.rounds],
        "spans": [_span(span) for span in run.spans],
    }


def _round(one: Round) -> dict[str, Any]:
    return {
        "number": one.number,
        "span_id": one.call.span.span_id if one.call else None,
        "model": one.answered_model or one.requested_model,
        "input": [{"role": message.role, "text": message.text} for message in one.messages.input],
        "answer": one.answer,
        "finish_reason": one.finish_reason,
        "requests": [{"id": asked.id, "name": asked.name, "arguments": asked.arguments} for asked in one.requests],
        "actions": [_action(action) for action in one.actions],
    }


def _action(action: Action) -> dict[str, Any]:
    return {
        "span_id": action.span.span_id,
        "name": action.name,
        "arguments": action.arguments,
        "result": action.result,
        "error": action.error,
    }


def _span(span: Span) -> dict[str, Any]:
    return {
        "span_id": span.span_id,
        "parent_span_id": span.parent_id,
        "name": span.name,
        "kind": span.kind,
        "operation": span.operation,
        "error": span.error,
        "start_unix_nano": str(span.start),
        "duration_nanoseconds": span.end - span.start,
        "input": span.input,
        "output": span.output,
        "cost_usd": None if span.cost is None else decimal_text(span.cost),
    }


def _run(check: Command, told_it: bytes, directory: Path) -> tuple[int, bytes, str]:
    """Exit code, output, and what went to its errors. Raises OSError, TimeoutExpired."""
    given, answered, failed = (directory / name for name in ("input.json", "output.json", "errors.txt"))
    given.write_bytes(told_it)
    home = directory / "home"
    home.mkdir()
    with given.open("rb") as source, answered.open("wb") as target, failed.open("wb") as problems:
        process = subprocess.Popen(  # noqa: S603 - what the settings name, and no shell
            check.argv,
            stdin=source,
            stdout=target,
            stderr=problems,
            cwd=home,
            env=_environment(home),
            start_new_session=True,
            preexec_fn=lambda: _limit(check),  # noqa: PLW1509 - no other thread of this process holds a lock
        )
        try:
            code = process.wait(check.timeout)
        finally:
            _end_all(process)
    return code, _beginning(answered), _beginning(failed).decode("utf-8", "replace")


def _environment(home: Path) -> Mapping[str, str]:
    """Nothing of ours but where programs are: the daemon's environment has keys and tokens."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8"}


def _limit(check: Command) -> None:
    seconds = int(check.timeout) + 1
    for what, limit in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, check.max_memory),
        (resource.RLIMIT_FSIZE, _MAX_OUTPUT),
        (resource.RLIMIT_NOFILE, _MAX_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (allowed, allowed))


def _end_all(process: "subprocess.Popen[bytes]") -> None:
    """End what it started too: all of its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_OUTPUT)


def _end(code: int) -> str:
    if code > 0:
        return f"exit code {code}"
    try:
        return f"the signal {signal.Signals(-code).name}"
    except ValueError:
        return f"the signal {-code}"


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is none of JSON")


def _finding(answer: Any) -> Finding:
    """Raises ValueError for what is no verdict."""
    if not isinstance(answer, dict):
        raise ValueError("it is no JSON object.")  # noqa: TRY004 - as the parser's
    if unknown := sorted(answer.keys() - _WORDS):
        raise ValueError(f"it has {unknown[0][:60]!r}; it may have {', '.join(sorted(_WORDS))}.")
    verdict, score = answer.get("verdict"), answer.get("score")
    if verdict not in ("pass", "fail", None):
        raise ValueError(f"its verdict is {str(verdict)[:60]!r}, not pass or fail.")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float)):
        raise ValueError("its score is no number.")
    if score is not None and not 0 <= score <= 1:
        raise ValueError("its score is not between 0 and 1.")
    if verdict is None and score is None:
        raise ValueError("it has neither verdict nor score.")
    reason, label = (_text(answer, name, most) for name, most in (("reason", _MAX_REASON), ("label", _MAX_LABEL)))
    given = None if score is None else float(score)
    if verdict is None:
        return Finding(EvalStatus.OK, score=given, reason=reason, label=label)
    return replace(found(verdict == "pass", reason, (), given), label=label)


def _text(answer: Mapping[str, Any], name: str, most: int) -> str:
    text = answer.get(name, "")
    if not isinstance(text, str):
        raise ValueError(f"its {name} is no text.")  # noqa: TRY004 - as the parser's
    return text[:most]
