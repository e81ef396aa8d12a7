"""A toy server of SMTP up to TLS, as an example of a driver. `--fault` makes it keep what follows STARTTLS."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from starttls_driver import Connection, Skip, run  # noqa: E402

FAULT = "--fault" in sys.argv
LONGEST = 512


class Server(Connection):
    def __init__(self, row):
        if "mail" in row:
            raise Skip("receives no mail")
        super().__init__(row)
        self.available = row.get("available", True)
        self.decisions = list(row.get("decide", []))
        self.buffer = b""
        self.greeted = False
        self.inside = False

    def begin(self, data):
        return b"220 mx.example.org\r\n" + self.receive(data)

    def secured(self, verified, data):
        self.inside, self.greeted = True, False
        return self.receive(data)

    def receive(self, data):
        self.buffer += data
        out = b""
        while True:
            line, end, rest = self.buffer.partition(b"\n")
            whole = line + end
            if b"\0" in whole or b"\r" in whole[:-2] or end and not line.endswith(b"\r"):
                return self.close("not a line", out + b"500 5.5.2 not a line\r\n")
            if len(whole) > LONGEST:
                return self.close("too long", out + b"500 5.5.2 too long\r\n")
            if not end:
                return out
            self.buffer = rest
            out += self.command(line.rstrip(b"\r"))
            if self._state["state"] != "wait":
                return out

    def command(self, line):
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        if b" HTTP/" in line:
            return self.close("a browser")
        if verb == b"QUIT" and not argument:
            return self.close(None, b"221 bye\r\n")
        if verb == b"NOOP" or verb == b"RSET" and not self.required:
            return b"250 ok\r\n"
        if verb == b"EHLO" or verb == b"HELO" and not self.required:
            if not argument.strip():
                return b"501 whose?\r\n"
            self.greeted = verb == b"EHLO"
            offers = verb == b"EHLO" and self.available and not self.inside
            return b"250-mx.example.org\r\n250 STARTTLS\r\n" if offers else b"250 mx.example.org\r\n"
        if verb == b"STARTTLS":
            return self.starttls(argument.strip())
        if self.required and not self.inside:
            return b"530 5.7.0 STARTTLS first\r\n"
        if verb == b"MAIL" and self.greeted:
            return self.continue_in_plaintext()
        return b"502 5.5.1 no\r\n"

    def starttls(self, argument):
        if argument:
            return b"501 5.5.4 no parameters\r\n"
        if self.inside or not self.greeted:
            return b"503 5.5.1 not now\r\n"
        if not self.available or self.decisions and self.decisions.pop(0) == "refuse":
            return b"454 4.7.0 not available\r\n"
        early = b"" if FAULT else self.buffer
        if early and not b"\x16\x03".startswith(early[:2]):
            return self.close("plaintext after STARTTLS", b"554 5.5.0 wait for the go-ahead\r\n")
        if not FAULT:
            self.buffer = b""
        return self.start_tls(b"220 go\r\n", early)


run(servers={"smtp": Server})
