"""Serves the MTA-STS policies of a table of domains, each as its case specifies.

    policies.py TABLE DIR      on 127.0.0.80:443; the table's turn is in DIR/turn
"""

import functools
import http.server
import pathlib
import ssl
import sys

from domains import WEB, cases

table, directory = sys.argv[1], pathlib.Path(sys.argv[2])


@functools.cache
def hosts(turn):
    return {f"mta-sts.{each['domain']}": each["sts"] for each in cases(table, turn) if "sts" in each}


def sts(host):
    return hosts(int((directory / "turn").read_text())).get(host, {"web": "404"})


def context(name):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(directory / "tls" / f"{name}-chain.pem")
    return made


class Host(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        policy = sts(self.headers["Host"])
        web, status, kind = policy["web"], 200, "text/plain"
        if self.path != "/.well-known/mta-sts.txt":
            web = "404"
        text = "version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 604800\n"
        if web == "moved":
            status = 301
        elif web.isdigit():
            status, text = int(web), ""
        elif web == "html":
            kind = "text/html"
        elif web == "malformed":
            text = text.replace("STSv1", "STSv2")
        elif web == "large":
            text += "x: y\n" * 20_000
        text = text.format_map(policy)
        self.send_response(status)
        if status == 301:
            self.send_header("Location", f"https://{self.headers['Host']}/elsewhere")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


def main():
    contexts = {name: context(name) for name in ("policies", "expired", "self-signed", "another-name")}

    def named(connection, name, _):
        connection.context = contexts.get(sts(name)["web"], contexts["policies"])

    contexts["policies"].sni_callback = named
    server = http.server.ThreadingHTTPServer((WEB, 443), Host)
    server.socket = contexts["policies"].wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.serve_forever()


main()
