"""Pages that are made when the site is built: components, hooks, public names, the list of decisions."""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import components  # noqa: E402
import reference  # noqa: E402

from ganbench import hookspecs  # noqa: E402
from ganbench.judging.thresholds import Thresholds  # noqa: E402


def on_files(files: Files, config: Any) -> Files:
    """The pages in docs/ and those that are generated."""
    made = {
        **dict(components.pages()),
        **dict(hooks()),
        **dict(reference.pages()),
        "adr/index.md": decisions(),
    }
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def hooks() -> Iterator[tuple[str, str]]:
    """Path and text of a page per hook, and of their list."""
    found = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, "ganbench_spec")}
    lines = [
        "# Hooks",
        "",
        (inspect.getdoc(hookspecs) or ""),
        "",
        f"The version of this interface is {hookspecs.API_VERSION}.",
        "",
        "| hook | what it provides or receives |",
        "| --- | --- |",
    ]
    for name, spec in found.items():
        doc = inspect.getdoc(spec) or ""
        lines.append(f"| [`{name}`]({name}.md) | {components.cell(doc.splitlines()[0])} |")
        yield f"hooks/{name}.md", hook_page(name, spec, doc)
    yield "hooks/index.md", "\n".join([*lines, ""])


def hook_page(name: str, spec: Any, doc: str) -> str:
    """One hook: its exact signature, what it is for."""
    signature = f"def {name}{inspect.signature(spec)}: ..."
    return f"# {name}\n\n```text\n@ganbench.hookimpl\n{signature}\n```\n\n{doc}\n"


def decisions() -> str:
    """Links to the records of decisions, by their titles."""
    lines = [
        "# Decisions",
        "",
        "Why things are as they are, where the design could have gone another way.",
        "",
    ]
    for path in sorted((HERE / "adr").glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        lines.append(f"* [{title}]({path.name})")
    return "\n".join([*lines, ""])


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables of thresholds and of checks where a page asks for them."""
    return markdown.replace("<!-- thresholds -->", thresholds()).replace(
        "<!-- checks -->", reference.checks()
    )


def thresholds() -> str:
    """Every threshold with its default, from the strings below its definition."""
    body = ast.parse(inspect.getsource(Thresholds)).body[0].body  # type: ignore[attr-defined]
    lines = ["| threshold | default | meaning |", "| --- | --- | --- |"]
    for item, told in itertools.pairwise(body):
        if isinstance(item, ast.AnnAssign) and isinstance(told, ast.Expr):
            meaning = components.cell(inspect.cleandoc(ast.literal_eval(told.value)))
            lines.append(f"| `{ast.unparse(item.target)}` | `{ast.unparse(item.value)}` | {meaning} |")  # type: ignore[arg-type]
    return "\n".join(lines)
