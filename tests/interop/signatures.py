#!/usr/bin/env python3
"""Verifies signed messages with dkimpy.

    signatures.py RECORD MESSAGE...      the text of the key's record, and files; prints a line for each: good or bad
"""

import sys

import dkim

record = sys.argv[1].encode()
for path in sys.argv[2:]:
    with open(path, "rb") as file:
        good = dkim.verify(file.read(), dnsfunc=lambda name, timeout=5: record)
    print("good" if good else "bad")
