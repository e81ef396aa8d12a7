#!/usr/bin/env python3
"""Mails for the interoperability tests: make them, send them, read them back.

    mails.py make DIR ODD        write the mails, and some that not every program can send
    mails.py arrived FILE DIR    wait for one mail in DIR and compare it, octet for octet; or for
                                 all mails of a directory FILE
    mails.py send PORT CA FILE   send one with smtplib over STARTTLS
    mails.py submit PORT CA FILE log in by LOGIN and send one in chunks
    mails.py external PORT CA FILE CERT KEY NAME
                                 the same by EXTERNAL, as NAME; 7: the login was refused
    mails.py aio PORT CA FILE [PASSWORD]
                                 send one with aiosmtplib, with a login; 7: it was refused
    mails.py refused PORT        nothing but the upgrade is allowed in plaintext
    mails.py absent TEXT FILE    TEXT is not in FILE
"""

import asyncio
import os
import smtplib
import ssl
import sys
import time

HEADER = (
    b"From: sender@example.test\r\nTo: you@example.test\r\n"
    b"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.test>\r\n"
    b"Subject: "
)

BODIES = {
    "dots": b".\r\n..\r\n...a\r\n\r\n.\r\n",
    "empty": b"",
    "umlauts": "Grüße, 21.5 °C\r\n".encode(),
    "long-line": b"x" * 990 + b"\r\n",
    "no-final-line-end": b"the end",
    "large": b"".join(b".%d %s\r\n" % (n, b"y" * (n % 70)) for n in range(25000)),
}

# Whole messages, some without a header.
ODD = {
    "0-octets": b"",
    "only-dots": b".\r\n" * 1000 + b"..\r\n.",
    "50-MB": HEADER + b"50 MB\r\n\r\n" + (b"." + b"z" * 77 + b"\r\n") * 625000,
}


def make(directory, odd):
    for place, mails in (directory, BODIES), (odd, ODD):
        os.makedirs(place)
        for name, text in mails.items():
            with open(os.path.join(place, name), "wb") as file:
                file.write(text if place == odd else HEADER + name.encode() + b"\r\n\r\n" + text)


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def names(directory):
    found = os.listdir(directory) if os.path.isdir(directory) else []
    return [name for name in found if not name.startswith(".")]


def lines(octets):
    """The message as lines: a file may end lines with LF, and the last line may lack its end."""
    return octets.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n")


TRACE = (b"Return-Path:", b"X-Original-To:", b"Delivered-To:", b"Received:", b"\t", b" ")


def is_same(sent, received):
    """Relays prepend trace fields; the rest must be unchanged."""
    sent, received = lines(sent) if sent else [], lines(received)
    cut = max(len(received) - len(sent), 0)
    trace, rest = received[:cut], received[cut:]
    # In a message without a header, a blank line follows the trace fields.
    if trace and trace[-1] == b"" and not (sent and sent[0].startswith(b"From:")):
        trace.pop()
    return rest == sent and all(line.startswith(TRACE) for line in trace)


def arrived(path, directory):
    whole = os.path.isdir(path)
    sent = [read(path, name) for name in names(path)] if whole else [read(path)]
    deadline = time.monotonic() + 60
    while len(found := names(directory)) < len(sent):
        if time.monotonic() > deadline:
            sys.exit(f"{len(found)} of {len(sent)} arrived in {directory}")
        time.sleep(0.05)
    received = [read(directory, name) for name in found]
    for mail in sent:
        same = [other for other in received if is_same(mail, other)]
        if not same:
            sys.exit(f"{path} arrived changed: {[other[:1000] for other in received]}")
        received.remove(same[0])
    if received:
        sys.exit(f"{len(received)} mails too many")
    print(f"{sum(map(len, sent))} bytes, unchanged")


def send(port, ca, path):
    context = ssl.create_default_context(cafile=ca)
    with smtplib.SMTP("localhost", int(port), timeout=30) as smtp:
        smtp.starttls(context=context)
        refused = smtp.sendmail("sender@example.test", ["you@example.test"], read(path))
    if refused:
        sys.exit(f"refused: {refused}")


def submit(port, ca, path):
    context = ssl.create_default_context(cafile=ca)
    with smtplib.SMTP("localhost", int(port), timeout=30) as smtp:
        smtp.starttls(context=context)
        smtp.ehlo()
        if not smtp.has_extn("chunking"):
            sys.exit("no CHUNKING")
        smtp.user, smtp.password = "test", "secret"
        smtp.auth("LOGIN", smtp.auth_login)
        smtp.mail("sender@example.test")
        smtp.rcpt("you@example.test")
        message = read(path)
        chunks = [message[at:at + 7] for at in range(0, len(message), 7)] + [b""]
        for chunk in chunks:
            last = b"" if chunk else b" LAST"
            smtp.send(b"BDAT %d%s\r\n" % (len(chunk), last) + chunk)
            code, text = smtp.getreply()
            if code != 250:
                sys.exit(f"{code} {text!r}")


def external(port, ca, path, certificate, key, name):
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(certificate, key)
    with smtplib.SMTP("localhost", int(port), timeout=30) as smtp:
        smtp.starttls(context=context)
        smtp.ehlo()
        try:
            smtp.auth("EXTERNAL", lambda challenge=None: name)
        except smtplib.SMTPAuthenticationError:
            sys.exit(7)
        refused = smtp.sendmail("sender@example.test", ["you@example.test"], read(path))
    if refused:
        sys.exit(f"refused: {refused}")


def aio(port, ca, path, password=None):
    import aiosmtplib

    context = ssl.create_default_context(cafile=ca)
    try:
        refused, _ = asyncio.run(aiosmtplib.send(
            read(path), sender="sender@example.test", recipients=["you@example.test"],
            hostname="localhost", port=int(port), start_tls=True, tls_context=context,
            username=password and "test", password=password, timeout=30))
    except aiosmtplib.SMTPAuthenticationError:
        sys.exit(7)
    if refused:
        sys.exit(f"refused: {refused}")


def refused(port):
    with smtplib.SMTP("localhost", int(port), timeout=30) as smtp:
        smtp.ehlo()
        for command in ("MAIL FROM:<a@b.test>", "AUTH PLAIN AHUAcA==", "RSET", "VRFY a"):
            code, text = smtp.docmd(command)
            if code != 530 or not text.startswith(b"5.7.0"):
                sys.exit(f"{command}: {code} {text!r}")


def absent(text, path):
    if text.encode() in read(path):
        sys.exit(f"{text} is in {path}")


if __name__ == "__main__":
    {"make": make, "arrived": arrived, "send": send, "submit": submit, "external": external, "aio": aio,
     "refused": refused, "absent": absent}[sys.argv[1]](*sys.argv[2:])
