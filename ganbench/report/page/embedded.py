"""Data and scripts as text that is safe inside HTML: packed columns, escaped JSON, hashes of scripts."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd

from ganbench.storage.atomic import plain

# A "</script>" or "<!--" within a string would end the element; JSON reads these escapes back unchanged.
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def safe_json(value: object) -> str:
    """JSON that cannot end the element it stands in. All but ASCII is escaped, lone surrogates too."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)


def packed(frame: pd.DataFrame) -> dict[str, object]:
    """A table by columns. Texts that repeat are stored once: {"of": the texts, "at": which one in each row}.

    Infinite numbers become "inf" and "-inf"; missing cells become null.
    """
    columns = {str(name): _column(frame[name].tolist()) for name in frame.columns}
    return {"rows": len(frame), "columns": columns}


def packed_rows(rows: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """`packed` for a list of rows."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {"rows": len(rows), "columns": {name: _column([row.get(name) for row in rows]) for name in names}}


def _column(cells: Sequence[object]) -> object:
    """A list of cells; of texts the packed form."""
    values = [_cell(cell) for cell in cells]
    texts = dict.fromkeys(value for value in values if isinstance(value, str))
    # numbers stay as they are: a position is no shorter than a number
    if not texts or not all(value is None or isinstance(value, str) for value in values):
        return values
    position = {text: index for index, text in enumerate(texts)}
    return {"of": list(texts), "at": [position[value] if isinstance(value, str) else -1 for value in values]}


def _cell(cell: Any) -> object:
    """A cell as JSON can hold it, which has neither NaN nor infinities."""
    if isinstance(cell, float):
        if math.isnan(cell):
            return None
        return f"{cell:g}" if math.isinf(cell) else cell
    if cell is None or isinstance(cell, str | int):
        return cell
    if isinstance(cell, list | tuple | Mapping):
        return plain(cell)
    # after lists, for which pandas answers element by element
    return None if pd.isna(cell) else str(cell)


def own_text(folder: str, suffix: str) -> str:
    """The package's files of a folder, one after another by name."""
    # names start with a number: later scripts use functions of earlier ones
    files = sorted(resources.files(__package__).joinpath(folder).iterdir(), key=lambda file: file.name)
    return "\n".join(file.read_text(encoding="utf-8") for file in files if file.name.endswith(suffix))


# bundling takes about 3 seconds
@cache
def drawing_library() -> str:
    """Vega, Vega-Lite and Vega-Embed with Vega's interpreter, which needs no `eval`: 0.9 MB of JavaScript."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def in_script(source: str) -> str:
    """JavaScript that cannot end its element, with the line ends that a browser hashes."""
    # the HTML parser turns \r\n into \n before the browser hashes a script
    return source.replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script")


def source_hash(script: str) -> str:
    """A script's source expression for a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
