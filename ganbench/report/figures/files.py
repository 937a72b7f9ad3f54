"""A figure as a file, for papers: PDF, SVG or PNG; its table as LaTeX or CSV."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ganbench.errors import BadInput, Problem, nearest
from ganbench.report.figures.base import Figure
from ganbench.report.figures.headers import with_headers
from ganbench.storage.atomic import write_atomic

WIDTH = 480
"""Pixels of the default: two columns of a paper."""
PICTURES = ("pdf", "svg", "png")
_SCALE = 3.0
"""Of PNG: 288 dots an inch."""


def sized(figure: Figure, width: int = WIDTH, dark: bool = False) -> dict[str, Any]:
    """The Vega-Lite spec of a picture `width` pixels wide, theme included."""
    spec = figure.spec(dark)
    # a file has no container; "fit-x" counts axes and legend as part of the width
    if spec.get("width") == "container":
        return spec | {"width": width, "autosize": {"type": "fit-x", "contains": "padding"}}
    # panels get the width without their axes, and never less than 80 pixels
    room, columns = width - spec["usermeta"]["margin"], spec["usermeta"].get("columns", 1)
    if columns > 1:
        columns = max(1, min(columns, room // spec["usermeta"]["least"]))
        for part in spec["vconcat"]:
            part["columns"] = columns
        room = room // columns - spec["usermeta"]["gap"]
    spec["config"]["view"]["continuousWidth"] = max(80, room)
    return spec


def picture(figure: Figure, kind: str, width: int = WIDTH, dark: bool = False) -> bytes:
    """The bytes of a picture; `kind` is "pdf", "svg" or "png"."""
    import vl_convert

    spec = sized(figure, width, dark)
    if kind == "svg":
        return str(vl_convert.vegalite_to_svg(spec)).encode()
    if kind == "png":
        return bytes(vl_convert.vegalite_to_png(spec, scale=_SCALE))
    return bytes(vl_convert.vegalite_to_pdf(spec))


def write_figure(figure: Figure, path: Path | str, width: int = WIDTH, dark: bool = False) -> Path:
    """Write the figure to `path`, in the format of its suffix.

    Raises BadInput for unknown suffixes, for a picture of a figure that is only a table, and if the file
    cannot be written.
    """
    path = Path(path)
    kind = path.suffix.lower().lstrip(".")
    writers: dict[str, Callable[[], bytes]] = {
        **{name: partial(picture, figure, name, width, dark) for name in PICTURES},
        "tex": lambda: _latex(figure).encode(),
        "csv": lambda: with_headers(figure.table).to_csv(index=False, lineterminator="\n").encode(),
    }
    if kind not in writers:
        raise BadInput(Problem(str(path), f"{kind!r} cannot be written; {nearest(kind, writers)}"))
    # before the folder is made: a figure that cannot be drawn leaves nothing behind
    data = writers[kind]()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, lambda temporary: temporary.write_bytes(data))
    except OSError as error:
        raise BadInput(Problem(str(path), f"cannot be written ({error.strerror})")) from None
    return path


def _latex(figure: Figure) -> str:
    from ganbench.report.latex import latex_table

    return latex_table(with_headers(figure.table), f"{figure.title}.", f"tab:{figure.name}", [figure.finding])
