"""Serves one application: `serve.py waitress|1|4 site folder descriptor`, where 1 and 4 are Enfilade's threads."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

from sites import SITES


def main(server: str, site: str, folder: str, descriptor: str) -> None:
    listener = socket.socket(fileno=int(descriptor))
    application = SITES[site][0](Path(folder))
    if server == "waitress":
        import waitress

        # A redirect of the application may have the server's name and port.
        waitress.serve(application, sockets=[listener], threads=4, ident="enfilade")
        return
    import enfilade

    native = enfilade.Server(application, sockets=[listener.fileno()], threads=int(server))
    signal.signal(signal.SIGTERM, lambda number, frame: native.shutdown())
    native.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
