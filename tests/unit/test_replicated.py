"""Statements for a database that is on several servers: every table has its rows on each, nothing else changes."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from collector.config import StoreConfig
from collector.store.migrate import migrations
from collector.store.replicated import create_database, replicated

CONFIG = Path(__file__).parents[2] / "deploy" / "clickhouse" / "keeper-and-cluster.xml"
STATEMENTS = [statement for migration in migrations() for statement in migration.statements]
MAKING = [statement for statement in STATEMENTS if re.search(r"^CREATE TABLE", statement, re.MULTILINE)]


def test_every_table_is_replicated() -> None:
    assert MAKING
    for statement in MAKING:
        written = replicated(statement)
        assert re.findall(r"^ENGINE = (\w+)", written, re.MULTILINE)[0].startswith("Replicated"), written
        assert "non_replicated" not in written
        if "deduplication_window" in statement:
            assert "replicated_deduplication_window_seconds = 2592000" in written


def test_other_statements_stay_as_they_are() -> None:
    for statement in STATEMENTS:
        if statement not in MAKING and "deduplication_window" not in statement:
            assert replicated(statement) == statement


def test_no_statement_changes_definitions_and_what_is_told_of_them() -> None:
    """A replicated database refuses that: settings and comments are changed in other ways than columns."""
    commands = re.compile(r"(?:^ALTER TABLE \w+\s+|,\n\s+)((?:ADD|MODIFY|COMMENT|DROP|RENAME)(?: \w+)?)", re.MULTILINE)
    changing = [statement for statement in STATEMENTS if re.search(r"^ALTER TABLE", statement, re.MULTILINE)]
    assert changing
    for statement in changing:
        apart = [name in {"MODIFY SETTING", "COMMENT COLUMN", "MODIFY COMMENT"} for name in commands.findall(statement)]
        assert apart
        assert len(set(apart)) == 1, statement


def test_engines_keep_what_they_are_given() -> None:
    assert replicated("ENGINE = ReplacingMergeTree(Version)\nORDER BY a") == (
        "ENGINE = ReplicatedReplacingMergeTree(Version)\nORDER BY a"
    )
    assert replicated("-- ENGINE = MergeTree\nSELECT 1") == "-- ENGINE = MergeTree\nSELECT 1"


def test_the_database_is_made_on_the_cluster() -> None:
    assert create_database("otel", "") == "CREATE DATABASE IF NOT EXISTS `otel`"
    assert create_database("otel", "main") == (
        "CREATE DATABASE IF NOT EXISTS `otel` ON CLUSTER `main` "
        "ENGINE = Replicated('/clickhouse/databases/otel', '{shard}', '{replica}')"
    )


def test_a_cluster_needs_a_server() -> None:
    with pytest.raises(ValueError, match="cluster needs a ClickHouse server"):
        StoreConfig(cluster="main")


def test_the_servers_of_the_example_have_what_the_database_needs() -> None:
    root = ET.parse(CONFIG).getroot()
    assert {element.tag for element in root.findall("macros/*")} >= {"shard", "replica"}
    replicas = {element.text for element in root.findall("remote_servers/spanmeter/shard/replica/host")}
    keepers = {element.text for element in root.findall("zookeeper/node/host")}
    raft = {element.text for element in root.findall("keeper_server/raft_configuration/server/hostname")}
    assert len(replicas) == 2
    assert replicas < keepers == raft
    assert root.findtext("remote_servers/spanmeter/shard/internal_replication") == "true"
    assert root.findtext("distributed_ddl/path")
