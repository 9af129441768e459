"""Which model call caused an action, and which of its requests the action answers."""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter

from collector.model.facts import Kind
from collector.runs.actions import Action
from collector.runs.calls import Call
from collector.runs.messages import ToolCall
from collector.runs.names import keys, lookups, may_agree, starts_agent
from collector.runs.span import Span
from collector.runs.toolspans import arguments, call_id, same_arguments
from collector.runs.tree import OWNERS, Tree

_start = attrgetter("start")
# With how many requests of a call an action's arguments are compared, and with those of how many calls near it in time.
_MAX_COMPARED = 64
_MAX_CALLS = 8
# `call_1`, `fc_1` and `toolu_1`: the id of one request as two layers write it.
_ID_PREFIX = re.compile(r"^(?:call|fc|ctc|toolu|tooluse|tool_call|tool)[_-]")
_WORDS = re.compile(r'"(?:content|text)"\s*:\s*"[^"]')
_STOPPED = frozenset({"stop", "end_turn", "stop_sequence", "length", "max_tokens", "content_filter"})


@dataclass(slots=True, eq=False)
class Request:
    """One tool call in an answer. `met` are the actions that answer it: none yet, one, or the attempts."""

    cause: "Cause"
    asked: ToolCall
    met: list[Action] = field(default_factory=list)

    @property
    def start(self) -> int:
        return self.cause.start


@dataclass(slots=True, eq=False)
class Cause:
    """A model call as what may have caused actions. `owner` is the agent or tool span it was made in.

    `end` is that of the report that ended first: a wrapper may outlast the call. `waiting` are the requests that no
    action has met, by `names.keys`, each list in the order of the answer.
    """

    call: Call
    owner: str
    requests: list[Request] = field(init=False)
    waiting: dict[str, list[Request]] = field(init=False)
    start: int = field(init=False)
    end: int = field(init=False)

    def __post_init__(self) -> None:
        self.requests = [Request(self, asked) for asked in self.call.requests]
        self.waiting = {}
        for request in self.requests:
            for key in keys(request.asked.name):
                self.waiting.setdefault(key, []).append(request)
        self.start = self.call.outermost.start
        self.end = min([report.end for report in self.call.reports])

    @property
    def may_have_asked(self) -> bool:
        """Whether the answer is missing or cut, or asks for tools and does not tell which."""
        if self._answers_in_words:
            return self._asked_for_tools and not self.call.requests
        return not self.call.output or (not self.call.requests and (self._asked_for_tools or self._is_cut))

    @property
    def stopped(self) -> bool:
        """Whether the call is known to have ended without asking for tools."""
        return self.call.text("finish_reason").lower() in _STOPPED

    @property
    def _asked_for_tools(self) -> bool:
        return "tool" in self.call.text("finish_reason").lower()

    @property
    def _answers_in_words(self) -> bool:
        """Whether a report has an answer of some words in whole JSON. Most answers need not be read to know."""
        texts = [report.output for report in self.call.reports]
        return any(text.startswith(("[{", "{")) and text.endswith(("]", "}")) and _WORDS.search(text) for text in texts)

    @property
    def _is_cut(self) -> bool:
        """Whether the answer is recorded as JSON that does not end."""
        text = self.call.output[-1].text.strip()
        return text.startswith(("[{", '{"')) and not text.endswith(("]", "}"))


class Causes:
    """The calls of a run, `found` in order of time."""

    def __init__(self, found: Sequence[Cause], tree: Tree) -> None:
        self._tree = tree
        self._by_span = {report.span_id: cause for cause in found for report in cause.call.reports}
        # Each list in order of time.
        self._by_owner: dict[str, list[Cause]] = defaultdict(list)
        self._by_call_id: dict[str, list[Request]] = defaultdict(list)
        # The calls that still wait for a tool, by owner and key of its name.
        self._waiting: dict[str, dict[str, list[Cause]]] = defaultdict(lambda: defaultdict(list))
        # Ids of requests that an action answers and whose clock is behind the call's.
        self._behind: set[str] = set()
        self._ids_are_shared = False
        for cause in found:
            self._by_owner[cause.owner].append(cause)
            for key in cause.waiting:
                self._waiting[cause.owner][key].append(cause)
            for request in cause.requests:
                for identity in _identities(request.asked.id):
                    self._by_call_id[identity].append(request)

    def asks(self, owner: str, span: Span) -> bool:
        """Whether a call made in `owner` asks for the tool, or the agent, that `span` is, or may have without an id."""
        if owner in self._waiting and any(True for _ in self._keys(owner, span)):
            return True
        before = (cause for cause in self._by_owner.get(owner, ()) if cause.start <= span.start)
        return not call_id(span) and any(cause.may_have_asked for cause in before)

    def match(self, acting: Iterable[Action]) -> Iterator[tuple[Action, Cause | None, ToolCall | None]]:
        """Each of the actions, which are in order of time, with its call and its request.

        Actions with the id of a request come first, so that no other takes what is theirs.
        """
        acting = list(acting)
        identified = [self._by_id(action) for action in acting]
        self._ids_are_shared = any(identified)
        for action, request in zip(acting, identified, strict=True):
            if request:
                yield action, request.cause, request.asked
            else:
                cause, answered = self._without_id(action)
                yield action, cause, self._meet(answered, action) if answered else None

    def _by_id(self, action: Action) -> Request | None:
        """The request with the action's id and name. When there is one, clocks are not asked."""
        identity = _identity(action)
        if not identity:
            return None
        for key in _identities(identity):
            alike = _near(self._by_call_id.get(key, ()), action.span.start)
            if found := [request for request in alike if may_agree(request.asked.name, action.span)]:
                request = found[0] if len(found) == 1 else self._chosen(found, action, key)
                self._meet(request, action)
                return request
        return None

    def _chosen(self, alike: Sequence[Request], action: Action, identity: str) -> Request:
        """Of requests with one id the one that the action fits best in all else; ids may be used again every round."""
        around, owner = self._around(action.span), self._tree.owner(action.span.span_id)
        tests: tuple[Callable[[Request], bool], ...] = (
            lambda request: request.asked.name == action.name,
            lambda request: request.cause is around,
            lambda request: request.asked.arguments == told,
            lambda request: same_arguments(request.asked.arguments, told),
            lambda request: request.cause.owner == owner,
        )
        told = arguments(action.span)
        for test in tests:
            if len(alike) > 1:
                alike = [request for request in alike if test(request)] or alike
        before = [request for request in alike if request.start <= action.span.start]
        if not before:
            self._behind.add(identity)
        if identity in self._behind:
            return next((request for request in alike if not request.met), alike[0])
        latest = next((request.start for request in reversed(before) if not request.met), None)
        unmet = (request for request in before if request.start == latest and not request.met)
        return next(unmet, before[-1])

    def _without_id(self, action: Action) -> tuple[Cause | None, Request | None]:
        span = action.span
        if cause := self._around(span):
            return cause, self._first([cause], action)
        owner = self._tree.owner(span.span_id)
        if request := self._by_name(owner, action):
            return request.cause, request
        cause = self._by_time(owner, span.start)
        return cause, _tried_again(cause, action) if cause else None

    def _by_name(self, owner: str, action: Action) -> Request | None:
        """The first request for it of the owner's latest call before that waits for it; equal arguments go first."""
        waiting = self._waiting.get(owner)
        if not waiting:
            return None
        latest: dict[int, Cause] = {}
        for key in self._keys(owner, action.span):
            position = bisect_right(waiting[key], action.span.start, key=_start)
            latest |= {id(cause): cause for cause in waiting[key][max(position - _MAX_CALLS, 0) : position]}
        return self._first(sorted(latest.values(), key=_start, reverse=True), action)

    def _first(self, causes: Iterable[Cause], action: Action) -> Request | None:
        """The first request for the action in the first of `causes` that has any; one with its arguments goes first."""
        identity = self._ids_are_shared and _identity(action)
        alike = [
            request
            for cause in causes
            for request in islice(_waiting(cause, action.span), _MAX_COMPARED)
            if not (identity and request.asked.id.strip())  # it has another id
        ]
        told = arguments(action.span) if len(alike) > 1 else ""
        equal = (request for request in alike if told and same_arguments(request.asked.arguments, told))
        return next(equal, alike[0] if alike else None)

    def _by_time(self, owner: str, at: int) -> Cause | None:
        """The latest of the owner's calls that ended before; or one that began after that, still runs, and may ask."""
        found = self._by_owner.get(owner, [])
        running: list[Cause] = []
        for place in range(bisect_right(found, at, key=_start) - 1, -1, -1):
            cause = found[place]
            if cause.end <= at:
                asking = (later for later in running if later.start >= cause.end and later.may_have_asked)
                return next((later for later in asking if cause.stopped or not later.stopped), cause)
            running.append(cause)
        return next((cause for cause in running if cause.may_have_asked), None)

    def _keys(self, owner: str, span: Span) -> Iterator[str]:
        waiting = self._waiting[owner]
        if span.kind == Kind.TOOL:
            return (key for key in lookups(span.tool_name) if key in waiting)
        return (key for key in waiting if starts_agent(key, span))

    def _meet(self, request: Request, action: Action) -> ToolCall:
        cause = request.cause
        if not request.met:
            for key in keys(request.asked.name):
                cause.waiting[key].remove(request)
                if not cause.waiting[key]:
                    del cause.waiting[key]
                    self._waiting[cause.owner][key].remove(cause)
        request.met.append(action)
        return request.asked

    def _around(self, span: Span) -> Cause | None:
        """The call that the span runs inside of, below its owner."""
        for above in self._tree.ancestors(span.span_id):
            if above.kind in OWNERS:
                break
            if cause := self._by_span.get(above.span_id):
                return cause
        return None


def _waiting(cause: Cause, span: Span) -> Iterator[Request]:
    if span.kind == Kind.TOOL:
        found = (cause.waiting[key] for key in lookups(span.tool_name) if key in cause.waiting)
    else:
        found = (requests for key, requests in cause.waiting.items() if starts_agent(key, span))
    return (request for requests in found for request in requests)


def _tried_again(cause: Cause, action: Action) -> Request | None:
    """The request that an action of the same name answered and failed."""
    if action.span.kind != Kind.TOOL:
        return None
    last = islice(reversed(cause.requests), _MAX_COMPARED)
    failed = (request for request in last if request.met and request.met[-1].error)
    return next((request for request in failed if request.met[-1].name == action.name), None)


def _identity(action: Action) -> str:
    return call_id(action.span) or next(filter(None, map(call_id, action.spans[1:])), "")


def _identities(identity: str) -> Iterator[str]:
    """An id as it is, and as other layers may write it; `call_1|fc_2` has two."""
    identity = identity.strip()
    if identity:
        yield identity
    for part in identity.split("|"):
        plain = _ID_PREFIX.sub("", part.strip())
        if plain not in ("", identity):
            yield plain


def _near(requests: Sequence[Request], at: int) -> Sequence[Request]:
    """Of requests in order of time those around a moment, when there are very many."""
    if len(requests) <= 2 * _MAX_CALLS:
        return requests
    position = bisect_right(requests, at, key=_start)
    return requests[max(position - _MAX_CALLS, 0) : position + _MAX_CALLS]
