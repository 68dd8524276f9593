"""The Flask application of the benchmark."""

from __future__ import annotations

import flask

site = flask.Flask("site")


@site.get("/flask")
def index() -> str:
    return "Hello, World!"
