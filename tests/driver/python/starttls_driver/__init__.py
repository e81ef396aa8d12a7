"""A driver: it lets `drive` play the rows of tests/vectors against an implementation in Python.

Subclass `Connection` for each side and protocol, and call `run`. README.md in the folder above explains the protocol of
lines that `run` speaks on standard input and output.
"""

import json
import sys

VERSION = 1


class Skip(Exception):
    """Raised by `Connection.__init__`: the implementation cannot play this row. The argument says why."""


class ProtocolError(Exception):
    """Raised by any method of a connection: the peer broke the protocol, and the connection is closed."""


class Connection:
    """One connection of the tested side. Its methods return the bytes that the side sends."""

    errors = (ProtocolError,)
    """The exceptions that close the connection; any other one ends the driver."""

    def __init__(self, row):
        """`row` is the row without its results: `protocol`, `policy`, `available`, `decide` and so on."""
        self.row = row
        self.required = row.get("policy", "required") == "required"
        self._state = {"state": "wait"}

    def begin(self, data: bytes) -> bytes:
        """The connection begins. `data` has arrived before the side could send anything, and is usually empty."""
        return self.receive(data) if data else b""

    def receive(self, data: bytes) -> bytes:
        """Bytes have arrived, all that there are at this time."""
        raise NotImplementedError

    def eof(self) -> bytes:
        """The peer has closed the connection."""
        return self.close("closed by the peer")

    def silence(self) -> bytes:
        """A wait for the peer has lasted for too long."""
        return self.close("timed out")

    def secured(self, verified: bool, data: bytes) -> bytes:
        """The handshake is complete. `data` has arrived inside TLS already, and is usually empty."""
        if self.required and not verified and self.row["role"] == "client":
            return self.close("the peer is not verified")
        return self.receive(data) if data else b""

    def failed(self) -> bytes:
        """The handshake failed."""
        return self.close("the handshake failed")

    def knows(self) -> str:
        """What the side has learned from its peer so far, for example its capabilities, in any form."""
        return ""

    def close(self, error=None, words: bytes = b"") -> bytes:
        """Closes the connection, because of an error or not, after sending `words`."""
        self._state = {"state": "closed", "error": error}
        return words

    def start_tls(self, words: bytes = b"", early: bytes = b"") -> bytes:
        """Starts TLS after sending `words`, and passes `early` to it, which has arrived already."""
        self._state = {"state": "upgrade", "early": early.decode("latin-1")}
        return words

    def continue_in_plaintext(self, words: bytes = b"") -> bytes:
        """Goes on without TLS, after sending `words`."""
        self._state = {"state": "plaintext"}
        return words

    def _hear(self, message):
        """The answer to a message."""
        self._state = {"state": "wait"}
        data = message.get("bytes", "").encode("latin-1")
        try:
            if message["do"] == "start":
                out = self.begin(data)
            elif message["do"] == "in":
                out = self.receive(data)
            elif message["do"] == "eof":
                out = self.eof()
            elif message["do"] == "silence":
                out = self.silence()
            elif message["result"] == "failed":
                out = self.failed()
            else:
                out = self.secured(message["result"] == "verified", data)
        except self.errors as error:
            out = self.close(f"{type(error).__name__}: {error}")
        return {"out": out.decode("latin-1"), "knows": self.knows(), **self._state}


def run(clients=None, servers=None):
    """Answers messages until the input ends. Each argument maps names of protocols to subclasses of `Connection`."""
    sides = {"client": clients or {}, "server": servers or {}}
    connection = None
    for line in sys.stdin:
        message = json.loads(line)
        if message["do"] == "start":
            try:
                connection = _begin(sides, message)
            except Skip as skip:
                _say({"skip": str(skip)})
                continue
        _say(connection._hear(message))


def _begin(sides, message):
    if message["version"] != VERSION:
        raise Skip(f"version {message['version']} of the protocol")
    row = message["row"]
    side = sides[row["role"]].get(row["protocol"])
    if side is None:
        raise Skip("not this protocol and role")
    return side(row)


def _say(answer):
    print(json.dumps(answer), flush=True)
