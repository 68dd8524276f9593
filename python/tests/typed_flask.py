"""Code of a user of Flask with types; `python/test` checks it with pyright. It is never run."""

from __future__ import annotations

from pathlib import Path
from wsgiref.simple_server import WSGIServer as StandardServer

from enfilade import Compression, Files, RateLimit, Router
from enfilade.simple_server import WSGIServer, make_server
from flask import Flask

flask_app = Flask(__name__)
flask_app.wsgi_app = Compression(flask_app.wsgi_app)
flask_app.wsgi_app = RateLimit(app=flask_app.wsgi_app, requests=5, period=1.5)
flask_app.wsgi_app = Files(Path("public"), flask_app.wsgi_app, single_page="index.html", single_page_except=["/api"])
router = Router({"/users/{id:int}": flask_app, "/": flask_app.wsgi_app})
server: WSGIServer = make_server("", 8000, router)


class Other(StandardServer):
    """A server of the standard library."""


other: Other = make_server("", 8000, flask_app, server_class=Other)
reason: str | None = server.fallback_reason()
