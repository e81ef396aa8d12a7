"""A submission server that misbehaves in one way, for one connection.

    misbehave.py CERTIFICATE KEY HOW FILE

Listens on loopback and prints "listening PORT". HOW is one of
- `no-starttls`, `454`;
- `plaintext` (after the go-ahead), `late` (plaintext instead of TLS's answer);
- `silent` (after the greeting), `closing` (421 to MAIL);
- `gone-WHERE`: the connection ends where the reply to WHERE is due, one of greeting EHLO STARTTLS
  handshake ehlo AUTH MAIL RCPT DATA body dot QUIT;
- `tls12`, `tls13`: no misbehaviour, with only this version of TLS.
FILE gets the client's lines: `plain ...`, `tls ...`, and `complete` for a whole message.
"""

import socket
import ssl
import sys
import time

REPLIES = {
    b"EHLO": b"250-localhost\r\n250-SIZE 1000000\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n",
    b"STARTTLS": b"220 2.0.0 Go ahead\r\n",
    b"ehlo": b"250-localhost\r\n250-SIZE 1000000\r\n250 AUTH PLAIN\r\n",
    b"AUTH": b"235 2.7.0 Welcome\r\n",
    b"MAIL": b"250 2.1.0 Ok\r\n",
    b"RCPT": b"250 2.1.5 Ok\r\n",
    b"DATA": b"354 Go on\r\n",
    b"dot": b"250 2.0.0 Taken\r\n",
    b"QUIT": b"221 2.0.0 Bye\r\n",
}
CHANGED = {
    "no-starttls": (b"EHLO", b"250-localhost\r\n250 AUTH PLAIN\r\n"),
    "454": (b"STARTTLS", b"454 4.7.0 TLS not available\r\n"),
    "plaintext": (b"STARTTLS", b"220 2.0.0 Go ahead\r\n250-localhost\r\n250 AUTH PLAIN\r\n"),
    "closing": (b"MAIL", b"421 4.3.2 Shutting down\r\n"),
}


class Gone(Exception):
    pass


class Server:
    def __init__(self, how, connection, said):
        self.how, self.connection, self.said = how, connection, said
        self.encrypted, self.unread = False, b""
        self.replies = dict(REPLIES)
        if how in CHANGED:
            place, reply = CHANGED[how]
            self.replies[place] = reply

    def arrive(self, where):
        if self.how == f"gone-{where}":
            raise Gone

    def line(self):
        while b"\r\n" not in self.unread:
            octets = self.connection.recv(4096)
            if not octets:
                raise Gone
            self.unread += octets
        line, self.unread = self.unread.split(b"\r\n", 1)
        return line

    def reply(self, where):
        self.arrive(where.decode())
        self.connection.sendall(self.replies[where])

    def run(self, context):
        self.arrive("greeting")
        self.connection.sendall(b"220 localhost ESMTP\r\n")
        if self.how == "silent":
            while self.connection.recv(4096):
                pass
            return
        while True:
            line = self.line()
            self.said.write(f"{'tls' if self.encrypted else 'plain'} {line.decode()}\n")
            word = line.split(b" ")[0].upper()
            if word == b"EHLO" and self.encrypted:
                word = b"ehlo"
            self.reply(word)
            if word == b"STARTTLS" and self.replies[word].startswith(b"220"):
                if self.how in ("gone-handshake", "late"):
                    self.connection.recv(1)
                    if self.how == "late":
                        self.connection.sendall(self.replies[b"ehlo"])
                    raise Gone
                self.connection = context.wrap_socket(self.connection, server_side=True)
                self.encrypted, self.unread = True, b""
            elif word == b"DATA":
                while self.line() != b".":
                    if self.how == "gone-body":
                        # Even a slow board sends the whole mail before it notices the end.
                        time.sleep(3)
                    self.arrive("body")
                self.said.write("complete\n")
                self.reply(b"dot")
            elif word == b"QUIT":
                return


def main(certificate, key, how, path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if how == "tls12":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(60)
    print("listening", listener.getsockname()[1], flush=True)
    connection, _ = listener.accept()
    connection.settimeout(60)
    with open(path, "w", encoding="ascii") as said:
        server = Server(how, connection, said)
        try:
            server.run(context)
        except (Gone, OSError):
            pass
        server.connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
