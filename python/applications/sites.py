"""The applications: how each is made, in an empty folder, and the requests that it gets.

A request is (method, path), (method, path, body) or (method, path, body, headers). A body that is a dict is sent as a form; in its
values `{cookie}` stands for the cookie of that name. The client keeps cookies, and follows no redirects.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

Requests = list[tuple[Any, ...]]


def bottle_site(folder: Path) -> Any:
    import bottle

    site = bottle.Bottle()

    @site.route("/<name>")
    def hello(name: str) -> str:
        return str(bottle.template("Hello <b>{{name}}</b>", name=name))

    @site.post("/form")
    def form() -> dict[str, Any]:
        return {"sent": dict(bottle.request.forms), "agent": bottle.request.headers.get("X-Agent")}

    @site.route("/file/<path:path>")
    def file(path: str) -> Any:
        return bottle.static_file(path, root=str(folder))

    (folder / "file.txt").write_text("text " * 1000)
    return site


BOTTLE: Requests = [("GET", "/w%C3%B6rld"), ("GET", "/no/thing"), ("POST", "/form", {"a": "1", "b": "zwei"}, {"X-Agent": "me"}),
                    ("GET", "/file/file.txt"), ("GET", "/file/file.txt", b"", {"Range": "bytes=5-9"}), ("HEAD", "/file/file.txt"),
                    ("GET", "/file/missing.txt"), ("PUT", "/form", b"x")]


def flask_site(folder: Path) -> Any:
    import flask
    import flask_login
    from flask_admin import Admin, BaseView, expose

    site = flask.Flask(__name__)
    site.secret_key = "fixed for the comparison"
    manager = flask_login.LoginManager(site)

    class User(flask_login.UserMixin):
        id = "anna"

    class Report(BaseView):
        @expose("/")
        def index(self) -> str:
            return "the report"

        def is_accessible(self) -> bool:
            return bool(flask_login.current_user.is_authenticated)

    manager.user_loader(lambda name: User())
    Admin(site).add_view(Report(name="Report", endpoint="report"))

    @site.post("/login")
    def login() -> Any:
        if flask.request.form["password"] != "right":
            flask.abort(401)
        flask_login.login_user(User())
        return flask.redirect("/private")

    @site.route("/private")
    @flask_login.login_required  # type: ignore[untyped-decorator]
    def private() -> str:
        return f"hello {flask_login.current_user.id}"

    @site.route("/stream")
    def stream() -> Any:
        return flask.Response(flask.stream_with_context(f"{flask.request.args['n']}-{number}\n" for number in range(50)))

    @site.post("/upload")
    def upload() -> Any:
        return {name: len(flask.request.files[name].read()) for name in flask.request.files}

    return site


UPLOAD = (b'--bound\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + b"x" * 300_000 + b"\r\n--bound--\r\n")
FLASK: Requests = [("GET", "/private"), ("POST", "/login", {"password": "wrong"}), ("POST", "/login", {"password": "right"}),
                   ("GET", "/private"), ("GET", "/admin/"), ("GET", "/admin/report/"), ("GET", "/stream?n=a"), ("OPTIONS", "/login"),
                   ("POST", "/upload", UPLOAD, {"Content-Type": "multipart/form-data; boundary=bound"}), ("HEAD", "/stream?n=a")]


def django_site(folder: Path) -> Any:
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    apps = ["admin", "auth", "contenttypes", "sessions", "messages", "staticfiles"]
    middleware = ["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
                  "django.contrib.auth.middleware.AuthenticationMiddleware", "django.contrib.messages.middleware.MessageMiddleware"]
    processors = ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
                  "django.contrib.messages.context_processors.messages"]
    settings.configure(
        SECRET_KEY="fixed for the comparison", ALLOWED_HOSTS=["*"], DEBUG=False, ROOT_URLCONF="django_urls", USE_TZ=True, STATIC_URL="/static/",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db")}},
        INSTALLED_APPS=[f"django.contrib.{name}" for name in apps], MIDDLEWARE=middleware,
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
                    "OPTIONS": {"context_processors": processors}}])
    django.setup()
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User

    User.objects.create_superuser("anna", "anna@example.org", "right")
    return get_wsgi_application()


DJANGO: Requests = [
    ("GET", "/admin/"), ("GET", "/admin/login/?next=/admin/"),
    ("POST", "/admin/login/?next=/admin/", {"username": "anna", "password": "wrong", "csrfmiddlewaretoken": "{csrftoken}"}),
    ("POST", "/admin/login/?next=/admin/", {"username": "anna", "password": "right", "csrfmiddlewaretoken": "{csrftoken}"}),
    ("GET", "/admin/"), ("GET", "/admin/auth/user/"),
    ("POST", "/admin/auth/group/add/", {"name": "editors", "csrfmiddlewaretoken": "{csrftoken}"}), ("GET", "/admin/auth/group/"),
    ("GET", "/admin/auth/group/1/change/"), ("GET", "/nothing"), ("POST", "/admin/auth/group/add/", {"name": "forged"})]


def pyramid_site(folder: Path) -> Any:
    from pyramid.config import Configurator
    from pyramid.httpexceptions import HTTPFound
    from pyramid.response import Response

    with Configurator() as config:
        config.add_route("hello", "/hello/{name}")
        config.add_view(lambda request: Response(f"hello {request.matchdict['name']}"), route_name="hello")
        config.add_route("json", "/json")
        config.add_view(lambda request: {"got": request.json_body}, route_name="json", renderer="json", request_method="POST")
        config.add_route("away", "/away")
        config.add_view(lambda request: HTTPFound("/hello/you"), route_name="away")
        return config.make_wsgi_app()


PYRAMID: Requests = [("GET", "/hello/anna"), ("POST", "/json", b'{"a": [1, 2]}', {"Content-Type": "application/json"}), ("GET", "/away"),
                     ("GET", "/nothing"), ("HEAD", "/hello/anna"), ("GET", "/json")]


def falcon_site(folder: Path) -> Any:
    import falcon

    class Things:
        def on_get(self, request: Any, response: Any, number: int) -> None:
            response.media = {"number": number, "query": request.params}

        def on_put(self, request: Any, response: Any, number: int) -> None:
            response.data = request.bounded_stream.read()
            response.status = falcon.HTTP_201

    site = falcon.App()
    site.add_route("/things/{number:int}", Things())
    return site


FALCON: Requests = [("GET", "/things/5?a=1&a=2"), ("PUT", "/things/5", b"\x00\xff" * 5000), ("GET", "/things/x"), ("DELETE", "/things/5"),
                    ("OPTIONS", "/things/5")]


def cherrypy_site(folder: Path) -> Any:
    import cherrypy

    class Root:
        @cherrypy.expose  # type: ignore[untyped-decorator]
        def index(self, name: str = "world") -> str:
            return f"hello {name}"

        @cherrypy.expose  # type: ignore[untyped-decorator]
        def count(self) -> str:
            cherrypy.session["count"] = cherrypy.session.get("count", 0) + 1
            return str(cherrypy.session["count"])

    cherrypy.config.update({"environment": "embedded", "log.screen": False})
    return cherrypy.Application(Root(), "", {"/": {"tools.sessions.on": True, "tools.gzip.on": True}})


CHERRYPY: Requests = [("GET", "/"), ("GET", "/?name=anna"), ("GET", "/count"), ("GET", "/count"), ("POST", "/", {"name": "bo"}),
                      ("GET", "/nothing"), ("GET", "/?nonsense=1"), ("GET", "/", b"", {"Accept-Encoding": "gzip"})]


def dash_site(folder: Path) -> Any:
    import dash

    site = dash.Dash(__name__)
    site.layout = dash.html.Div([dash.dcc.Input(id="in", value="x"), dash.html.Div(id="out")])
    site.callback(dash.Output("out", "children"), dash.Input("in", "value"))(lambda value: f"you wrote {value}")
    return site.server


CALLBACK = (b'{"output":"out.children","outputs":{"id":"out","property":"children"},"inputs":[{"id":"in","property":"value","value":"abc"}],'
            b'"changedPropIds":["in.value"]}')
DASH: Requests = [("GET", "/"), ("GET", "/_dash-layout"), ("GET", "/_dash-dependencies"),
                  ("POST", "/_dash-update-component", CALLBACK, {"Content-Type": "application/json"}), ("GET", "/_dash-component-suites/no.js")]


def wsgidav_site(folder: Path) -> Any:
    from wsgidav.wsgidav_app import WsgiDAVApp

    (folder / "files").mkdir()
    return WsgiDAVApp({"provider_mapping": {"/": str(folder / "files")}, "simple_dc": {"user_mapping": {"*": True}}, "verbose": 0,
                       "logging": {"enable_loggers": []}, "lock_storage": True})


WSGIDAV: Requests = [("OPTIONS", "/"), ("MKCOL", "/a"), ("PUT", "/a/f.txt", b"content " * 5000), ("GET", "/a/f.txt"),
                     ("PROPFIND", "/a", b"", {"Depth": "1"}), ("COPY", "/a/f.txt", b"", {"Destination": "http://site.test/a/g.txt"}),
                     ("MOVE", "/a/g.txt", b"", {"Destination": "http://site.test/a/h.txt"}), ("GET", "/a/h.txt", b"", {"Range": "bytes=0-9"}),
                     ("DELETE", "/a"), ("GET", "/a/f.txt"), ("GET", "/")]


def radicale_site(folder: Path) -> Any:
    (folder / "config").write_text(f"[auth]\ntype = none\n[storage]\nfilesystem_folder = {folder}/collections\n")
    os.environ["RADICALE_CONFIG"] = str(folder / "config")
    import radicale

    return radicale.application


EVENT = (b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260101T100000Z\r\n"
         b"SUMMARY:Tea\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
ANNA = {"Authorization": "Basic YW5uYTp4"}
RADICALE: Requests = [("MKCALENDAR", "/anna/cal/", b"", ANNA), ("PUT", "/anna/cal/1.ics", EVENT, {**ANNA, "Content-Type": "text/calendar"}),
                      ("GET", "/anna/cal/1.ics", b"", ANNA), ("PROPFIND", "/anna/", b"", {**ANNA, "Depth": "1"}),
                      ("GET", "/.well-known/caldav"), ("DELETE", "/anna/cal/1.ics", b"", ANNA), ("GET", "/anna/cal/1.ics", b"", ANNA)]


def hgweb_site(folder: Path) -> Any:
    hg = [str(Path(sys.executable).parent / "hg")]
    path = folder / "repository"
    commit = ["commit", "-A", "-m", "first", "-u", "anna", "-d", "0 0"]
    subprocess.run([*hg, "init", str(path)], check=True, env={**os.environ, "HGPLAIN": "1"})
    (path / "file.txt").write_text("line\n" * 100)
    subprocess.run([*hg, *commit], cwd=path, check=True, capture_output=True, env={**os.environ, "HGPLAIN": "1"})
    from mercurial.hgweb import hgweb

    return hgweb(os.fsencode(path))


HGWEB: Requests = [("GET", "/"), ("GET", "/file/tip/file.txt"), ("GET", "/raw-file/tip/file.txt"), ("GET", "/rev/0"), ("GET", "/?cmd=capabilities"),
                   ("GET", "/?cmd=branchmap"), ("GET", "/static/style-paper.css"), ("GET", "/nothing")]


def pypiserver_site(folder: Path) -> Any:
    import pypiserver

    (folder / "packages").mkdir()
    (folder / "packages" / "thing-1.0.tar.gz").write_bytes(b"not really" * 2000)
    return pypiserver.app(roots=[str(folder / "packages")], password_file=".", authenticate=[], disable_fallback=True)


PYPISERVER: Requests = [("GET", "/"), ("GET", "/simple/"), ("GET", "/simple/thing/"), ("GET", "/simple/nothing/"), ("GET", "/packages/"),
                        ("GET", "/packages/thing-1.0.tar.gz"), ("HEAD", "/packages/thing-1.0.tar.gz"), ("GET", "/simple")]


def trac_site(folder: Path) -> Any:
    environment = str(folder / "trac")
    admin = [str(Path(sys.executable).parent / "trac-admin"), environment, "initenv", "Shop", "sqlite:db/trac.db"]
    subprocess.run(admin, check=True, capture_output=True)
    os.environ["TRAC_ENV"] = environment
    from trac.web.main import dispatch_request

    return dispatch_request


TRAC: Requests = [("GET", "/"), ("GET", "/wiki/WikiFormatting"), ("GET", "/report"), ("GET", "/timeline"), ("GET", "/nothing"),
                  ("GET", "/chrome/common/css/trac.css"), ("GET", "/search?q=wiki&noquickjump=1&wiki=on")]

SITES = {
    "bottle": (bottle_site, BOTTLE), "flask": (flask_site, FLASK), "django": (django_site, DJANGO), "pyramid": (pyramid_site, PYRAMID),
    "falcon": (falcon_site, FALCON), "cherrypy": (cherrypy_site, CHERRYPY), "dash": (dash_site, DASH), "wsgidav": (wsgidav_site, WSGIDAV),
    "radicale": (radicale_site, RADICALE), "hgweb": (hgweb_site, HGWEB), "pypiserver": (pypiserver_site, PYPISERVER),
    "trac": (trac_site, TRAC),
}
