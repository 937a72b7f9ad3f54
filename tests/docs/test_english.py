"""Plain English: turns of phrase that readers stumble over become fewer, in pages and in messages.

`python tests/docs/test_english.py` lowers the committed counts (tests/files/english.json) to what it finds.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMITS = ROOT / "tests" / "files" / "english.json"
PHRASES = {
    "told": r"\b(is|are|was|were|be) told\b|\btold of\b",
    "tells": r"\btells?\b",
    "to be had": r"\bto be had\b",
    "whoever": r"\bwhoever\b",
    "lacks": r"\blacks?\b(?=[.,;:]|$)",
    "mend": r"\bmend(s|ed|ing)?\b",
    "dearest": r"\bdear(er|est)\b",
    "so many": r"\bso many\b(?! that)",
    "cannot be shown": r"\bcannot be shown\b",
    "by itself": r"\bby itself\b",
    "to the end": r"\bto the end\b",
    "beside it": r"\bbeside it\b",
    "quarrel": r"\bquarrels?\b",
}
"""What to look for. Say instead: reports, shows, available, anyone who, is missing, fix, slowest, that many,
no significant difference, automatically, until the last step, next to it, conflict."""
COMPILED = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in PHRASES.items()}


def prose() -> Iterator[tuple[str, int, str]]:
    """(file, line, text): lines of pages, and the string constants of the package."""
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
            yield str(page.relative_to(ROOT)), number, line
    for source in sorted((ROOT / "ganbench").rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for offset, line in enumerate(node.value.splitlines()):
                    yield str(source.relative_to(ROOT)), node.lineno + offset, line


def places() -> dict[str, list[str]]:
    """Phrase -> where it stands."""
    result: dict[str, list[str]] = {name: [] for name in PHRASES}
    for file, number, line in prose():
        for name, pattern in COMPILED.items():
            result[name] += [f"{file}:{number}: {line.strip()}" for _ in pattern.finditer(line)]
    return result


@pytest.fixture(scope="module")
def counted() -> dict[str, list[str]]:
    return places()


def limits() -> dict[str, int]:
    return json.loads(LIMITS.read_text("utf-8"))


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_becomes_no_more_frequent(counted, phrase):
    limit, lines = limits()[phrase], counted[phrase]
    assert len(lines) <= limit, f"{phrase!r}: {len(lines)}, at most {limit}\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("The reason is told.", "told"),
        ("a run that is lame is told of", "told"),
        ("It tells the step.", "tells"),
        ("a run lacks", "lacks"),
        ("so many steps", "so many"),
    ],
)
def test_a_phrase_is_recognised(text, phrase):
    assert COMPILED[phrase].search(text)


@pytest.mark.parametrize(
    "text", ["so many that none is left", "It lacks a mean.", "the end of it", "told apart"]
)
def test_plain_english_is_not(text):
    assert [name for name, pattern in COMPILED.items() if pattern.search(text)] == []


def lower() -> None:
    """Write today's numbers, where they are lower than the committed ones."""
    held = limits() if LIMITS.exists() else {}
    counts = {name: min(len(lines), held.get(name, len(lines))) for name, lines in places().items()}
    LIMITS.write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    lower()
