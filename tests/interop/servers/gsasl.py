#!/usr/bin/env python3
"""A submission server that authenticates by GNU SASL's library, with a channel binding.

    gsasl.py CERTIFICATE KEY DIR USER PASSWORD MECHANISM...

It prints "listening PORT" and, for each login, the mechanism and the client's channel binding;
stores mails in DIR; and ends after ten minutes.  No packaged mail server has SCRAM-SHA-256-PLUS.
"""

import base64
import ctypes
import os
import signal
import socket
import sys

from OpenSSL import SSL

certificate, key, directory, user, password, *mechanisms = sys.argv[1:]

library = ctypes.CDLL("libgsasl.so.18")
library.gsasl_property_get.restype = ctypes.c_char_p
library.gsasl_strerror.restype = ctypes.c_char_p
# From gsasl.h.
OK, NEEDS_MORE, AUTHID, PASSWORD, CB_TLS_EXPORTER = 0, 1, 1, 3, 25


class Stream:
    """Lines over a socket, and later over TLS, without bytes buffered before it."""

    def __init__(self, connection):
        self.connection, self.pending = connection, b""

    def line(self):
        while b"\r\n" not in self.pending:
            piece = self.connection.recv(16384)
            if not piece:
                raise EOFError
            self.pending += piece
        line, self.pending = self.pending.split(b"\r\n", 1)
        return line

    def say(self, *lines):
        self.connection.sendall(b"".join(line.encode() + b"\r\n" for line in lines))


def authenticate(stream, argument):
    """Whether the exchange succeeds; `argument` is the text after AUTH."""
    mechanism, _, response = argument.partition(" ")
    if mechanism not in mechanisms:
        return False
    context, session = ctypes.c_void_p(), ctypes.c_void_p()
    library.gsasl_init(ctypes.byref(context))
    try:
        if library.gsasl_server_start(context, mechanism.encode(), ctypes.byref(session)) != OK:
            return False
        exported = stream.connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        for name, value in (PASSWORD, password.encode()), (CB_TLS_EXPORTER,
                                                            base64.b64encode(exported)):
            library.gsasl_property_set(session, name, value)
        binding = base64.b64decode(response).split(b",")[0].decode()
        while True:
            challenge = ctypes.c_char_p()
            result = library.gsasl_step64(session, response.encode(), ctypes.byref(challenge))
            if result not in (OK, NEEDS_MORE):
                print(mechanism, binding, library.gsasl_strerror(result).decode(), flush=True)
                return False
            # The server's proof goes in a separate challenge (RFC 4954 section 4).
            if challenge.value:
                stream.say("334 " + challenge.value.decode())
                response = stream.line().decode()
            if result == OK:
                name = library.gsasl_property_get(session, AUTHID)
                print(mechanism, binding, name.decode(), flush=True)
                return name == user.encode()
    finally:
        if session:
            library.gsasl_finish(session)
        library.gsasl_done(context)


def mail(stream):
    lines = []
    while (line := stream.line()) != b".":
        lines.append(line.removeprefix(b".") + b"\r\n")
    with open(os.path.join(directory, "1"), "wb") as file:
        file.write(b"".join(lines))


def serve(connection, context):
    stream, secure, known = Stream(connection), False, False
    stream.say("220 mail.example.test ESMTP")
    while True:
        command = stream.line().decode()
        verb, _, argument = command.partition(" ")
        if verb == "EHLO":
            stream.say("250-mail.example.test",
                       "250 AUTH " + " ".join(mechanisms) if secure else "250 STARTTLS")
        elif verb == "STARTTLS" and not secure:
            stream.say("220 go ahead")
            if stream.pending:
                return
            tls = SSL.Connection(context, connection)
            tls.set_accept_state()
            tls.do_handshake()
            stream, secure = Stream(tls), True
        elif verb == "AUTH" and secure and not known:
            known = authenticate(stream, argument)
            stream.say("235 2.7.0 Welcome" if known else "535 5.7.8 No")
        elif verb == "QUIT":
            stream.say("221 Bye")
            stream.connection.shutdown(*(() if secure else (socket.SHUT_WR,)))
            return
        elif not known:
            stream.say("530 5.7.0 Who are you?")
        elif verb == "DATA":
            stream.say("354 go ahead")
            mail(stream)
            stream.say("250 2.0.0 Stored")
        else:
            stream.say("250 2.0.0 Ok")


def main():
    signal.alarm(3600)
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate_chain_file(certificate)
    context.use_privatekey_file(key)
    listener = socket.create_server(("127.0.0.1", 0))
    print("listening", listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            # SSL.Connection takes no timeout; the alarm is the bound.
            try:
                serve(connection, context)
            except (EOFError, SSL.Error) as error:
                print("ended:", repr(error), flush=True)


main()
