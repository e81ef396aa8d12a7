#!/usr/bin/env python3
"""Reads composed messages with Python's email package and compares them with the input.

    composed.py CASES      a JSON list of {mail, texts, message}
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
    check_body(mail, case["texts"], message)


def check_body(mail, texts, message):
    """The containers from the outside, the texts, and the files."""
    mixed, inner = [], message
    if mail["files"] or mail["forwarded"]:
        inner, *mixed = split(message, "multipart/mixed")
    compare("files", len(mixed), len(mail["files"]) + len(mail["forwarded"]))
    related = []
    if mail["inline"]:
        container = inner
        inner, *related = split(inner, "multipart/related")
        compare("root", container.get_param("type"), inner.get_content_type())
    compare("inline parts", len(related), len(mail["inline"]))
    shown = split(inner, "multipart/alternative") if len(texts) > 1 else [inner]
    compare("types", [part.get_content_type() for part in shown], [kind for kind, _ in texts])
    for part, (kind, text) in zip(shown, texts):
        compare(kind, part.get_content().replace("\r\n", "\n"), text)
    others = mail["alternatives"]
    for part, other in zip(shown[len(shown) - len(others):], others):
        compare("method", part.get_param("method"), other["method"])
    for part, inline in zip(related, mail["inline"]):
        compare("id", part["content-id"], f"<{inline['id']}>")
        check_file(part, inline["file"], "inline")
    for part, file in zip(mixed, mail["files"]):
        check_file(part, file, "attachment")
    for part, file in zip(mixed[len(mail["files"]):], mail["forwarded"]):
        octets = bytes(file["octets"])
        compare("type", part.get_content_type(), "message/rfc822")
        check_name(part, file, "attachment")
        eight_bit = any(octet > 127 for octet in octets)
        compare("encoding", part["content-transfer-encoding"], "8bit" if eight_bit else "7bit")
        # Written again without folding it is the same message.
        [found] = part.get_payload()
        expected = email.message_from_bytes(octets, policy=UNFOLDED)
        compare("message", found.as_bytes(policy=UNFOLDED), expected.as_bytes(policy=UNFOLDED))
        compare("subject", found["subject"], expected["subject"])


UNFOLDED = email.policy.default.clone(refold_source="none", linesep="\r\n")


def split(message, kind):
    compare("container", message.get_content_type(), kind)
    return list(message.iter_parts())


def check_name(part, file, disposition):
    # Python strips quotes, angle brackets and spaces from a name.
    compare("file name", part.get_filename(), email.utils.unquote(file["name"]).strip())
    compare("disposition", part.get_content_disposition(), disposition)


def check_file(part, file, disposition):
    check_name(part, file, disposition)
    compare("octets", part.get_payload(decode=True), bytes(file["octets"]))
    compare("type", part.get_content_type(), file["content_type"].split(";")[0])


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
