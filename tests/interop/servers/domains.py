"""The DNS of the domains in a table, at one of the table's turns.

    domains.py TABLE DIR CADIR TURN

Creates the servers' certificates (once) and the signed zones, writes the configurations of NSD and
Unbound into DIR, and lists the mail servers in DIR/servers.
"""

import datetime
import functools
import hashlib
import pathlib
import subprocess
import sys
import tomllib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ATTACKER, DNS, WEB, NOBODY = "127.0.0.53", "127.0.0.54", "127.0.0.80", "127.0.0.99"
# The mail servers, each with its certificate chain, its own certificate first.
CHAINS = {
    "right": ["right", "middle", "ca"],
    "renewed": ["renewed", "middle", "ca"],
    "expired": ["expired", "middle", "ca"],
    "another-name": ["another-name", "middle", "ca"],
    "next-hop": ["next-hop", "middle", "ca"],
    "alone": ["right"],
    "self-signed": ["self-signed"],
    "swapped": ["swapped", "other-ca"],
    "common-name": ["common-name", "middle", "ca"],
    "two-names": ["two-names", "middle", "ca"],
    "expired-ca": ["of-expired-ca", "expired-ca"],
    "strict-ca": ["of-strict-ca", "strict-middle", "strict-ca"],
}
SERVERS = {name: f"127.0.1.{n}" for n, name in enumerate([*CHAINS, "stripped"], 1)}
# The zones below `test.`; a case has more such zones below its domain.
ZONES = {
    ".": "signed",
    "test.": "signed",
    "insecure.test.": "insecure",
    "expired.test.": "expired",
    "bogus.test.": "bogus",
    "failing.test.": "failing",
    "nsec3.test.": "nsec3",
    "opt-out.test.": "opt-out",
    "insecure.opt-out.test.": "insecure",
    "unsupported.test.": "unsupported",
}
# The options of ldns-signzone for each kind.
SIGNED = {
    "signed": [],
    "nsec3": ["-n"],
    "opt-out": ["-n", "-p"],
    "expired": ["-i", "20200101", "-e", "20200201"],
    "bogus": [],
}


def cases(table, turn=0):
    """The cases at a turn; `new` marks those that it changes."""
    for case in tomllib.loads(pathlib.Path(table).read_text())["case"]:
        then = case.pop("then", [])
        for step in then[:turn]:
            sts = case.get("sts", {}) | step.get("sts", {})
            case = case | step | ({"sts": sts} if sts else {})
        case["domain"] = f"{case['id']}.{case.get('under', '')}.test".replace("..", ".")
        case["new"] = turn <= len(then)
        if sts := case.get("sts"):
            sts.setdefault("mx", f"mx.{case['domain']}")
            sts.setdefault("web", "")
        yield case


def records(case):
    """The case's records: (owner, type, data), the owner absolute."""
    lines = case.get("records", ["@ MX 10 mx", f"mx A {case.get('host', 'right')}"])
    lines = lines + [f"_25._tcp.mx TLSA {record}" for record in case.get("tlsa", [])]
    if sts := case.get("sts"):
        if sts["id"]:
            lines.append(f'_mta-sts TXT "v=STSv1; id={sts["id"]};"')
        lines.append(f"mta-sts A {NOBODY if sts['web'] == 'down' else WEB}")
    for line in lines:
        owner, kind, data = line.split(maxsplit=2)
        if not owner.endswith("."):
            owner = f"{case['domain']}." if owner == "@" else f"{owner}.{case['domain']}."
        if kind in ("MX", "CNAME") and not data.endswith("."):
            data = f"{data}.{case['domain']}."
        if kind == "A":
            data = NOBODY if data == "nobody" else SERVERS.get(data, data)
        yield owner, kind, data


class Certificates:
    """The certificates of the table's servers, in DIR/tls, signed by the tests' authority."""

    def __init__(self, directory, authority):
        self.directory = directory / "tls"
        self.authority = authority

    def path(self, name):
        ours = name in ("ca", "other-ca")
        return (self.authority if ours else self.directory) / f"{name}.pem"

    def certificate(self, name):
        return x509.load_pem_x509_certificate(self.path(name).read_bytes())

    def key(self, name):
        octets = self.path(name).with_suffix(".key").read_bytes()
        return serialization.load_pem_private_key(octets, None)

    def issue(self, name, issuer, names, days=30, authority=False, below=None, common=None):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common or name)])
        now = datetime.datetime.utcnow()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.certificate(issuer).subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(60))
            .not_valid_after(now + datetime.timedelta(days))
            .add_extension(x509.BasicConstraints(authority, below), critical=True)
        )
        if names:
            names = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
            builder = builder.add_extension(names, critical=False)
        signed = builder.sign(self.key(issuer) if issuer else key, hashes.SHA256())
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self.path(name).write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        self.path(name).with_suffix(".key").write_bytes(pem)

    def make(self, table):
        self.directory.mkdir()
        domains = [case["domain"] for case in cases(table)]
        hosts = {
            (data if kind == "MX" else owner).split()[-1].rstrip(".")
            for case in cases(table)
            for owner, kind, data in records(case)
            if kind == "MX" or kind == "A"
        } - {""}
        policies = [f"mta-sts.{name}" for name in domains]
        mail = sorted(hosts - set(domains))
        hosts = sorted(hosts | {*domains, *policies})
        self.issue("middle", "ca", [], authority=True)
        self.issue("right", "middle", mail)
        self.issue("renewed", "middle", mail)
        self.issue("expired", "middle", hosts, days=-30)
        self.issue("another-name", "middle", ["mx.elsewhere.invalid"])
        self.issue("next-hop", "middle", domains)
        self.issue("self-signed", None, hosts)
        self.issue("swapped", "other-ca", hosts)
        self.issue("common-name", "middle", [], common="mx.ta-common-name.test")
        elsewhere = ["mx.elsewhere.invalid"]
        self.issue("two-names", "middle", elsewhere, common="mx.ta-common-name-too.test")
        self.issue("expired-ca", None, [], days=-30, authority=True)
        self.issue("of-expired-ca", "expired-ca", hosts)
        self.issue("strict-ca", None, [], authority=True, below=0)
        self.issue("strict-middle", "strict-ca", [], authority=True)
        self.issue("of-strict-ca", "strict-middle", hosts)
        self.issue("policies", "middle", policies)
        for name, chain in (CHAINS | {"policies": ["policies", "middle"]}).items():
            files = [self.path(chain[0]).with_suffix(".key"), *map(self.path, chain)]
            pem = b"".join(file.read_bytes() for file in files)
            (self.directory / f"{name}-chain.pem").write_bytes(pem)

    def tlsa(self, data):
        """`3 1 1 NAME` with the data of that certificate."""
        usage, selector, matching, name = data.split()
        if name not in sum(CHAINS.values(), []):
            return data
        certificate, encoding = self.certificate(name), serialization.Encoding.DER
        if selector == "1":
            public = serialization.PublicFormat.SubjectPublicKeyInfo
            octets = certificate.public_key().public_bytes(encoding, public)
        else:
            octets = certificate.public_bytes(encoding)
        if matching != "0":
            octets = hashlib.new({"1": "sha256", "2": "sha512"}[matching], octets).digest()
        return f"{usage} {selector} {matching} {octets.hex()}"


class Zones:
    """The zones in DIR/zones, and their keys in DIR/keys."""

    def __init__(self, directory, zones):
        self.directory, self.zones = directory, zones
        for each in ("zones", "keys"):
            (directory / each).mkdir(exist_ok=True)
        self.records = {name: [] for name in zones}

    def file(self, name):
        return self.directory / "zones" / (name.strip(".") or "root")

    def of(self, owner, strictly=False):
        """The zone of a name; for a zone's name, with `strictly`, its parent."""
        labels = owner.rstrip(".").split(".")
        above = (".".join(labels[n:]) + "." for n in range(strictly, len(labels)))
        return next((name for name in above if name in self.zones), ".")

    def add(self, owner, kind, data, zone=None):
        self.records[zone or self.of(owner)].append(f"{owner} 3600 IN {kind} {data}")

    @functools.cache
    def key(self, name, what="key"):
        """The stem of the key's file names."""
        found = list((self.directory / "keys").glob(f"{what}/K{name}+*.key"))
        if not found:
            where = self.directory / "keys" / what
            where.mkdir(exist_ok=True)
            # As the world's root has it.
            algorithm = "RSASHA256" if name == "." else "ECDSAP256SHA256"
            command = ["ldns-keygen", "-a", algorithm, "-b", "2048", "-k", name]
            stem = subprocess.run(command, cwd=where, check=True, capture_output=True, text=True)
            return where / stem.stdout.strip()
        return found[0].with_suffix("")

    def delegate(self):
        for name, kind in self.zones.items():
            self.add(name, "SOA", "ns.test. nobody.test. 1 3600 3600 604800 60", name)
            self.add(name, "NS", "ns.test.", name)
            if name == ".":
                continue
            parent = self.of(name, strictly=True)
            self.add(name, "NS", "ns.test.", parent)
            if kind in SIGNED:
                key = self.key(name, "not-this-key" if kind == "bogus" else "key")
                ds = key.with_name(f"{key.name}.ds").read_text()
                self.records[parent].append(ds.strip())
            elif kind == "unsupported":
                self.add(name, "DS", f"1 200 2 {'07' * 32}", parent)

    def sign(self):
        for name, kind in self.zones.items():
            file = self.file(name)
            text = "\n".join(self.records[name]) + "\n"
            if file.exists() and file.read_text() == text:
                continue
            file.write_text(text)
            if kind in SIGNED:
                command = ["ldns-signzone", *SIGNED[kind], "-o", name, "-f", f"{file}.served", file]
                subprocess.run([*command, self.key(name)], check=True)
            elif kind != "failing":
                pathlib.Path(f"{file}.served").write_text(text)

    def config(self):
        anchor = self.key(".").with_name(f"{self.key('.').name}.key").read_text()
        (self.directory / "anchor").write_text(anchor)
        servers = "".join(f"{name} {address}\n" for name, address in SERVERS.items())
        (self.directory / "servers").write_text(servers)
        (self.directory / "hints").write_text(f". 3600 NS ns.test.\nns.test. 3600 A {ATTACKER}\n")
        zones = "".join(
            f'zone:\n  name: "{name}"\n  zonefile: "{self.file(name)}.served"\n' for name in self.zones
        )
        (self.directory / "nsd.conf").write_text(f"""\
server:
  ip-address: {DNS}
  username: ""
  database: ""
  pidfile: "{self.directory}/nsd.pid"
  xfrdfile: "{self.directory}/xfrd.state"
  zonelistfile: "{self.directory}/zone.list"
  zonesdir: "{self.directory}/zones"
  rrl-ratelimit: 0
  minimal-responses: yes
remote-control:
  control-enable: no
{zones}""")
        (self.directory / "unbound.conf").write_text(f"""\
server:
  interface: 127.0.0.1
  username: ""
  chroot: ""
  directory: "{self.directory}"
  pidfile: "{self.directory}/unbound.pid"
  use-syslog: no
  logfile: ""
  do-ip6: no
  root-hints: "{self.directory}/hints"
  trust-anchor-file: "{self.directory}/anchor"
  val-log-level: 2
  do-not-query-localhost: no
  # A name that resolvers do not look up at the root by default.
  local-zone: "test." nodefault
""")


def build(table, directory, authority, turn):
    certificates = Certificates(directory, authority)
    if not certificates.directory.exists():
        certificates.make(table)
    zones = dict(ZONES)
    for case in cases(table, turn):
        for name, kind in case.get("zones", {}).items():
            zones[f"{name}.{case['domain']}."] = kind
    zones = Zones(directory, zones)
    zones.delegate()
    zones.add("ns.test.", "A", ATTACKER)
    zones.add("turn.test.", "TXT", turn)
    for case in cases(table, turn):
        for owner, kind, data in records(case):
            zones.add(owner, kind, certificates.tlsa(data) if kind == "TLSA" else data)
    zones.sign()
    zones.config()
    (directory / "turn").write_text(str(turn))


if __name__ == "__main__":
    table, directory, authority, turn = sys.argv[1:]
    build(table, pathlib.Path(directory), pathlib.Path(authority), int(turn))
