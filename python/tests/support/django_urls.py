"""The views of the Django site; see `sites.py`."""

from __future__ import annotations

import json
from typing import Any

from django.db import connection
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.urls import path

from support.sites import __file__ as this_file
from support.sites import digest, ticks


def user(request: HttpRequest, name: str) -> HttpResponse:
    return JsonResponse({"name": name, "query": request.GET.getlist("q"), "url": request.build_absolute_uri()})


def form(request: HttpRequest) -> HttpResponse:
    return JsonResponse(dict(request.POST.lists()))


def upload(request: HttpRequest) -> HttpResponse:
    file: Any = request.FILES["file"]
    data = file.read()
    return JsonResponse({"name": file.name, "length": len(data), "sha256": digest(data)})


def raw(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"length": len(request.body), "sha256": digest(request.body)})


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def blocks() -> Any:
        yield request.GET["prefix"].encode() + b"\n"
        yield from ticks()

    return StreamingHttpResponse(blocks(), content_type="text/plain")


def count(request: HttpRequest) -> HttpResponse:
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(str(request.session["count"]))


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("planned django")


def query(request: HttpRequest) -> HttpResponse:
    """Uses the database, and returns which connection of this process it used."""
    with connection.cursor() as cursor:
        cursor.execute("select 6 * 7")
        value = cursor.fetchone()[0]
    return JsonResponse({"value": value, "connection": id(connection.connection)})


def plain(text: str) -> Any:
    return lambda request: HttpResponse(text)


urlpatterns = [
    path("", plain("hello from django")),
    path("up", plain("up")),
    path("user/<name>", user),
    path("form", form),
    path("json", lambda request: JsonResponse({"got": json.loads(request.body)})),
    path("upload", upload),
    path("raw", raw),
    path("stream", stream),
    path("count", count),
    path("broken", broken),
    path("go", lambda request: HttpResponseRedirect("/user/moved")),
    path("download", lambda request: FileResponse(open(this_file, "rb"), content_type="text/x-python")),
    path("query", query),
]
