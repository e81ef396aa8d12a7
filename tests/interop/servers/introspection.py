#!/usr/bin/env python3
"""Answers token introspection (the part of RFC 7662 that Dovecot uses): introspection.py PORT TOKEN USER"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

port, token, user = sys.argv[1:]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        active = parse_qs(urlsplit(self.path).query).get("token") == [token]
        body = json.dumps({"active": active, **({"user": user} if active else {})}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
