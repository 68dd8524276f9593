"""What the extension module has; see the package for how it is used."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Protocol, final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__version__: str

_Pairs = Mapping[str, str] | Sequence[tuple[str, str]]

class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...

class Application:
    """An application of Enfilade, which is a WSGI callable too."""

    def __new__(cls, app: WSGIApplication, /) -> Application: ...
    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse, /) -> Iterable[bytes]: ...
    def describe(self) -> str: ...
