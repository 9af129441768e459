"""Which ClickHouse errors are the data's fault.

Codes are ClickHouse's own (src/Common/ErrorCodes.cpp). Everything not listed is retried: a full disk, too many parts, a
missing table, a wrong password are repaired by people, and the spool keeps the spans until then.
"""

from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from collector.errors import Reason, Rejected, SpanmeterError, Unavailable

POISON_CODES = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        32,  # ATTEMPT_TO_READ_AFTER_EOF
        33,  # CANNOT_READ_ALL_DATA
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        128,  # TOO_LARGE_ARRAY_SIZE
        131,  # TOO_LARGE_STRING_SIZE
        190,  # SIZES_OF_ARRAYS_DONT_MATCH
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        407,  # DECIMAL_OVERFLOW
        469,  # VIOLATED_CONSTRAINT
    }
)


_MEMORY_LIMIT_EXCEEDED = 241
# What the engine says instead when the limit is reached while it reads rows from this process (PY_EXCEPTION_OCCURED).
_READING_FAILED = 800


class Refused(Unavailable):
    """ClickHouse answered with an error that is not the data's fault; `code` is its number."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(Reason.STORE, message)
        self.code = code


class OutOfMemory(Refused):
    """ClickHouse could not hold the insert in memory; fewer rows at once may succeed."""


def translate(error: ClickHouseError | OSError) -> SpanmeterError:
    """The failure as the drain understands it: Rejected(POISON) for the data's fault, else Unavailable(STORE)."""
    code = error.code if isinstance(error, Error) else None
    if code in POISON_CODES:
        return Rejected(Reason.POISON, f"ClickHouse cannot store the data: {_short(error)}")
    if code == _MEMORY_LIMIT_EXCEEDED or (code == _READING_FAILED and "memory limit exceeded" in str(error)):
        return OutOfMemory(code, f"ClickHouse has too little memory: {_short(error)}")
    if code is not None:
        return Refused(code, f"ClickHouse refused: {_short(error)}")
    return Unavailable(Reason.STORE, f"ClickHouse does not answer: {_short(error)}")


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__
