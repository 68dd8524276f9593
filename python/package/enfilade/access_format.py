"""Formats of the access log: names, Apache's syntax, and gunicorn's, which is translated."""

from __future__ import annotations

import re

NAMES = ("combined", "common", "vhost_combined", "json")

ATOMS = {
    "h": "%h", "l": "%l", "u": "%u", "t": "%t", "r": "%r", "m": "%m", "U": "%U", "H": "%H", "s": "%s", "b": "%b", "B": "%B",
    "f": "%{Referer}i", "a": "%{User-Agent}i", "T": "%T", "M": "%{ms}T", "D": "%D", "p": "<%P>",
}
"""Apache's directive for each of gunicorn's."""

REFUSED = {
    "q": "write it as ?%(q)s",
    "L": "write %(D)s, in microseconds, or %(M)s, in milliseconds",
}

ATOM = re.compile(r"\?%\(q\)s|%\(([^()]*)\)(s?)|%%|%")


def translated(text: str) -> str:
    """Returns a format in Apache's syntax for one of gunicorn's; any other as it is. Raises ValueError."""
    return ATOM.sub(atom, text) if "%(" in text else text


def atom(match: re.Match[str]) -> str:
    text, name = match[0], match[1]
    if text == "?%(q)s":
        return "%q"
    if text == "%%":
        return text
    if name is None:
        raise ValueError("a \"%\" is not followed by \"(\": write %% for a percent sign, and do not mix Apache's syntax with gunicorn's")
    if not match[2]:
        raise ValueError(f"{text!r} does not end with \"s\"")
    if name in ATOMS:
        return ATOMS[name]
    inner, kind = name[:-1], name[-1:]
    if inner.startswith("{") and inner.endswith("}") and len(inner) > 2 and kind in ("i", "o", "e"):
        return f"%{inner}{kind}"
    raise ValueError(f"{text!r} cannot be logged: {REFUSED.get(name, 'it is not one of the names of gunicorn')}")
