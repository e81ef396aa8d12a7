#!/usr/bin/env python3
"""Reads composed messages with notmuch, whose parser is GMime, and compares them with the input.

    notmuch.py CASES       a JSON list of {mail, texts, message}; each mail has an id
"""

import json
import os
import subprocess
import sys
import tempfile


def notmuch(*arguments):
    return subprocess.run(["notmuch", *arguments], check=True, stdout=subprocess.PIPE).stdout


def compare(what, found, expected):
    if found != expected:
        raise ValueError(f"{what}: {found!r} instead of {expected!r}")


def expected_body(case):
    """The tree of types, with names and ids."""
    mail = case["mail"]

    def file(file, content_id=None):
        return (file["content_type"].split(";")[0], file["name"], content_id)

    body = [(kind, None, None) for kind, _ in case["texts"]]
    body = ("multipart/alternative", body) if len(body) > 1 else body[0]
    if mail["inline"]:
        inline = [file(shown["file"], shown["id"]) for shown in mail["inline"]]
        body = ("multipart/related", [body, *inline])
    if mail["files"] or mail["forwarded"]:
        files = [file(attached) for attached in mail["files"]]
        # notmuch does not print the name of a message.
        files += [("message/rfc822", None, None)] * len(mail["forwarded"])
        body = ("multipart/mixed", [body, *files])
    return body


def found_body(part):
    kind = part["content-type"]
    if kind.startswith("multipart/"):
        return (kind, [found_body(inner) for inner in part["content"]])
    return (kind, part.get("filename"), part.get("content-id"))


def leaves(part):
    if not part["content-type"].startswith("multipart/"):
        return [part]
    return [leaf for inner in part["content"] for leaf in leaves(inner)]


def check(case):
    mail = case["mail"]
    query = f"id:{mail['id']}"
    # It prints the bytes of a file that claims to be text.
    found = json.loads(notmuch("show", "--format=json", "--body=true", "--include-html",
                               "--entire-thread=false", query).decode(errors="replace"))
    while isinstance(found, list):
        found = next(inner for inner in found if inner)
    [body] = found["body"]
    compare("structure", found_body(body), expected_body(case))
    parts = leaves(body)
    raw = [notmuch("show", "--format=raw", f"--part={part['id']}", query) for part in parts]
    for octets, (kind, text) in zip(raw, case["texts"]):
        compare(kind, octets.decode().replace("\r\n", "\n"), text)
    files = [shown["file"] for shown in mail["inline"]] + mail["files"] + mail["forwarded"]
    compare("files", len(parts), len(case["texts"]) + len(files))
    for octets, file in zip(raw[len(case["texts"]):], files):
        expected = bytes(file["octets"])
        if file["content_type"] == "message/rfc822":
            # It prints the message with LF.
            octets, expected = (text.replace(b"\r\n", b"\n") for text in (octets, expected))
        compare(file["name"], octets, expected)


def main(path):
    with open(path, "rb") as file:
        cases = json.load(file)
    with tempfile.TemporaryDirectory() as home:
        inbox = os.path.join(home, "mail", "new")
        for folder in ("new", "cur", "tmp"):
            os.makedirs(os.path.join(home, "mail", folder))
        os.environ["NOTMUCH_CONFIG"] = os.path.join(home, "config")
        with open(os.environ["NOTMUCH_CONFIG"], "w", encoding="ascii") as file:
            file.write(f"[database]\npath={home}/mail\n[user]\nname=a\nprimary_email=a@b.example\n")
        for number, case in enumerate(cases):
            with open(os.path.join(inbox, str(number)), "wb") as file:
                file.write(bytes(case["message"]))
        notmuch("new", "--quiet")
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
