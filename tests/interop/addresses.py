#!/usr/bin/env python3
"""Compares the addresses that the command finds in header fields with Python's email package.

    addresses.py CASES     a JSON list of {field, usable, unusable, valid}
"""

import json
import re
import sys
from email.utils import getaddresses

ENCODED = re.compile(r"=\?[^?]+\?[bq]\?[^?]*\?=", re.I)
# A syntactically valid address in ASCII: Python also returns invalid ones.
ADDRESS = re.compile(r"""(?:[^\s"(),.:;<>@\[\\\]]+(?:\.[^\s"(),.:;<>@\[\\\]]+)*|"(?:[^"\\]|\\.)*")"""
                     r"""@(?:[^\s"(),.:;<>@\[\\\]]+(?:\.[^\s"(),.:;<>@\[\\\]]+)*|\[[\d.]+\]|\[IPv6:[\d:a-f]+\])""")


def unquoted(address):
    """Redundant quotes do not change an address."""
    local, domain = address.rsplit("@", 1)
    if local.startswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return f"{local}@{domain}"


def found(field):
    options = {"strict": False} if sys.version_info >= (3, 13) else {}
    addresses = [address for _, address in getaddresses([field], **options)]
    addresses = [a for a in addresses if ADDRESS.fullmatch(a) and not ENCODED.search(a)]
    return [unquoted(address) for address in addresses]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    for case in cases:
        ours = [unquoted(address) for address in case["usable"]]
        theirs = found(case["field"])
        if case["valid"] and theirs != ours:
            sys.exit(f"{case}: Python finds {theirs}")
        if not case["unusable"] and not set(theirs) <= set(ours):
            sys.exit(f"{case}: Python finds {theirs}")
    print(len(cases), "compared")


main()
