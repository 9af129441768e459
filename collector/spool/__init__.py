"""The durable queue between the answer to a client and the insert into ClickHouse."""

from collector.spool.ack import SpoolAck
from collector.spool.deadletter import DeadLetter
from collector.spool.spool import Segment, Spool

__all__ = ["DeadLetter", "Segment", "Spool", "SpoolAck"]
