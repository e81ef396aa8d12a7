"""A toy client of IMAP up to TLS, as an example of a driver. `--fault` makes it keep what follows the go-ahead."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from starttls_driver import Connection, ProtocolError, run  # noqa: E402

FAULT = "--fault" in sys.argv
LONGEST = 65535
LITERAL = re.compile(rb"\{(\d{1,9})\+?\}\r\n$")


class Client(Connection):
    def __init__(self, row):
        super().__init__(row)
        self.buffer = b""
        self.tag = 0
        self.capabilities = None
        self.step = self.greeting
        self.unsent = False
        self.untagged = []

    def secured(self, verified, data):
        self.capabilities, self.step = None, self.inside
        return super().secured(verified, data) or (
            b"" if self._state["state"] == "closed" else self.send(b"CAPABILITY") + self.receive(data)
        )

    def receive(self, data):
        self.buffer += data
        self.unsent = False
        out = b""
        while (response := self.response()) is not None:
            out += self.step(response)
            if self._state["state"] == "upgrade" and self.buffer and not FAULT:
                raise ProtocolError("plaintext after the go-ahead")
            if self._state["state"] != "wait":
                return out
        return out

    def response(self):
        """The next response with its literals, if all of it is there."""
        end = 0
        while True:
            end = self.buffer.find(b"\n", end) + 1
            part = self.buffer[: end or len(self.buffer)]
            if len(part) > LONGEST or b"\0" in part or re.search(rb"(?<!\r)\n|\r(?!\n|$)", part):
                raise ProtocolError("not a line")
            if not end:
                return None
            literal = LITERAL.search(part)
            if literal is None:
                self.buffer = self.buffer[end:]
                return part[:-2]
            end += int(literal[1])
            if end > LONGEST:
                raise ProtocolError("too long")

    def knows(self):
        return repr((self.capabilities, self.untagged))

    def send(self, command):
        self.tag += 1
        self.unsent = True
        return b"BCDEFGHI%d %s\r\n" % (self.tag, command)

    def status(self, response):
        """The word of the reply to the last command; none for other responses."""
        tag, _, rest = response.partition(b" ")
        word, blank, text = rest.partition(b" ")
        if tag == b"*":
            if word.upper() == b"BYE":
                raise ProtocolError("goodbye")
            if word.upper() == b"CAPABILITY" and self.step == self.listing:
                self.capabilities = text.upper().split(b" ")
            return None
        if tag != b"BCDEFGHI%d" % self.tag or word.upper() not in (b"OK", b"NO", b"BAD"):
            raise ProtocolError("no reply to the command")
        if self.unsent:
            raise ProtocolError("a reply before its command")
        self.noted(text)
        return word.upper()

    def noted(self, text):
        code = re.match(rb"\[CAPABILITY ([^\]]*)\]", text, re.IGNORECASE)
        if code and self.step in (self.greeting, self.listing):
            self.capabilities = code[1].upper().split(b" ")

    def greeting(self, response):
        match = re.fullmatch(rb"\* OK(?: (.*))?", response, re.IGNORECASE | re.DOTALL)
        if not match:
            if not self.required and re.match(rb"\* PREAUTH\b", response, re.IGNORECASE):
                return self.continue_in_plaintext()
            raise ProtocolError("no greeting")
        self.noted(match[1] or b"")
        if self.capabilities is not None:
            return self.ask()
        self.step = self.listing
        return self.send(b"CAPABILITY")

    def listing(self, response):
        status = self.status(response)
        if status is None:
            return b""
        return self.ask() if status == b"OK" else self.without()

    def ask(self):
        if b"STARTTLS" not in (self.capabilities or []):
            return self.without()
        self.step = self.go_ahead
        return self.send(b"STARTTLS")

    def go_ahead(self, response):
        status = self.status(response)
        if status is None:
            return b""
        return self.start_tls() if status == b"OK" else self.without()

    def without(self):
        return self.close("no TLS") if self.required else self.continue_in_plaintext()

    def inside(self, response):
        status = self.status(response)
        if status is None:
            self.untagged.append(response)
        return self.send(b"NOOP") if status else b""


run(clients={"imap": Client})
