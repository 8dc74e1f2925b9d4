"""Pieces of HTML that are readable in a dark theme, in a light one, and without any style.

Notebooks are shown by programs that take styles, scripts or both away (GitHub, VS Code, Colab). So
what is said stands in the text, styles stand in attributes, colours of text are those of the page,
and a script only adds to what is there.
"""

from __future__ import annotations

import hashlib
from html import escape
from typing import Optional

__all__ = ["clock", "escape", "lane", "mark_of", "root", "small"]

_LANES = ("#4c8dd6", "#d9822b", "#3f9e5a", "#b565c4", "#d1515b", "#2aa3a3", "#a58a2c", "#8a8f98")
"""Seen on white and on black: a bar beside what a speaker says."""


def clock(seconds: Optional[float]) -> str:
    """Return a time as ``m:ss`` or ``h:mm:ss``; "" for none."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def lane(number: int) -> str:
    """Return the colour of a speaker by the order in which speakers come."""
    return _LANES[number % len(_LANES)]


def small(text: str) -> str:
    """Return a text as an aside."""
    return f'<small style="opacity:.7">{escape(text)}</small>' if text else ""


def mark_of(html: str) -> str:
    """Return an id that is the same for the same content, so that saved notebooks do not differ."""
    return "speechmatics-" + hashlib.sha256(html.encode()).hexdigest()[:12]


def root(html: str, script: str = "") -> str:
    """Return content in an element of its own, with a script that finds it as ``root``.

    The text of the script ends no script element: it is this package's own.
    """
    html = html.encode("utf-8", "replace").decode()  # half of a surrogate pair cannot be sent
    mark = mark_of(html)
    opened = f'<div id="{mark}" style="line-height:1.5;max-width:60em">{html}'
    if not script:
        return f"{opened}</div>"
    # A page may show one output twice, so the script's own place counts before the id.
    return (
        f"{opened}<script>(function () {{\n"
        "const here = document.currentScript && document.currentScript.parentElement;\n"
        f'const root = here && here.id === "{mark}" ? here : document.getElementById("{mark}");\n'
        "if (!root || root.dataset.ready) return;\n"
        'root.dataset.ready = "yes";\n'
        f"{script}}})();</script></div>"
    )
