"""An on-path attacker of the DNS: answers about the domain of a case pass unchanged, except the record types
that its `forged` names.

    attacker.py TABLE DIR      on 127.0.0.53:53, in front of NSD on 127.0.0.54:53; the turn is in DIR/turn
"""

import functools
import pathlib
import socketserver
import struct
import sys
import threading

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset

from domains import ATTACKER, DNS, SERVERS, cases

table, directory = sys.argv[1], pathlib.Path(sys.argv[2])


@functools.cache
def forged(turn):
    return {f".{each['domain']}.": each["forged"] for each in cases(table, turn) if "forged" in each}


def forgery(query):
    """The forgery of the answer, or None."""
    name, kind = query.question[0].name.to_text(), dns.rdatatype.to_text(query.question[0].rdtype)
    for domain, how in forged(int((directory / "turn").read_text())).items():
        if f".{name}".lower().endswith(domain):
            return how.get(kind)
    return None


def forge(answer, how, *what):
    """`how` is `unsigned`; `records` or `alias` with their values; or an answer without records, perhaps
    with the SOA record of a zone: `nodata`, `nxdomain`, with the records after it (`elsewhere`), or with
    the SOA record in their place, too (`foreign`).
    """
    name, kind = answer.question[0].name, answer.question[0].rdtype
    own = [each for each in answer.answer if each.rdtype != dns.rdatatype.RRSIG]
    answer.flags &= ~dns.flags.AA
    if how == "unsigned":
        answer.answer = own
    elif how in ("records", "alias"):
        kind = "CNAME" if how == "alias" else kind
        data = " ".join(SERVERS.get(each, each) for each in what)
        answer.answer = [dns.rrset.from_text(name, 60, "IN", kind, data)]
    else:
        answer.answer, answer.authority = [], []
        for zone in what:
            soa = dns.rrset.from_text(zone, 60, "IN", "SOA", "ns.test. nobody.test. 1 1 1 1 60")
            answer.authority.append(soa)
        if how == "nxdomain":
            answer.set_rcode(dns.rcode.NXDOMAIN)
        if how == "elsewhere":
            answer.additional = own
        if how == "foreign":
            answer.answer, answer.additional = answer.authority, own
    return answer


def asked(wire):
    query = dns.message.from_wire(wire)
    answer = dns.query.tcp(query, DNS, timeout=10)
    if how := forgery(query):
        answer = forge(answer, *how.split())
    return query, answer


class Datagrams(socketserver.BaseRequestHandler):
    def handle(self):
        wire, socket = self.request
        query, answer = asked(wire)
        wire = answer.to_wire(max_size=65535)
        if len(wire) > max(query.payload, 512):
            answer.answer, answer.authority, answer.additional = [], [], []
            answer.flags |= dns.flags.TC
            wire = answer.to_wire()
        socket.sendto(wire, self.client_address)


class Streams(socketserver.StreamRequestHandler):
    def handle(self):
        while length := self.rfile.read(2):
            wire = self.rfile.read(struct.unpack("!H", length)[0])
            wire = asked(wire)[1].to_wire(max_size=65535)
            self.wfile.write(struct.pack("!H", len(wire)) + wire)


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True


class DatagramServer(socketserver.ThreadingMixIn, socketserver.UDPServer):
    daemon_threads = True


streams = Server((ATTACKER, 53), Streams)
threading.Thread(target=streams.serve_forever).start()
DatagramServer((ATTACKER, 53), Datagrams).serve_forever()
