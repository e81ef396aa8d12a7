"""Hosts the policies of MTA-STS of a table of domains, each as its case says.

    policies.py TABLE DIR      on 127.0.0.80:443; the table's turn is in DIR/turn
"""

import http.server
import pathlib
import ssl
import sys
import time

from domains import WEB, cases

table, directory = sys.argv[1], pathlib.Path(sys.argv[2])


def case(host):
    turn = int((directory / "turn").read_text())
    return next((each for each in cases(table, turn) if f"mta-sts.{each['domain']}" == host), {})


def context(name):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(directory / "tls" / f"{name}-chain.pem")
    return made


class Host(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        sts = case(self.headers["Host"]).get("sts", {"web": "404"})
        status, kind = 200, "text/plain"
        text = "version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 604800\n".format_map(sts)
        if self.path != "/.well-known/mta-sts.txt":
            status = 404
        elif sts["web"] == "moved":
            status = 301
        elif sts["web"].isdigit():
            status = int(sts["web"])
        elif sts["web"] == "html":
            kind = "text/html"
        elif sts["web"] == "malformed":
            text = text.replace("STSv1", "STSv2")
        elif sts["web"] == "large":
            text += "x: y\n" * 20_000
        elif sts["web"] == "slow":
            time.sleep(90)
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
        web = case(name).get("sts", {}).get("web")
        connection.context = contexts.get(web, contexts["policies"])

    contexts["policies"].sni_callback = named
    server = http.server.ThreadingHTTPServer((WEB, 443), Host)
    server.socket = contexts["policies"].wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.serve_forever()


main()
