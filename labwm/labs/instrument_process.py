"""The process in which an instrument measures: `python -m` this, with a pipe's number.

It ends when the pipe closes: with the process that started it, however that ends.
"""

import pickle
import sys
from multiprocessing.connection import Connection

from labwm.labs.instrument import Instrument, measured


def serve(connection: Connection) -> None:
    """Take an instrument, say None when it is ready, then measure until the end."""
    instrument: Instrument = pickle.loads(connection.recv_bytes())
    instrument.prepare()
    connection.send(None)
    while True:
        try:
            well = connection.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            answer = measured(instrument, well)
        except Exception as error:  # noqa: BLE001 - the caller raises it
            answer = error
        connection.send(answer)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
