"""ClickHouse's HTTP interface as an ASGI application."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from collector.admit.auth import Gate
from collector.bi.answers import Answer, Send
from collector.bi.credentials import authenticate
from collector.bi.errors import QueryError
from collector.bi.pipe import Pipe
from collector.bi.queries import Engine, Job, new_tag
from collector.bi.request import Asked, Message, Receive, head_of, read_request
from collector.bi.sessions import Sessions
from collector.bi.settings import Limits
from collector.bi.statements import is_kill
from collector.config import QueryConfig
from collector.model.principal import Principal, Scope
from collector.store import Store

_AGAIN_SECONDS = 0.25
_KILL_ATTEMPTS = 20
# Statements that end queries run beside those, so many at once.
_KILLS = 2
# A client that takes nothing of its answer for so long has given up.
_STALL_SECONDS = 60.0
# The longest statement with its rows, of one who may write.
_MAX_WRITE_BYTES = 256 << 20


class Door:
    """The application. Its queries run in threads of their own, as many at once as the settings allow."""

    def __init__(self, config: QueryConfig, store: Callable[[], Store], gate: Gate, *, body_seconds: float) -> None:
        self._config = config
        self._gate = gate
        self._body_seconds = body_seconds
        self._engine = Engine(store, Limits.of(config))
        self._sessions = Sessions()
        self._turns = asyncio.Semaphore(config.concurrent)
        self._kill_turns = asyncio.Semaphore(_KILLS)
        self._queries = ThreadPoolExecutor(config.concurrent + _KILLS, "bi-query")
        self._readers = ThreadPoolExecutor(config.concurrent + _KILLS, "bi-read")
        self._running: dict[str, tuple[Principal, str]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> int:
        """How many queries run."""
        return len(self._running)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        answer = Answer(send, scope, self._engine)
        try:
            await self._serve(scope, receive, answer)
        except QueryError as error:
            if await answer.fail(error):
                await _disconnected(receive)
        except ConnectionError:
            answer.abort()
            await _disconnected(receive)

    async def _serve(self, scope: Message, receive: Receive, answer: Answer) -> None:
        url, headers = head_of(scope)
        if scope["path"] in ("/ping", "/replicas_status") or (scope["path"] == "/" and _asks_nothing(scope, url)):
            await answer.plain(b"Ok.\n")
            return
        if scope["path"] != "/":
            await answer.plain(b"There is no handle " + scope["path"].encode()[:200] + b"\n", 404)
            return
        if scope["method"] not in ("GET", "POST", "HEAD"):
            await answer.plain(b"Only GET, POST and HEAD are answered.\n", 405)
            return
        principal = authenticate(self._gate, url, headers)
        writes = self._config.write_door and principal.may(Scope.QUERY_WRITE)
        asked = await self._read(scope["method"], url, headers, receive, writes=writes)
        answer.query_id = asked.query_id
        async with self._turn(self._kill_turns if is_kill(asked.query) else self._turns):
            await self._answer(asked, principal, receive, answer, as_written=writes)

    async def _read(
        self, method: str, url: dict[str, str], headers: dict[str, str], receive: Receive, *, writes: bool
    ) -> Asked:
        limit = _MAX_WRITE_BYTES if writes else int(self._config.max_query_size)
        try:
            async with asyncio.timeout(self._body_seconds):
                return await read_request(method, url, headers, receive, limit, writes=writes)
        except TimeoutError:
            raise QueryError(209, "SOCKET_TIMEOUT", "The query did not arrive in time.") from None

    @contextlib.asynccontextmanager
    async def _turn(self, turns: asyncio.Semaphore) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._config.queue_timeout):
                await turns.acquire()
        except TimeoutError:
            text = f"Too many simultaneous queries. Maximum: {self._config.concurrent}."
            raise QueryError(202, "TOO_MANY_SIMULTANEOUS_QUERIES", text) from None
        try:
            yield
        finally:
            turns.release()

    async def _answer(
        self, asked: Asked, principal: Principal, receive: Receive, answer: Answer, *, as_written: bool
    ) -> None:
        url = asked.url
        session = self._sessions.session(
            principal, url.get("session_id", ""), url.get("session_timeout", ""), url.get("session_check", "")
        )
        loop = asyncio.get_running_loop()
        pipe = Pipe(self._readers)
        job = Job(asked, principal, session, pipe.writes_to, new_tag(), as_written)
        self._running[job.tag] = principal, asked.query_id
        answer.begin(asked, job)
        work = loop.run_in_executor(self._queries, self._engine.run, job, self._kill_own)
        watch = asyncio.create_task(_disconnected(receive))
        progress = asyncio.create_task(_tell_progress(asked.progress_seconds, answer))
        try:
            await self._pass_on(pipe, work, watch, answer)
        finally:
            watch.cancel()
            progress.cancel()
            end = asyncio.create_task(self._end(job, work, pipe))
            self._ending.add(end)
            end.add_done_callback(self._ending.discard)
            await asyncio.shield(end)

    async def _pass_on(
        self, pipe: Pipe, work: "asyncio.Future[None]", watch: "asyncio.Task[None]", answer: Answer
    ) -> None:
        """Send what comes out of the pipe until its end, or until the client has gone or takes nothing."""
        while data := await pipe.read(watch):
            try:
                async with asyncio.timeout(_STALL_SECONDS):
                    await answer.add(data)
            except TimeoutError:
                raise ConnectionError("The client takes nothing.") from None
        await work
        await answer.end()

    async def _end(self, job: Job, work: "asyncio.Future[None]", pipe: Pipe) -> None:
        """Have the query end, if it has not, while nothing of it waits for a reader."""
        loop = asyncio.get_running_loop()
        try:
            while not work.done():
                await loop.run_in_executor(None, self._engine.cancel, job.tag)
                await pipe.discard(work, _AGAIN_SECONDS)
            if not work.cancelled():
                work.exception()
        finally:
            await pipe.close()
            del self._running[job.tag]

    def _kill_own(self, principal: Principal, query_id: str) -> bool:
        """End the queries of an id; whether there are any. Blocking: the engine may not have met one that has begun."""
        tags = [tag for tag, one in self._running.copy().items() if one == (principal, query_id)]
        for tag in tags:
            for _ in range(_KILL_ATTEMPTS):
                if self._engine.cancel(tag) or tag not in self._running:
                    break
                time.sleep(_AGAIN_SECONDS)
        return bool(tags)

    async def stop(self) -> None:
        """End what runs, and wait until it has ended."""
        for tag in tuple(self._running):
            await asyncio.to_thread(self._engine.cancel, tag)
        while self._ending:
            await asyncio.wait(tuple(self._ending))

    def close(self) -> None:
        self._queries.shutdown(wait=False)
        self._readers.shutdown(wait=False)


def _asks_nothing(scope: Message, url: Mapping[str, str]) -> bool:
    return scope["method"] in ("GET", "HEAD") and "query" not in url


async def _tell_progress(pause: float, answer: Answer) -> None:
    """Say every so often that the query runs, less and less often: clients take a hundred headers and no more."""
    if not pause:
        return
    begun = time.monotonic()
    while True:
        elapsed = time.monotonic() - begun
        await asyncio.sleep(max(pause, elapsed / 10))
        answer.progress(time.monotonic() - begun)


async def _disconnected(receive: Receive) -> None:
    """Return once the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
