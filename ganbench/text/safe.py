"""Text from outside made safe to print: on a terminal, on a page, in a message, as a file name."""

from __future__ import annotations

import re
import unicodedata

# Control characters (line ends, terminal escapes), those that turn the direction of the text, and lone
# surrogates, which cannot be written as UTF-8.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


def plain_text(value: object) -> str:
    """One line of text that cannot steer a terminal or a page; unsafe characters become a space."""
    # a space, not nothing: words on both sides of a line end stay apart
    return _UNSAFE.sub(" ", str(value)).strip()


def printable(text: str, limit: int = 200) -> str:
    """`text` with control characters escaped, such as "\\x1b", and cut at `limit` characters.

    For messages about bad input, where `plain_text` would hide what is wrong with it.
    """
    safe = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def brief(value: object) -> str:
    """The `repr` of a value for a message, cut at 78 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def first_line(error: object) -> str:
    """The first line of an error's message; empty where it has none."""
    return str(error).strip().partition("\n")[0]


def slug(text: str, limit: int = 60) -> str:
    """A lower-case file name of a-z, 0-9 and "-", safe everywhere, from any text ("stack" from none)."""
    # NFKD splits "é" into "e" and its accent, so that only the accent is lost in ASCII
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    # cut before "-" is stripped: the cut may leave one at the end
    return re.sub(r"[^a-z0-9]+", "-", ascii_text.lower())[:limit].strip("-") or "stack"
