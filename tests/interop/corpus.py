#!/usr/bin/env python3
"""Compares the command's handling of a folder of messages with Python's email package.

    corpus.py ours MESSAGES REPORT DELIVERED     the folder, the output of `send --json`, and our server's deliveries
    corpus.py postfix MESSAGES REPORT MAILDIR    the same for a Postfix that keeps a copy for each recipient
"""

import json
import os
import re
import sys
import time
from collections import Counter
from email import message_from_bytes, policy
from email.utils import getaddresses

FIELDS = ("to", "cc", "bcc")


def sent(octets):
    """The message as sent: CRLF for each line end and after the last line, and no Bcc field."""
    octets = re.sub(rb"\r*\n|\r(?=[^\n]|$)", b"\r\n", octets)
    head, gap, body = octets.partition(b"\r\n\r\n")
    fields = re.split(rb"\r\n(?![ \t])", head)
    fields = [f for f in fields if not re.match(rb"(resent-)?bcc[ \t]*:", f, re.I)]
    octets = b"\r\n".join(fields) + gap + body
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def named(octets, fields):
    """The addresses that Python finds in these fields, each once."""
    message = message_from_bytes(octets, policy=policy.compat32)
    # Unchanged: Python would replace UTF-8 by question marks.
    values = [
        value.encode("ascii", "surrogateescape").decode("utf-8", "replace")
        for name in fields
        for field, value in message.raw_items()
        if field.lower() == name
    ]
    options = {"strict": False} if sys.version_info >= (3, 13) else {}
    found = (address for _, address in getaddresses(values, **options) if address)
    return list(dict.fromkeys(found))


def is_address(text):
    if "\ufffd" in text:  # not UTF-8
        return False
    return re.fullmatch(r'(?:[^\s"(),:;<>@\[\\\]]+|"(?:[^"\\]|\\.)*")@[\w.-]+', text) is not None


def kept(octets):
    """A sent message as Postfix stores it: lines end with LF, an mbox line gets a field name, and a header without an
    empty line after it gets one."""
    octets = octets.replace(b"\r\n", b"\n")
    octets = re.sub(rb"\A>*From ", lambda match: b"X-Mailbox-Line: " + match[0], octets)
    header = re.match(rb"(?:[!-9;-~]+[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*)*", octets)[0]
    body = octets[len(header):]
    return octets if body.startswith(b"\n") or not body else header + b"\n" + body


def traced(octets):
    """The recipient of a file of Postfix, and the message without the added trace fields."""
    head = rb"(?:(?:Return-Path|X-Original-To|Delivered-To):[^\n]*\n)+Received:[^\n]*\n(?:[ \t][^\n]*\n)*"
    trace = re.match(head, octets)
    recipient = re.search(rb"^X-Original-To: (.*)$", trace[0], re.M)[1].decode()
    return recipient, octets[trace.end():]


def settled(directory, count):
    """The files, once their number is reached."""
    deadline = time.monotonic() + 60
    while len(names := os.listdir(directory)) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    return names


def main():
    server, folder, report, delivered = sys.argv[1:]
    with open(report, encoding="utf-8") as file:
        reports = [json.loads(line) for line in file]
    # The folder also contains the record of sent mails.
    names = sorted(name for name in os.listdir(folder) if name.endswith(".eml"))
    by_name = {os.path.basename(r["mail"]): r for r in reports}
    assert sorted(by_name) == names, "a report for each message"
    expected, taken, wrong = Counter(), 0, []
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            octets = file.read()
        theirs, said = named(octets, FIELDS), by_name[name]
        ours = [r["address"] for r in said["recipients"] if r["accepted"]]
        if said["error"] is None:
            taken += 1
            if set(ours) != set(theirs):
                wrong.append(f"{name}: sent to {ours}, Python finds {theirs}")
            if server == "ours":
                expected[sent(octets)] += 1
            for each in ours if server == "postfix" else ():
                expected[each, kept(sent(octets))] += 1
            continue
        senders = named(octets, ("sender",)) or named(octets, ("from",))
        usable = theirs and senders and all(map(is_address, senders + theirs))
        too_long = any(len(line) > 998 for line in re.split(rb"\r?\n", octets))
        if usable and not too_long and b"\0" not in octets:
            wrong.append(f"{name}: {said['error']}, but Python finds {theirs}")
        if ours:
            wrong.append(f"{name}: failed, and accepted for {ours}")
    arrived = Counter()
    for name in settled(delivered, expected.total()):
        with open(os.path.join(delivered, name), "rb") as file:
            octets = file.read()
        arrived[octets if server == "ours" else traced(octets)] += 1
    for mail in (expected - arrived):
        wrong.append(f"not arrived unchanged: {str(mail)[:300]}")
    for mail in (arrived - expected):
        wrong.append(f"arrived and not sent: {str(mail)[:300]}")
    print(len(names), "messages,", taken, "sent")
    assert taken > len(names) // 2, "most messages must be sendable"
    sys.exit("\n".join(wrong) if wrong else 0)


main()
