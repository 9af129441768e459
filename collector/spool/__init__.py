"""The durable queue between the answer to a client and the insert into ClickHouse."""

from collector.spool.ack import SpoolAck
from collector.spool.deadletter import DeadLetter
from collector.spool.sealed import SEGMENT_SUFFIXES, Segment, put_segment, recent, segments_in
from collector.spool.segment import Damage
from collector.spool.shares import shares_in
from collector.spool.spool import Spool

__all__ = [
    "SEGMENT_SUFFIXES",
    "Damage",
    "DeadLetter",
    "Segment",
    "Spool",
    "SpoolAck",
    "put_segment",
    "recent",
    "segments_in",
    "shares_in",
]
