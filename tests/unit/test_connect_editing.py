"""Settings put into files: what stands there before stays, comments and layout too, and comes back to the byte."""

import json
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from collector.connect import env_text, json_text, toml_text
from collector.connect.editing import edited, read, shown
from collector.connect.overriding import overriding
from collector.connect.placing import Copies
from collector.connect.programs import programs
from collector.connect.tokens import with_token
from collector.connect.trees import leaves, merged
from collector.errors import Rejected

ENV = {"env": {"OTEL_LOGS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}}

JSON_CASES = {
    "nothing": ("", '{\n  "env": {\n    "A": "1"\n  }\n}\n'),
    "empty": ("{}", '{\n  "env": {\n    "A": "1"\n  }\n}'),
    "other settings": ('{\n  "model": "opus"\n}\n', '{\n  "model": "opus",\n  "env": {\n    "A": "1"\n  }\n}\n'),
    "in one line": ('{"model": "opus"}', '{"model": "opus", "env": {"A": "1"}}'),
    "beside others": (
        '{\n\t"env": {\n\t\t"B": "2"\n\t}\n}\n',
        '{\n\t"env": {\n\t\t"B": "2",\n\t\t"A": "1"\n\t}\n}\n',
    ),
    "another value": ('{"env": {"A": "0", "B": 1.50}}', '{"env": {"A": "1", "B": 1.50}}'),
    "no mapping": ('{"env": null}', '{"env": {\n  "A": "1"\n}}'),
    "comments": (
        '// mine\n{\n  /* a */ "env": {\n    "B": "2" // keep\n    // last\n  }, // end\n}\n',
        '// mine\n{\n  /* a */ "env": {\n    "B": "2", // keep\n    // last\n    "A": "1"\n  }, // end\n}\n',
    ),
    "a comma at the end": (
        '{\n  "env": {\n    "B": [1,],\n  },\n}',
        '{\n  "env": {\n    "B": [1,],\n    "A": "1"\n  },\n}',
    ),
    "Windows": (
        '{\r\n  "env": {\r\n    "B": 2\r\n  }\r\n}',
        '{\r\n  "env": {\r\n    "B": 2,\r\n    "A": "1"\r\n  }\r\n}',
    ),
    "a name twice": ('{"env": {}, "env": {"B": 1}}', '{"env": {}, "env": {"B": 1, "A": "1"}}'),
    "a byte order mark": ("\ufeff{}", '\ufeff{\n  "env": {\n    "A": "1"\n  }\n}'),
}

NO_JSON = [
    "[]",
    "{",
    '{"a" 1}',
    '{"a": }',
    '{"a": 1} x',
    '{"a": 1 "b": 2}',
    "{/* }",
    '{"a": tru}',
    '{"a": "\n"}',
    "{,}",
]


@pytest.mark.parametrize("case", JSON_CASES)
def test_json(case: str) -> None:
    before, after = JSON_CASES[case]
    assert edited(before, "json", {"env": {"A": "1"}}) == (after, [("env", "A")])
    assert edited(after, "json", {"env": {"A": "1"}}) == (after, [])


@pytest.mark.parametrize("text", [*NO_JSON, "[" * 1000, '{"a":' * 1000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(Rejected, match="it is not JSON: line"):
        edited(text, "json", ENV)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
SCALARS = st.none() | st.booleans() | st.integers() | NAMES
TREES = st.dictionaries(
    NAMES, st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))
)
WANTED = st.dictionaries(
    NAMES, st.recursive(NAMES, lambda inner: st.dictionaries(NAMES, inner, max_size=2)), max_size=3
)
BLANKS = st.sampled_from(["", " ", "\n", "\n  ", ' // c, } "\n', "/* { */"])


@st.composite
def written_json(draw: st.DrawFn, value: Any) -> str:
    """JSON of a value with comments, commas and layout that a person may have given it."""
    blank = draw(BLANKS)
    if isinstance(value, dict):
        items = [f"{draw(BLANKS)}{json.dumps(k)}{draw(BLANKS)}:{draw(written_json(v))}" for k, v in value.items()]
        comma = draw(st.sampled_from(["", ","])) if items else ""
        return f"{blank}{{{','.join(items)}{comma}{draw(BLANKS)}}}{draw(BLANKS)}"
    if isinstance(value, list):
        return f"{blank}[{','.join(draw(written_json(each)) for each in value)}{draw(BLANKS)}]{draw(BLANKS)}"
    return f"{blank}{json.dumps(value)}{draw(BLANKS)}"


@given(st.data(), TREES, WANTED)
def test_merging_into_any_json(data: st.DataObject, before: dict[str, Any], wanted: dict[str, Any]) -> None:
    text = data.draw(written_json(before))
    assert json_text.read(text) == before
    after, changed = edited(text, "json", wanted)
    assert json_text.read(after) == merged(before, wanted)
    assert {path for path, _ in leaves(wanted)} >= set(changed)
    assert after.count("// c, }") >= (0 if changed and _replaces(before, wanted) else text.count("// c, }"))


def _replaces(before: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether something that is there gives way, with the comments inside it."""
    return any(
        name in before
        and (
            not value
            or not isinstance(value, dict)
            or not isinstance(before[name], dict)
            or _replaces(before[name], value)
        )
        for name, value in wanted.items()
    )


CODEX = {"otel": {"exporter": {"otlp-http": {"endpoint": "http://h/v1/logs", "protocol": "binary"}}}}
LINE = 'exporter = {otlp-http = {endpoint = "http://h/v1/logs", protocol = "binary"}}'
TOML_CASES = {
    "nothing": ("", f"[otel]\n{LINE}\n"),
    "other tables": (
        '# mine\nmodel = "o4"  # best\n\n[a]\nb = 1\n',
        f'# mine\nmodel = "o4"  # best\n\n[a]\nb = 1\n\n[otel]\n{LINE}\n',
    ),
    "another exporter": ('[otel]\nexporter = "none" # off\nlog_user_prompt = true\n', None),
    "another exporter's table": (
        '[otel.exporter.otlp-grpc]\nendpoint = "x"\n\n[otel.exporter.otlp-grpc.headers]\na = "b"\n\n[z]\ny = 2 # z\n',
        None,
    ),
    "dotted": ('otel.exporter = "none"\nx = 1 # x\n', None),
    "inline": ('otel = { exporter = "none", environment = "lab" }\n', None),
}


@pytest.mark.parametrize("case", TOML_CASES)
def test_toml(case: str) -> None:
    before, after = TOML_CASES[case]
    found, changed = edited(before, "toml", CODEX, ["otel.exporter"])
    assert changed == [("otel", "exporter")]
    assert toml_text.read(found) == merged(toml_text.read(before), CODEX, {("otel", "exporter")})
    assert after is None or found == after
    assert [line for line in before.split("\n") if "# x" in line or "# z" in line or "# mine" in line] == [
        line for line in found.split("\n") if "# x" in line or "# z" in line or "# mine" in line
    ]


ENV_CASES = {
    "nothing": ("", "A=1\n"),
    "no newline": ("B=2", "B=2\nA=1\n"),
    "beside others": ("# mine\nexport B='2 3' # c\n\n", "# mine\nexport B='2 3' # c\n\nA=1\n"),
    "another value": ('export A="0"\nB=2\n', "export A=1\nB=2\n"),
    "several lines": ('K="x\nA=7\n"\nA=0\n', 'K="x\nA=7\n"\nA=1\n'),
    "twice": ("A=3\nA=2\n", "A=3\nA=1\n"),
    "Windows": ("B=2\r\n", "B=2\r\nA=1\r\n"),
}


@pytest.mark.parametrize("case", ENV_CASES)
def test_env(case: str) -> None:
    before, after = ENV_CASES[case]
    assert edited(before, "env", {"A": "1"}) == (after, [("A",)])


VALUES = st.text(
    st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"], exclude_characters="'\\"), max_size=20
)


@given(st.lists(st.tuples(st.sampled_from("ABCD"), VALUES), max_size=5), VALUES)
def test_merging_into_any_env(lines: list[tuple[str, str]], value: str) -> None:
    before = "".join(env_text.shown({name: text}) for name, text in lines)
    after, _ = edited(before, "env", {"A": value})
    assert env_text.read(after) == {**dict(lines), "A": value}
    assert [line for line in after.splitlines() if line[0] != "A"] == [
        line for line in before.splitlines() if line[0] != "A"
    ]


@pytest.mark.parametrize("program", programs().values(), ids=lambda program: program.name)
@pytest.mark.parametrize("content", [False, True])
def test_what_is_shown_is_a_file_with_all_settings(program: Any, content: bool) -> None:
    wanted = program.wanted("http://127.0.0.1:4318", "spm_secret", "svc", content=content)
    text = shown(program.format, wanted)
    assert edited(text, program.format, wanted, program.replaces) == (text, [])
    assert "{" not in "".join(str(value) for _, value in leaves(wanted) if not isinstance(value, dict))
    assert not program.token or program.token_in(wanted) == "spm_secret"


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    return Copies(tmp_path / "state")


def restored(copies: Copies, path: Path) -> tuple[list[Path], list[str]]:
    undone, sentences = copies.restore(path)
    return [placed.path for placed in undone], sentences


@pytest.mark.parametrize(
    "before", [None, b"", b'{\n  "model": "opus" // best\n}', b'{"env": {"OTEL_LOGS_EXPORTER": "none"}}\r\n']
)
def test_a_file_is_restored_to_the_byte(tmp_path: Path, copies: Copies, before: bytes | None) -> None:
    path = tmp_path / "a" / "settings.json"
    if before is not None:
        path.parent.mkdir()
        path.write_bytes(before)
        path.chmod(0o640)
    assert len(copies.place(path, "json", ENV, private=True)) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert copies.place(path, "json", ENV, private=True) == []
    assert copies.place(path, "json", {"env": {"MORE": "1"}}, private=True) == [("env", "MORE")]
    assert restored(copies, path) == ([path], [])
    assert (path.read_bytes() if path.exists() else None) == before
    assert before is None or stat.S_IMODE(path.stat().st_mode) == 0o640
    assert restored(copies, path) == ([], [])


def test_a_file_that_has_changed_since_is_left_alone(tmp_path: Path, copies: Copies) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{}")
    copies.place(path, "json", ENV, private=False)
    written = path.read_text()
    path.write_text(written + "\n")
    undone, (sentence,) = restored(copies, path)
    assert undone == []
    assert f"{path} has changed since" in sentence
    copy = Path(sentence.rsplit(" ", 1)[1].rstrip("."))
    assert copy.read_text() == "{}"
    assert path.read_text() == written + "\n"
    path.write_text(written)
    assert restored(copies, path) == ([path], [])
    assert path.read_text() == "{}"


def test_a_link_stays_one_and_what_it_leads_to_changes(tmp_path: Path, copies: Copies) -> None:
    real, link = tmp_path / "dotfiles.json", tmp_path / "settings.json"
    real.write_text("{}")
    link.symlink_to(real)
    copies.place(link, "json", ENV, private=False)
    assert link.is_symlink()
    assert json.loads(real.read_text()) == ENV
    copies.restore(link)
    assert (link.is_symlink(), real.read_text()) == (True, "{}")


@pytest.mark.parametrize(("content", "why"), [(b"[]", "it is not JSON"), (b"\xff{}", "it is not UTF-8")])
def test_a_file_that_cannot_be_read_is_left_alone(tmp_path: Path, copies: Copies, content: bytes, why: str) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    with pytest.raises(Rejected, match=f"settings.json was left as it is: {why}"):
        copies.place(path, "json", ENV, private=False)
    assert path.read_bytes() == content
    assert restored(copies, path) == ([], [])


SAMPLES = Path(__file__).parents[1] / "fixtures" / "settings"


@pytest.mark.parametrize("program", programs().values(), ids=lambda program: program.name)
def test_settings_of_a_user_keep_all_else_and_come_back(tmp_path: Path, copies: Copies, program: Any) -> None:
    """With a token and content, into a file as people have them: comments, other exporters, keys of several lines."""
    sample = SAMPLES / (program.format if program.format == "env" else f"{program.name}.{program.format}")
    path = tmp_path / sample.name
    path.write_bytes(sample.read_bytes())
    wanted = program.wanted("http://127.0.0.1:4318", "spm_secret", "svc", content=True)
    before = read(sample.read_bytes().decode(), program.format)
    assert copies.place(path, program.format, wanted, program.replaces, private=True)
    after = path.read_bytes().decode()
    whole = {tuple(each.split(".")) for each in program.replaces}
    assert read(after, program.format) == merged(before, wanted, whole)
    for comment in re.findall(r"(?://|#|/\*) (?!not)[^\n]*", sample.read_text()):
        assert comment in after
    assert restored(copies, path) == ([path], [])
    assert path.read_bytes() == sample.read_bytes()


def test_two_tokens_of_one_program_are_both_taken_out(tmp_path: Path, copies: Copies) -> None:
    path, before = tmp_path / "config.yaml", CONFIGS["block"]
    path.write_text(before)
    for name in ("a", "b"):
        text = path.read_text()
        after, inserted = with_token(text, {**ENTRY, "name": name})
        copies.replace(path, text.encode(), after.encode(), inserted)
    path.write_text(path.read_text() + "# more\n")
    assert restored(copies, path) == ([path, path], [])
    assert path.read_text() == before + "# more\n"


def test_what_was_put_elsewhere_stays(tmp_path: Path, copies: Copies) -> None:
    """Two directories of one program, each with a token of its own in the same configuration."""
    config, here, there = tmp_path / "config.yaml", tmp_path / "here" / ".env", tmp_path / "there" / ".env"
    config.write_text(CONFIGS["block"])
    for path in (here, there):
        text = config.read_text()
        after, inserted = with_token(text, {**ENTRY, "name": path.parent.name})
        copies.replace(config, text.encode(), after.encode(), inserted)
        copies.place(path, "env", {"A": "1"}, private=True)
    assert copies.places() == [there, here]
    assert restored(copies, here) == ([here, config], [])
    assert (here.exists(), there.exists(), copies.places()) == (False, True, [there])
    assert '"there"' in config.read_text()
    assert '"here"' not in config.read_text()
    assert restored(copies, there) == ([there, config], [])
    assert config.read_text() == CONFIGS["block"]


OVERRIDING = {
    "claude-code": (
        {"env": {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "x"}},
        {},
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT in the file",
    ),
    "otel": ({}, {"OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED in the environment"),
    "gemini": (
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://other:4318"},
        "OTEL_EXPORTER_OTLP_ENDPOINT in the environment",
    ),
}


@pytest.mark.parametrize("name", OVERRIDING)
def test_what_wins_over_the_settings_is_named(name: str) -> None:
    settings, environment, words = OVERRIDING[name]
    (sentence,) = overriding(programs()[name], settings, environment, "http://h:4318")
    assert words in sentence
    assert not [*overriding(programs()[name], {}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318/"}, "http://h:4318")]


TABLES = st.dictionaries(
    st.sampled_from(["a", "otel", "b.c"]),
    st.integers()
    | st.text(max_size=5)
    | st.dictionaries(st.sampled_from(["exporter", "x"]), st.booleans(), max_size=2),
    max_size=3,
)


@given(TABLES)
def test_merging_into_any_toml(before: dict[str, Any]) -> None:
    text = tomlkit.dumps(before)
    after, _ = edited(text, "toml", CODEX, ["otel.exporter"])
    assert tomllib.loads(after) == merged(before, CODEX, {("otel", "exporter")})


ENTRY = {"name": "claude-code", "sha256": "0" * 64, "project": "p", "scopes": ["traces:write"]}
CONFIGS = {
    "block": "# c\nauth:\n  tokens:\n    - name: a\n      sha256: x # last\n\n# after\nspool:\n  fsync: off\n",
    "at the margin": "auth:\n  tokens:\n  - name: a\n    sha256: x\n",
    "flow": "auth: {tokens: [{name: a, sha256: x}]}\nweb: {}\n",
    "no newline": "auth:\n  tokens:\n    - {name: a}",
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_token_more_in_a_configuration(case: str, tmp_path: Path, copies: Copies) -> None:
    path, before = tmp_path / "config.yaml", CONFIGS[case]
    path.write_text(before)
    after, inserted = with_token(before, ENTRY)
    copies.replace(path, before.encode(), after.encode(), inserted)
    path.write_text("# another change\n" + path.read_text())
    assert restored(copies, path) == ([path], [])
    assert path.read_text() == "# another change\n" + before


@pytest.mark.parametrize("text", ["", "auth:\n", "auth:\n  tokens: []\n", "auth: {tokens: ${file:/x}}", "a: ["])
def test_a_configuration_without_a_list_of_tokens_is_left_alone(text: str) -> None:
    with pytest.raises(Rejected, match=r"auth\.tokens"):
        with_token(text, ENTRY)
