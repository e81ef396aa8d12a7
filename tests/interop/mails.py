#!/usr/bin/env python3
"""Mails for the interoperability tests: make them, send them, read them back.

    mails.py make DIR            write the mails
    mails.py arrived FILE DIR    wait for one mail in DIR and compare it, octet for octet
    mails.py send PORT CA FILE   send one with smtplib over STARTTLS
    mails.py submit PORT CA FILE log in by LOGIN and send one in chunks
    mails.py refused PORT        nothing but the upgrade is allowed in plaintext
    mails.py absent TEXT FILE    TEXT is not in FILE
"""

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


def make(directory):
    os.makedirs(directory)
    for name, body in BODIES.items():
        with open(os.path.join(directory, name), "wb") as file:
            file.write(HEADER + name.encode() + b"\r\n\r\n" + body)


def lines(octets):
    """The message as lines: a file may end them with LF, and the last may have no end."""
    return octets.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n")


def arrived(path, directory):
    with open(path, "rb") as file:
        sent = file.read()
    deadline = time.monotonic() + 60
    while True:
        found = [name for name in (os.listdir(directory) if os.path.isdir(directory) else [])
                 if not name.startswith(".")]
        if found:
            break
        if time.monotonic() > deadline:
            sys.exit(f"nothing arrived in {directory}")
        time.sleep(0.05)
    if len(found) != 1:
        sys.exit(f"{len(found)} mails instead of one")
    with open(os.path.join(directory, found[0]), "rb") as file:
        received = file.read()
    # A relay puts trace fields in front; the rest is as it was sent.
    start = received.find(b"From: sender@example.test")
    trace = received[:max(start, 0)]
    allowed = (b"Return-Path:", b"X-Original-To:", b"Delivered-To:", b"Received:", b"\t", b" ")
    for line in lines(trace) if trace else []:
        if not line.startswith(allowed):
            sys.exit(f"a line that nobody sent: {line!r}")
    if start < 0 or lines(received[start:]) != lines(sent):
        sys.exit(f"{path} arrived changed: {received[start:][:400]!r}")
    print(f"{len(sent)} octets, unchanged")


def send(port, ca, path):
    context = ssl.create_default_context(cafile=ca)
    with smtplib.SMTP("localhost", int(port), timeout=30) as smtp:
        smtp.starttls(context=context)
        with open(path, "rb") as file:
            refused = smtp.sendmail("sender@example.test", ["you@example.test"], file.read())
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
        with open(path, "rb") as file:
            message = file.read()
        chunks = [message[at:at + 7] for at in range(0, len(message), 7)] + [b""]
        for chunk in chunks:
            last = b"" if chunk else b" LAST"
            smtp.send(b"BDAT %d%s\r\n" % (len(chunk), last) + chunk)
            code, text = smtp.getreply()
            if code != 250:
                sys.exit(f"{code} {text!r}")


def refused(port):
    with smtplib.SMTP("localhost", int(port), timeout=30) as smtp:
        smtp.ehlo()
        for command in ("MAIL FROM:<a@b.test>", "AUTH PLAIN AHUAcA==", "RSET", "VRFY a"):
            code, text = smtp.docmd(command)
            if code != 530 or not text.startswith(b"5.7.0"):
                sys.exit(f"{command}: {code} {text!r}")


def absent(text, path):
    with open(path, "rb") as file:
        if text.encode() in file.read():
            sys.exit(f"{text} is in {path}")


if __name__ == "__main__":
    {"make": make, "arrived": arrived, "send": send, "submit": submit, "refused": refused,
     "absent": absent}[sys.argv[1]](*sys.argv[2:])
