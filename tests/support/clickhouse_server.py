"""A ClickHouse server for tests: a daemon whose write door takes what a server takes, in a process of its own."""

from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.ports import answers
from tests.support.tokens import token_config
from tests.support.waiting import wait_until


class ClickHouseProcess:
    """The server as a process that can be killed, started again, or not be there at all.

    Its engine's data is in `directory`; what the daemon itself has there is in a database apart.
    """

    user, password = "writer", "spm_s3cret"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        home = directory.with_name(f"{directory.name}-server")
        home.mkdir(parents=True, exist_ok=True)
        config = home / "config.yaml"
        config.write_text(token_config((self.password, "default", ["query:read", "query:write"])))
        self._daemon = Daemon(
            home,
            f"store.url=chdb://{directory}",
            "store.database=server",
            "query.write_door=true",
            "query.max_concurrent_queries=16",
            config=config,
            token=self.password,
            keeps_ports=True,
        )
        self._runs = False

    @property
    def port(self) -> int:
        return self._daemon.ports["query"]

    @property
    def url(self) -> str:
        return f"http://{self.user}:{self.password}@127.0.0.1:{self.port}"

    def start(self) -> None:
        self._daemon.start()
        self._runs = True
        self._daemon.wait_until_ready()
        wait_until(lambda: answers(self.port), 30, "the ClickHouse server's start")

    def signal(self, number: int) -> None:
        self._daemon.signal(number)

    def kill(self) -> None:
        if self._runs:
            self._daemon.kill()
            self._runs = False

    def stop(self) -> None:
        if self._runs:
            assert self._daemon.stop() == 0, self._daemon.log_tail()
            self._runs = False
