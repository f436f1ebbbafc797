"""Loopback ports: is one free, and a clear word when it is not."""

import errno
import socket
from typing import Final

from labwm.errors import UnavailableError

LOOPBACK: Final = "127.0.0.1"


def listen(port: int, what: str, *, host: str = LOOPBACK) -> socket.socket:
    """Return a socket bound to a port, ready to be served.

    Args:
        port: 0 takes any free one.
        what: Who wants it, for the message.
        host: Address to bind to.

    Raises:
        UnavailableError: If the port is taken or not allowed.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        why = "in use" if error.errno == errno.EADDRINUSE else str(error.strerror)
        raise UnavailableError(
            f"A server needs a free port; {host}:{port} for {what} is {why}. Stop what "
            "uses it, or name another port."
        ) from error
    return bound


def refuse_taken(port: int, what: str) -> None:
    """Refuse a port on loopback that something else listens on.

    Raises:
        UnavailableError: If it is taken.
    """
    listen(port, what).close()
