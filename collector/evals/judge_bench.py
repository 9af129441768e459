"""What judging by models needs of the daemon."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from collector.config.evals import JudgeConfig
from collector.enrich.prices.catalogue import Catalogue
from collector.evals.claims import Claims
from collector.evals.judge_leases import JudgeLeases
from collector.evals.judge_process import JudgeProcess
from collector.evals.judgements import Judgements

_KEPT_SECONDS: Final = 60.0


class JudgeBench:
    """What judges need of the daemon: models and prices in force, leases, and where what they find is kept."""

    def __init__(
        self,
        judges: Callable[[], Mapping[str, JudgeConfig]],
        catalogue: Callable[[], Catalogue],
        leases: JudgeLeases,
        judgements: Judgements,
    ) -> None:
        self.judges = judges
        self.leases = leases
        self.judgements = judgements
        self.claims = Claims()
        self._catalogue = catalogue
        self._using = threading.Lock()
        self._kept: JudgeProcess | None = None
        self._ending: threading.Timer | None = None

    def process(self) -> JudgeProcess:
        """A process to ask in; the caller closes it."""
        return JudgeProcess(self.judges, self._catalogue, self.leases)

    @contextmanager
    def opened(self) -> Iterator[JudgeProcess]:
        """The process of back-fills, one at a time: kept for a while, as it takes seconds to start."""
        with self._using:
            if self._ending:
                self._ending.cancel()
            self._kept = self._kept or self.process()
            try:
                yield self._kept
            finally:
                self._ending = threading.Timer(_KEPT_SECONDS, self._end)
                self._ending.daemon = True
                self._ending.start()

    def close(self) -> None:
        """End the process of back-fills, whatever it is at."""
        if self._ending:
            self._ending.cancel()
        if self._kept:
            self._kept.close()

    def _end(self) -> None:
        if self._using.acquire(blocking=False):
            try:
                self.close()
            finally:
                self._using.release()
