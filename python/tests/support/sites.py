"""The same small site in Flask, Django and Bottle: routes, forms, uploads, streaming, sessions and error pages.

Each is also there inside `wsgiref.validate.validator`, as `checked_...`.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from typing import Any
from wsgiref.validate import validator

BLOCK = b"0123456789abcdef" * 4096


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def ticks() -> Iterator[bytes]:
    for number in range(3):
        yield b"tick %d\n" % number
        time.sleep(0.2)


# Flask


def make_flask() -> Any:
    import flask

    site = flask.Flask("site")
    site.secret_key = "for tests alone"

    @site.get("/")
    def index() -> str:
        return "hello from flask"

    @site.get("/up")
    def up() -> str:
        return "up"

    @site.get("/user/<name>")
    def user(name: str) -> Any:
        return {"name": name, "query": flask.request.args.getlist("q"), "url": flask.request.url}

    @site.post("/form")
    def form() -> Any:
        return {key: flask.request.form.getlist(key) for key in flask.request.form}

    @site.post("/json")
    def as_json() -> Any:
        return {"got": flask.request.get_json()}

    @site.post("/upload")
    def upload() -> Any:
        file = flask.request.files["file"]
        data = file.read()
        return {"name": file.filename, "length": len(data), "sha256": digest(data)}

    @site.post("/raw")
    def raw() -> Any:
        data = flask.request.get_data()
        return {"length": len(data), "sha256": digest(data)}

    @site.get("/stream")
    def stream() -> Any:
        def blocks() -> Iterator[bytes]:
            yield flask.request.args["prefix"].encode() + b"\n"
            yield from ticks()

        return flask.Response(flask.stream_with_context(blocks()), mimetype="text/plain")

    @site.get("/count")
    def count() -> str:
        flask.session["count"] = flask.session.get("count", 0) + 1
        return str(flask.session["count"])

    @site.get("/broken")
    def broken() -> str:
        raise RuntimeError("planned flask")

    @site.get("/go")
    def go() -> Any:
        return flask.redirect("/user/moved")

    @site.get("/download")
    def download() -> Any:
        return flask.send_file(__file__, mimetype="text/x-python", conditional=True)

    return site


# Django


def make_django() -> Any:
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application

    settings.configure(
        DEBUG=False, SECRET_KEY="for tests alone", ALLOWED_HOSTS=["*"], ROOT_URLCONF="support.django_urls",
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware"],
        INSTALLED_APPS=["django.contrib.sessions", "django.contrib.contenttypes"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("SITE_DATABASE", ":memory:"),
                               "CONN_MAX_AGE": None}},
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        LOGGING={"version": 1, "disable_existing_loggers": False, "handlers": {"console": {"class": "logging.StreamHandler"}},
                 "loggers": {"django.request": {"handlers": ["console"], "level": "ERROR"}}},
        FILE_UPLOAD_MAX_MEMORY_SIZE=100_000, USE_TZ=True)
    django.setup()
    return get_wsgi_application()


# Bottle


def make_bottle() -> Any:
    import bottle

    site = bottle.Bottle()
    request, response = bottle.request, bottle.response

    @site.get("/")  # type: ignore[untyped-decorator, unused-ignore]
    def index() -> str:
        return "hello from bottle"

    @site.get("/up")  # type: ignore[untyped-decorator, unused-ignore]
    def up() -> str:
        return "up"

    @site.get("/user/<name>")  # type: ignore[untyped-decorator, unused-ignore]
    def user(name: str) -> Any:
        return {"name": name, "query": request.query.decode().getall("q"), "url": request.url}

    @site.post("/form")  # type: ignore[untyped-decorator, unused-ignore]
    def form() -> Any:
        return {key: request.forms.decode().getall(key) for key in request.forms}

    @site.post("/json")  # type: ignore[untyped-decorator, unused-ignore]
    def as_json() -> Any:
        return {"got": request.json}

    @site.post("/upload")  # type: ignore[untyped-decorator, unused-ignore]
    def upload() -> Any:
        file = request.files["file"]
        data = file.file.read()
        return {"name": file.raw_filename, "length": len(data), "sha256": digest(data)}

    @site.post("/raw")  # type: ignore[untyped-decorator, unused-ignore]
    def raw() -> Any:
        data = request.body.read()
        return {"length": len(data), "sha256": digest(data)}

    @site.get("/stream")  # type: ignore[untyped-decorator, unused-ignore]
    def stream() -> Any:
        response.content_type = "text/plain"
        yield request.query.prefix.encode() + b"\n"
        yield from ticks()

    @site.get("/count")  # type: ignore[untyped-decorator, unused-ignore]
    def count() -> str:
        number = int(request.get_cookie("count", "0", secret="for tests alone")) + 1
        response.set_cookie("count", str(number), secret="for tests alone")
        return str(number)

    @site.get("/broken")  # type: ignore[untyped-decorator, unused-ignore]
    def broken() -> str:
        raise RuntimeError("planned bottle")

    @site.get("/go")  # type: ignore[untyped-decorator, unused-ignore]
    def go() -> None:
        bottle.redirect("/user/moved")

    @site.get("/download")  # type: ignore[untyped-decorator, unused-ignore]
    def download() -> Any:
        return bottle.static_file(os.path.basename(__file__), root=os.path.dirname(__file__), mimetype="text/x-python")

    return site


def __getattr__(name: str) -> Any:
    """Makes the sites by name on demand: `flask`, or `checked_flask` inside the validator."""
    makers = {"flask": make_flask, "django": make_django, "bottle": make_bottle}
    kind = name.removeprefix("checked_")
    if kind not in makers:
        raise AttributeError(name)
    site = makers[kind]()
    return site if kind == name else validator(site)
