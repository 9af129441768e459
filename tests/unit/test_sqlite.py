"""The SQLite files of earlier versions, and what is said of a damaged one."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from collector import sqlite
from collector.errors import Reason, StartError, Unavailable
from collector.model.budgets import EventType, Line
from collector.model.leases import Lease, LeaseState
from collector.schema import migrations
from collector.spending.lease_store import LeaseStore
from collector.webhooks.endpoint import Endpoint
from collector.webhooks.outbox import Outbox
from tests.support import damage
from tests.support.clock import FakeClock
from tests.support.webhooks import an_event

FIXTURES = Path(__file__).parents[1] / "fixtures" / "sqlite"
ENDPOINTS = {name: Endpoint(name, f"https://{name}.example.com/", ()) for name in ("ops", "team")}


def written(path: Path, fixture: str) -> Path:
    """A file as the version wrote it that the fixture is a dump of."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FIXTURES / fixture).read_text())
    return path


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def a_lease(number: int) -> Lease:
    stated = {"feature": "support", "customer": "ü"}
    return Lease(
        f"lease_{number}", "default", stated, 60 * number, number, number, 1000 * number, 0, 0, LeaseState.OPEN
    )


def full_outbox(path: Path) -> Path:
    """With events on several pages of each table."""
    outbox = Outbox(path, FakeClock())
    outbox.configure(ENDPOINTS)
    outbox.record([an_event(number, data={"message": "x" * 200}) for number in range(200)])
    outbox.close()
    return path


def full_leases(path: Path) -> Path:
    with LeaseStore(path) as store:
        store.put([a_lease(number) for number in range(1, 500)]).result()
    return path


FILES: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object], str]] = {
    "webhook outbox": (full_outbox, lambda path: Outbox(path, FakeClock()), "deliveries"),
    "lease file": (full_leases, LeaseStore, "leases"),
}


# -- earlier versions -------------------------------------------------------------------------------------------------


def test_leases_of_before_there_were_versions_are_read_and_merged(tmp_path: Path) -> None:
    path = written(tmp_path / "leases.db", "leases_0.sql")
    with LeaseStore(path) as store:
        assert store.open_leases(1500) == [a_lease(2)]
        assert store.find("lease_3") == replace(a_lease(3), spent_pico=5, state=LeaseState.FINISHED)
        store.put([replace(a_lease(2), spent_pico=7)]).result()
        assert store.open_leases(1500) == [replace(a_lease(2), spent_pico=7)]
    assert version(path) == 1


def test_an_outbox_of_version_2_is_read_as_it_was(tmp_path: Path) -> None:
    clock = FakeClock()
    outbox = Outbox(written(tmp_path / "webhooks.db", "outbox_2.sql"), clock)
    assert [event.id for event in outbox.events()] == [an_event(number).id for number in (3, 2, 1)]
    assert outbox.events()[2].data["spend"] == "1.5"
    assert [event.id for event in outbox.without_contributors(9)] == [an_event(3).id]
    assert outbox.notified() == {Line("b", ("x", "é"), EventType.BREACHED, "1 of 5"): 60}
    assert set(outbox.endpoints.disabled()) == {"team"}
    clock.advance(10)
    assert {(one.event_id, one.attempt) for one in outbox.deliveries.claim("ops", 9, 45)} == {
        (an_event(1).id, 2),
        (an_event(2).id, 1),
        (an_event(3).id, 1),
    }
    outbox.close()


def test_an_outbox_of_version_1_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.db"
    with closing(sqlite3.connect(path)) as connection:
        for statement in migrations("sqlite/outbox")[0].statements:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO events (id, type, budget, scope, period_start, period_end, threshold, created_ns, data, "
            "webhooks, keep_from) VALUES ('evt_1', 'budget.breached', 'b', '[]', 1, 2, '1', 3, '{}', '[]', 4)"
        )
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    outbox = Outbox(path, FakeClock())
    (event,) = outbox.events()
    assert (event.id, event.has_contributors) == ("evt_1", True)
    outbox.close()
    assert version(path) == 3


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path, name: str) -> None:
    fill, opened, _ = FILES[name]
    path = fill(tmp_path / "file.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StartError, match=rf"The {name} .*file\.db is of a newer version of spanmeter \(99, this one"):
        opened(path)
    assert version(path) == 99


# -- damage -----------------------------------------------------------------------------------------------------------


def header(path: Path, _: str) -> None:
    damage.overwrite(path, 0)


def middle(path: Path, table: str) -> None:
    damage.overwrite(path, damage.root_page(path, table))


def truncated(path: Path, _: str) -> None:
    damage.truncate(path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", [header, middle, truncated])
def test_a_damaged_file_stops_the_start_with_the_remedy(
    tmp_path: Path, name: str, harm: Callable[[Path, str], None]
) -> None:
    fill, opened, table = FILES[name]
    path = fill(tmp_path / "file.db")
    harm(path, table)
    with pytest.raises(StartError) as raised:
        opened(path)
    assert str(raised.value).startswith(f"Cannot use the {name} {path}: ")
    assert "It is damaged: move file.db, file.db-wal and file.db-shm away while the daemon is stopped." in str(
        raised.value
    )


@pytest.mark.parametrize("name", FILES)
def test_a_directory_in_its_place_stops_the_start(tmp_path: Path, name: str) -> None:
    with pytest.raises(StartError, match=f"Cannot open the {name} {tmp_path}: Is a directory. It has to be a file"):
        FILES[name][1](tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_what_was_moved_away_is_made_anew(tmp_path: Path, name: str) -> None:
    fill, _, table = FILES[name]
    path = fill(tmp_path / "file.db")
    middle(path, table)
    shutil.move(path, tmp_path / "damaged.db")
    fill(path)
    assert version(path) == len(migrations("sqlite/outbox" if table == "deliveries" else "sqlite/leases"))


def test_leases_damaged_while_they_are_open(tmp_path: Path) -> None:
    path = full_leases(tmp_path / "leases.db")
    with LeaseStore(path) as store:
        page = damage.root_page(path, "leases")
        damage.change_and_forget(path, "UPDATE leases SET tokens = 0 WHERE id = 'lease_1'")
        damage.overwrite(path, page)
        damaged = r"^The lease file leases\.db cannot be used: database disk image is malformed\. It is damaged: move"
        with pytest.raises(Unavailable, match=damaged) as raised:
            store.find("lease_7")
        assert raised.value.reason is Reason.DISK
        with pytest.raises(Unavailable, match=damaged):
            store.put([a_lease(7)]).result()
        with pytest.raises(StartError, match=damaged):
            store.open_leases(1)


def test_an_outbox_damaged_while_it_is_open(tmp_path: Path) -> None:
    path = full_outbox(tmp_path / "webhooks.db")
    outbox = Outbox(path, FakeClock())
    page = damage.root_page(path, "deliveries")
    damage.change_and_forget(path, "UPDATE events SET copied = 1 WHERE seq = 1")
    damage.overwrite(path, page)
    damaged = r"^The webhook outbox webhooks\.db cannot be used: database disk image is malformed\. It is damaged: move"
    with pytest.raises(Unavailable, match=damaged):
        outbox.overview.latest(1000)
    with pytest.raises(Unavailable, match=damaged):
        outbox.record([an_event(1000)])
    assert not outbox.has(an_event(1000).id)
    outbox.close()


@pytest.mark.parametrize("column", ["state = 'opem'", "said = '{'", "project = CAST(x'ff' AS TEXT)"])
def test_a_row_that_is_not_as_it_was_written_is_damage(tmp_path: Path, column: str) -> None:
    path = full_leases(tmp_path / "leases.db")
    with LeaseStore(path) as store:
        damage.change_and_forget(path, f"UPDATE leases SET {column} WHERE id = 'lease_7'")
        with pytest.raises(Unavailable, match="It is damaged: move"):
            store.find("lease_7")
        assert store.find("lease_8") == a_lease(8)


def test_an_event_that_is_not_as_it_was_written_is_damage(tmp_path: Path) -> None:
    path = full_outbox(tmp_path / "webhooks.db")
    outbox = Outbox(path, FakeClock())
    damage.change_and_forget(path, "UPDATE events SET data = '{', described = 0")
    with pytest.raises(Unavailable, match="It is damaged: move"):
        outbox.add_contributors({an_event(1).id: {"top": []}})
    damage.change_and_forget(path, "UPDATE deliveries SET body = NULL")
    with pytest.raises(Unavailable, match="It is damaged: move"):
        outbox.deliveries.claim("ops", 1, 45)
    with pytest.raises(Unavailable, match="It is damaged: move"):
        outbox.events()
    outbox.close()


def test_a_file_too_large_to_be_checked_stops_the_start_where_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = full_leases(tmp_path / "leases.db")
    middle(path, "leases")
    monkeypatch.setattr(sqlite, "_MAX_CHECKED_BYTES", 0)
    with (
        LeaseStore(path) as store,
        pytest.raises(StartError, match=r"The lease file leases\.db cannot be used: .* It is"),
    ):
        store.open_leases(1)


# -- other failures ---------------------------------------------------------------------------------------------------


def test_a_full_disk_is_told_from_damage(tmp_path: Path) -> None:
    with LeaseStore(tmp_path / "leases.db") as store:
        connection = store._database._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(Unavailable) as raised:
            store.put([a_lease(number) for number in range(1, 500)]).result()
        assert str(raised.value) == (
            "The lease file leases.db cannot be used: database or disk is full. Make room on its disk."
        )
        connection.execute("PRAGMA max_page_count = 1000000")
        store.put([a_lease(1)]).result()
        assert store.find("lease_1") == a_lease(1)


def test_a_file_that_is_held_for_too_long(tmp_path: Path) -> None:
    kind = sqlite.Kind("leases", "lease file", "", wait_seconds=0)
    path = full_leases(tmp_path / "leases.db")
    database = sqlite.Database(path, kind)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with (
            pytest.raises(Unavailable, match=r"database is locked\. Another process has held it for too long\."),
            database.transaction(),
        ):
            pass
    database.close()
