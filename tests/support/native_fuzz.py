"""The coverage-guided fuzz targets `tests/fuzz/*.cpp` (libFuzzer): built for the tables of this version, and run.

    python -m tests.support.native_fuzz SECONDS [TARGET...]

Each target is built with AddressSanitizer and UBSan in `build/fuzz/TARGET`, where what it found is kept for the next
time, and an input on which it failed is left.
"""

import functools
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from collector.decode import reference
from collector.model.columns import END_ATTRIBUTE, LATEST_NS, START_ATTRIBUTE
from collector.model.envelope import Signal
from collector.model.versions import ENDED, RESOLUTION_NS
from collector.wire.otlp import REQUESTS
from collector.wire.schema import Field, Kind, schema_of
from tests.support import fuzz_seeds

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "tests" / "fuzz"
BUILD = ROOT / "build" / "fuzz"
TARGETS = tuple(sorted(path.stem for path in SOURCES.glob("*.cpp")))
NEEDED = "clang++ with libFuzzer is needed: on Debian, apt-get install clang libclang-rt-14-dev."
_COMPILE = ("clang++", "-std=c++17", "-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
_LIMITS = ("-max_len=16384", "-timeout=10", "-rss_limit_mb=2048", "-malloc_limit_mb=512")


class CannotBuildError(Exception):
    """The targets cannot be built here; the message says what to install."""


@functools.cache
def check_compiler() -> None:
    """Raises CannotBuildError unless there is clang++ with libFuzzer."""
    empty = 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }'
    if not shutil.which("clang++"):
        raise CannotBuildError(NEEDED)
    command = [*_COMPILE, "-x", "c++", "-", "-o", "/dev/null"]
    if subprocess.run(command, input=empty, text=True, capture_output=True, check=False).returncode:
        raise CannotBuildError(NEEDED)


def build(target: str) -> Path:
    """The program of a target, compiled again when something it is made of is newer."""
    check_compiler()
    directory, program = BUILD / target, BUILD / target / target
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / "generated.hpp", _generated().encode())
    _write(directory / "words.dict", b"".join(_quoted(word) for word in fuzz_seeds.words()[target]))
    for seed in fuzz_seeds.seeds()[target]:
        _write(directory / "seeds" / sha256(seed).hexdigest()[:16], seed)
    if not program.exists() or program.stat().st_mtime < max(path.stat().st_mtime for path in _made_of(target)):
        includes = [f"-I{ROOT}", f"-I{directory}", f"-I{SOURCES / 'python'}"]
        subprocess.run([*_COMPILE, *includes, str(SOURCES / f"{target}.cpp"), "-o", str(program)], check=True)
    return program


def command(target: str, seconds: int) -> list[str]:
    """How to run a target that is built, for so long."""
    directory = BUILD / target
    (directory / "corpus").mkdir(exist_ok=True)
    options = [f"-dict={directory / 'words.dict'}", f"-artifact_prefix={directory}/", f"-max_total_time={seconds}"]
    return [str(directory / target), *_LIMITS, *options, str(directory / "corpus"), str(directory / "seeds")]


def _made_of(target: str) -> Iterator[Path]:
    yield BUILD / target / "generated.hpp"
    yield SOURCES / f"{target}.cpp"
    yield from SOURCES.glob("*.hpp")
    yield from SOURCES.rglob("*.h")
    yield from (ROOT / "collector").rglob("*.hpp")


def _write(path: Path, content: bytes) -> None:
    """What is there already keeps its time."""
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_bytes() != content:
        path.write_bytes(content)


def _quoted(word: bytes) -> bytes:
    return b'"' + b"".join(b"\\x%02x" % byte for byte in word) + b'"\n'


# -- the tables that the native modules get from Python ---------------------------------------------------------------


def _generated() -> str:
    return "\n".join((
        '#include "collector/admit/otlp_schema.hpp"',
        '#include "collector/capture/texts.hpp"',
        '#include "collector/decode/span_walk.hpp"',
        "namespace spanmeter::fuzz {",
        *_rules(),
        *_schemas(),
        *_shapes(),
        "}  // namespace spanmeter::fuzz",
        "",
    ))  # fmt: skip


def _rules() -> Iterator[str]:
    texts = (
        START_ATTRIBUTE,
        END_ATTRIBUTE,
        reference.PENDING_ATTRIBUTE,
        reference.PENDING,
        reference.PENDING_PARENT_ATTRIBUTE,
    )
    values = (f"{LATEST_NS}u", f"{ENDED}u", f"{RESOLUTION_NS}u", *(f'"{text}"' for text in texts))
    yield "inline decode::WalkRules walk_rules() { return {" + ", ".join(values) + "}; }"


def _schemas() -> Iterator[str]:
    yield f"inline constexpr size_t SIGNALS = {len(Signal)};"
    yield "inline const admit::Schema& schema(size_t signal) {"
    yield "static const std::vector<admit::Schema> schemas = [] {"
    yield f"std::vector<admit::Schema> made({len(Signal)});"
    for place, signal in enumerate(Signal):
        yield from _schema(f"made[{place}]", signal)
    yield "return made; }();"
    yield "return schemas[signal]; }"


def _schema(variable: str, signal: Signal) -> Iterator[str]:
    for message in schema_of(REQUESTS[signal].DESCRIPTOR):
        yield f"{variable}.add_message({int(message.item)}, {int(message.container)});"
        for field in message.fields:
            shape = f"{int(field.kind)}, {int(field.repeated)}, {int(field.wide)}, {field.number}, {field.message}"
            yield f'{variable}.add_field("{field.json_name}", {shape});'


def _shapes() -> Iterator[str]:
    yield "inline const capture::Shapes& shapes(size_t signal) {"
    yield "static const std::vector<capture::Shapes> shapes = [] {"
    yield f"std::vector<capture::Shapes> made({len(Signal)});"
    for place, signal in enumerate(Signal):
        for message in schema_of(REQUESTS[signal].DESCRIPTOR):
            yield f"made[{place}].add_message(capture::{_ROLES.get(message.name, 'PLAIN_MESSAGE')});"
            for field in message.fields:
                shape = f"{field.number}, capture::{_role(field)}, {int(field.repeated)}, {field.message}"
                yield f"made[{place}].add_field({shape});"
    yield "return made; }();"
    yield "return shapes[signal]; }"


_ROLES = {"KeyValue": "PAIR", "AnyValue": "VALUE"}
_LENGTHS = {Kind.STRING: "TEXT", Kind.HEX: "BYTES", Kind.BASE64: "BYTES", Kind.MESSAGE: "MESSAGE"}
_FIXED = {Kind.DOUBLE, Kind.FIXED_SINT, Kind.FIXED_UINT}


def _role(field: Field) -> str:
    if field.kind in _FIXED:
        return "NUMBER_FIXED64" if field.wide else "NUMBER_FIXED32"
    return _LENGTHS.get(field.kind, "NUMBER_VARINT")


def main(seconds: int, targets: Iterable[str]) -> int:
    """Build and run them one after the other, until one fails. Returns the exit code."""
    for target in targets:
        try:
            build(target)
        except CannotBuildError as error:
            print(error, file=sys.stderr)
            return 2
        print(f"{target}: {seconds} s", flush=True)
        if code := subprocess.run(command(target, seconds), check=False).returncode:
            print(f"{target} failed; to try its input again: {BUILD / target / target} FILE", file=sys.stderr)
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:] or TARGETS))
