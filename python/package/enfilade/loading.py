"""Finds the application that `module:callable` names, and explains why if it cannot."""

from __future__ import annotations

import _thread
import ast
import importlib
import sys
import traceback
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # `wsgiref.types` is not in Python 3.10.
    from _typeshed.wsgi import WSGIApplication


class LoadError(Exception):
    """The application cannot be loaded; the text has the reason, with the traceback if the application's code failed."""


def load(name: str, factory: bool = False) -> WSGIApplication:
    """Returns the application of `module:attribute.path`, `module:factory(...)` or `module`.

    The arguments of a call must be literals, as for gunicorn. Raises LoadError, with a text for the user.
    """
    module_name, _, expression = name.partition(":")
    if not module_name:
        raise LoadError(f"{name!r} has no module: write it as module:callable")
    module = imported(module_name)
    application = evaluate(module, module_name, expression) if expression else default_of(module, module_name)
    if factory:
        application = called(application, name, (), {})
    if not callable(application):
        raise LoadError(f"{name!r} is not an application: an object of type {type(application).__name__} is not callable")
    result: WSGIApplication = application
    return result


def check_threads(threads: int, tls: bool) -> None:
    """Raises LoadError if the application has replaced the system's threads with greenlets, and the server needs threads.

    Greenlets run only while the thread that started them waits in the library that made them, and the server waits in Rust.
    """
    if isinstance(_thread.start_new_thread, BuiltinFunctionType) or (threads == 1 and not tls):
        return
    needs = "--threads 1" if threads > 1 else "a proxy for TLS"
    raise LoadError("the application replaces threads with greenlets (such as by gevent.monkey.patch_all()), which works only on "
                    f"one thread without TLS: use {needs}, with more --workers, or remove the patch")


def imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise LoadError(f"no module {error.name!r}; searched in {', '.join(path or '.' for path in sys.path[:3])} ...") from error
        raise LoadError(f"module {name!r} does not load:\n{traceback.format_exc()}") from error
    except SystemExit as error:
        raise LoadError(f"module {name!r} exited ({error}) while it was imported") from error
    except Exception as error:
        raise LoadError(f"module {name!r} does not load:\n{traceback.format_exc()}") from error


def default_of(module: Any, name: str) -> Any:
    for attribute in ("application", "app"):
        if hasattr(module, attribute):
            return getattr(module, attribute)
    raise LoadError(f"module {name!r} has neither `application` nor `app`: write {name}:callable")


def evaluate(module: Any, module_name: str, expression: str) -> Any:
    """Returns the value of `attribute.path`, or the result of a call of it with literals."""
    try:
        node = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError):
        raise LoadError(f"{expression!r} is neither an attribute nor a call") from None
    if not isinstance(node, ast.Call):
        return attribute(module, module_name, node, expression)
    function = attribute(module, module_name, node.func, expression)
    try:
        arguments = [ast.literal_eval(each) for each in node.args]
        keywords = {each.arg: ast.literal_eval(each.value) for each in node.keywords if each.arg}
    except ValueError:
        raise LoadError(f"the arguments in {expression!r} must be literals") from None
    return called(function, f"{module_name}:{expression}", arguments, keywords)


def attribute(module: Any, module_name: str, node: ast.expr, expression: str) -> Any:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise LoadError(f"{expression!r} is neither an attribute nor a call")
    value, place = module, f"module {module_name!r}"
    for name in [node.id, *reversed(names)]:
        if not hasattr(value, name):
            raise LoadError(f"{place} has no attribute {name!r}{similar(value, name)}")
        value, place = getattr(value, name), repr(name)
    return value


def similar(value: Any, name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, [each for each in dir(value) if not each.startswith("_")], 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def called(function: Any, name: str, arguments: Any, keywords: dict[str, Any]) -> Any:
    if not callable(function):
        raise LoadError(f"{name!r} is not a factory: an object of type {type(function).__name__} is not callable")
    try:
        return function(*arguments, **keywords)
    except Exception as error:
        raise LoadError(f"factory {name!r} failed:\n{traceback.format_exc()}") from error
