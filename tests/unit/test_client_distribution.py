"""The client for Python alone: for Python 3.9 and newer, with nothing but the standard library, installed from its folder."""

import ast
import email
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "clients" / "python"
SOURCES = sorted((FOLDER / "spanmeter").glob("*.py"))
PYTHONS = [sys.executable, *filter(shutil.which, (f"python3.{minor}" for minor in range(9, 20)))]

RUN_WITHOUT_A_DAEMON = """
from spanmeter import Budget, BudgetError
with Budget('http://127.0.0.1:9', fail_open=True, timeout=0.5).run(estimate_usd='1') as lease:
    print(repr(lease.id), lease.attributes, lease.decision['allowed'])
try:
    Budget('http://127.0.0.1:9', timeout=0.5).check(service='shop')
except BudgetError as error:
    print(error)
for library in ('collector', 'opentelemetry', 'chdb'):
    try:
        __import__(library)
    except ImportError:
        continue
    raise SystemExit(f'{library} is within reach')
"""


def output(command: Sequence[str | Path]) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SPANMETER"))}
    return subprocess.run(command, capture_output=True, check=True, text=True, env=environment).stdout


def assert_ran(printed: str) -> None:
    first, second = printed.splitlines()
    assert first == "'' {} True"
    assert second.startswith("http://127.0.0.1:9 did not answer: ")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_it_is_written_in_the_grammar_of_3_9(source: Path) -> None:
    assert ast.parse(source.read_text(), feature_version=(3, 9)).body


@pytest.mark.parametrize("python", PYTHONS)
def test_it_runs_where_only_its_folder_can_be_imported(python: str) -> None:
    if subprocess.run([python, "-V"], capture_output=True, check=False).returncode:
        pytest.skip(f"{python} stands for a Python that is not installed")
    here = f"import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {str(FOLDER)!r})"
    assert_ran(output([python, "-I", "-S", "-W", "error", "-c", here + RUN_WITHOUT_A_DAEMON]))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Built from a copy, so that the folder stays as it is; with the setuptools of the tests, so that no index is asked."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("build", "*.egg-info", "__pycache__", ".*_cache")
    shutil.copytree(FOLDER, folder / "source", ignore=ignored)
    offline = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    output([sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", folder, folder / "source"])
    (built,) = folder.glob("*.whl")
    yield built
    shutil.rmtree(folder)


def test_it_holds_its_package_and_types_and_requires_nothing(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (archive.read(name) for name in archive.namelist() if name.endswith("/METADATA"))
    assert names == {f"spanmeter/{source.name}" for source in SOURCES} | {"spanmeter/py.typed"}
    fields = email.message_from_bytes(metadata)
    assert (fields["Name"], fields["Requires-Python"], fields["Requires-Dist"]) == ("spanmeter-client", ">=3.9", None)


def test_it_runs_installed_into_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    output([sys.executable, "-m", "venv", "--without-pip", tmp_path])
    python = tmp_path / "bin" / "python"
    output([sys.executable, "-m", "pip", "--python", python, "--quiet", "install", "--no-index", wheel])
    assert_ran(output([python, "-I", "-W", "error", "-c", RUN_WITHOUT_A_DAEMON]))
