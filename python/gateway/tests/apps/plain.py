"""Callables that tests/embedding.rs imports."""

import threading


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}|{environ['wsgi.multithread']}".encode("latin-1")]


def create_app():
    def made(environ, start_response):
        body = environ["wsgi.input"].read()
        start_response("201 Froody", [("X-Length", str(len(body)))])
        yield b"made "
        yield threading.current_thread().name.encode()

    return made


class Holder:
    room = staticmethod(application)


def fails(environ, start_response):
    start_response("200 OK", [])
    raise LookupError("nothing here")


def aborts(environ, start_response):
    start_response("200 OK", [])
    yield b"begun"
    raise LookupError("nothing more")


def captured(environ, start_response):
    start_response("200 OK", [])
    return [repr(environ["wsgiorg.routing_args"]).encode()]


number = 7
