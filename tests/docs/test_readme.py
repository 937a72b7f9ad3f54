"""Every command of the README runs; its files are taken from it."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from blocks import blocks, follow

from ganbench.cli import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = blocks(ROOT / "README.md")
COMMANDS = [command for block in BLOCKS for command in block.commands]


def test_the_readme_has_commands_for_the_three_uses() -> None:
    assert {command.split()[1] for command in COMMANDS} >= {"suites", "plan", "run", "report", "plugins"}


def test_it_is_short() -> None:
    assert len(README.split()) <= 900


def test_its_failure_rates_are_those_of_the_published_results() -> None:
    """Else: `ganbench figure failure-rates results/quickstart --width 720 -o docs/failure-rates.svg`."""
    drawn = (ROOT / "docs" / "failure-rates.svg").read_text(encoding="utf-8")
    published = (ROOT / "results" / "published" / "quickstart.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^ |]+) \| (\d+) \| (\d+) \(\d+%\) \|", published, re.MULTILINE)
    expected = {name: f"{failed} of {runs}" for name, runs, failed in rows}
    assert len(expected) > 5
    assert dict(re.findall(r"variant: ([^;]+); failed: (\d+ of \d+);", drawn)) == expected


@pytest.mark.parametrize("text", COMMANDS)
def test_a_command_and_its_options_exist(text: str) -> None:
    assert_exists(cli, shlex.split(text)[1:])


def assert_exists(command: click.Command, arguments: list[str], parent: click.Context | None = None) -> None:
    context = click.Context(command, parent=parent)
    if isinstance(command, click.Group) and arguments:  # such as `ganbench suites`, which lists them
        found = command.get_command(context, arguments[0])
        assert found, f"there is no command {arguments[0]!r}"
        assert_exists(found, arguments[1:], context)
    else:
        command.make_parser(context).parse_args(arguments)


@pytest.mark.slow
@pytest.mark.timeout(900)  # everything that it trains is compiled, with a cold cache too
def test_commands_and_python(tmp_path: Path) -> None:
    """In the order of the README, for later ones read what earlier ones wrote."""
    output = dict(follow(BLOCKS, tmp_path))
    assert "quickstart" in output["ganbench suites"]
    assert "margin: float = 1.0" in output["ganbench plugins show margin-hinge --plugin margin_hinge.py"]
    trained = next(command for command in COMMANDS if "run r1.toml --plugin" in command)
    assert "margin-hinge" in output[trained]


def test_ci_runs_the_test_command_word_for_word() -> None:
    """The line of .ci/run that reads the command from the README finds it."""
    marked = {block.mark: block.text for block in BLOCKS if block.mark.startswith("command")}
    assert set(marked) == {"command: run", "command: test"}
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    [line] = [line for line in script.splitlines() if line.startswith("command=")]
    shell = ["bash", "-c", f'{line}; printf %s "$command"']
    done = subprocess.run(shell, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == marked["command: test"].strip()
    assert 'bash -euo pipefail -c "$command"' in script.splitlines()


def test_every_outcome_is_named() -> None:
    from ganbench.judging.outcomes import OUTCOMES

    assert [name for name in OUTCOMES if f"`{name}`" not in README] == []


def test_the_citation_names_the_version() -> None:
    from ganbench import __version__

    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
