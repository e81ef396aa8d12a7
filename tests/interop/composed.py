#!/usr/bin/env python3
"""Reads composed messages with Python's email package and compares them with the input.

    composed.py CASES      a JSON list of {mail, text, message}
"""

import email
import email.policy
import email.utils
import json
import sys
from datetime import datetime, timedelta, timezone
from email.header import decode_header, make_header


def people(header):
    return [(a.display_name or None, a.addr_spec) for a in header.addresses] if header else []


def people_of_old(header):
    """The same with the package's legacy API."""
    return [(str(make_header(decode_header(name))) or None, address)
            for name, address in email.utils.getaddresses([header] if header else [])]


def without_blanks(text):
    return "".join((text or "").split())


def compare(what, found, expected):
    if found != expected:
        raise ValueError(f"{what}: {found!r} instead of {expected!r}")


def check(case):
    mail = case["mail"]
    message = email.message_from_bytes(bytes(case["message"]), policy=email.policy.default)
    old = email.message_from_bytes(bytes(case["message"]))
    for part in message.walk():
        compare("defects", part.defects, [])
    for field, key in (("from", "from"), ("reply-to", "reply_to"), ("to", "to"), ("cc", "cc")):
        expected = [mail[key]] if key == "from" else mail[key]
        expected = [(p["name"], p["address"]) for p in expected]
        # Some versions keep a space between two encoded words of a name, against RFC 2047.
        found = [(without_blanks(name), address) for name, address in people(message[field])]
        compare(field, found, [(without_blanks(name), address) for name, address in expected])
        compare(field, people_of_old(old[field]), expected)
        compare(field, len(message.get_all(field, [])), 1 if expected else 0)
    compare("subject", message["subject"] or "", mail["subject"])
    if mail["date"]:
        unix, offset = mail["date"]
        zone = timezone(timedelta(minutes=offset))
        expected = datetime.fromtimestamp(0, zone) + timedelta(seconds=unix)
        compare("date", message["date"].datetime, expected)
        compare("offset", message["date"].datetime.utcoffset(), timedelta(minutes=offset))
        compare("day", message["date"][:3], expected.strftime("%a"))
    else:
        compare("date", message["date"], None)
    compare("id", message["message-id"], mail["id"] and f"<{mail['id']}>")
    for name, text in mail["headers"]:
        if "=?" not in text and sum(name.lower() == n.lower() for n, _ in mail["headers"]) == 1:
            compare(name, message[name], text)
    parts = list(message.iter_parts()) if message.is_multipart() else [message]
    compare("parts", len(parts), 1 + len(mail["files"]))
    compare("text type", parts[0].get_content_type(), "text/plain")
    compare("text", parts[0].get_content().replace("\r\n", "\n"), case["text"])
    for part, file in zip(parts[1:], mail["files"]):
        # Python strips quotes, angle brackets and spaces from a name.
        compare("file name", part.get_filename(), email.utils.unquote(file["name"]).strip())
        compare("octets", part.get_payload(decode=True), bytes(file["octets"]))
        compare("type", part.get_content_type(), file["content_type"].split(";")[0])
        compare("disposition", part.get_content_disposition(), "attachment")


def main(path):
    with open(path, "rb") as file:
        cases = json.load(file)
    failed = 0
    for case in cases:
        try:
            check(case)
        except Exception as error:  # Any exception means that the message is unreadable.
            failed += 1
            print(f"{type(error).__name__} {error}\n{bytes(case['message'])[:3000]!r}\n",
                  file=sys.stderr)
    if failed:
        sys.exit(f"{failed} of {len(cases)} not read back")
    print(f"{len(cases)} read back")


if __name__ == "__main__":
    main(sys.argv[1])
