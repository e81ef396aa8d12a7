"""The verdicts of senders on the domains in domains.toml, one line per sender and case: ID SENDER VERDICT.

    domains.py expected TURN
    domains.py said TURN DIR STARTTLS CA MAIL

`expected` prints the table's verdicts, `said` those of the senders, in the world of servers/domains.sh in DIR.

The senders are `finger` (posttls-finger, which sends no mail), `postfix` (judged by how its mail
arrives), and our command as `direct` (its own DNS queries) and `unbound` (by a resolver). The output of
each is in DIR/said/SENDER-TURN/ID.
"""

import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys
import time

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here / "servers"))
import domains  # noqa: E402

SENDERS = ("finger", "postfix", "direct", "unbound")
SERVERS = {"direct": "127.0.0.53:53", "unbound": "127.0.0.1:53"}


def expected(case, sender):
    verdict, judged = case["verdict"], not {"sts", "header"} & set(case)
    if sender == "finger":
        return judged and case.get("finger", verdict)
    if sender == "postfix":
        return judged and "options" not in case and case.get("postfix", verdict.split()[1])
    return f"{verdict} {case.get('error', '')}".strip()


class Turn:
    def __init__(self, turn, *paths):
        self.turn = turn
        self.directory, self.starttls, self.ca, self.mail = paths or [None] * 4
        self.cases = [case for case in domains.cases(here / "domains.toml", turn) if case["new"]]

    def run(self, sender, case, *command, **options):
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            **options,
        )
        log = self.directory / "said" / f"{sender}-{self.turn}" / case["id"]
        log.parent.mkdir(exist_ok=True, parents=True)
        with log.open("a") as file:
            print(*command, done.stdout, f"exit code {done.returncode}", sep="\n", file=file)
        return done

    def address(self, sender, case):
        return f"{sender}-{self.turn}-{case['id']}@{case['domain']}"

    def arrived(self):
        """How the mails arrived, by recipient."""
        how = {}
        for mail in (self.directory / "mail" / "inbox" / "new").iterdir():
            text = mail.read_text()
            address = re.search("^Delivered-To: (.*)", text, re.M)[1]
            how.setdefault(address, []).append("tls" if "using TLSv1." in text else "plaintext")
        return {address: " ".join(each) for address, each in how.items()}

    def settle(self, which, *queues):
        """Waits until a Postfix has tried all mails of those queues."""
        for _ in range(300):
            spool = self.directory / which / "spool"
            if not any(file.is_file() for queue in queues for file in (spool / queue).rglob("*")):
                return
            time.sleep(0.1)
        raise TimeoutError(which)

    def finger(self, case):
        """The security level that it reports, and whether the certificate met it."""
        command = ["posttls-finger", "-v", "-c", "-l", "dane", "-t", "10", "-T", "10"]
        command += [*case.get("finger_options", []), case["domain"]]
        said = self.run("finger", case, *command).stdout
        if "stream buffer size" not in said:  # no connection
            later = "TLSA lookup error" in said or "Host not found, try again" in said
            return "later nothing" if later else "never nothing"
        said = said.split("Failed to establish session")[-1]  # of the host that it reached
        tls = re.search("^posttls-finger: (\\w+) TLS connection established", said, re.M)
        # Without a requirement it falls back to the level `secure`, to have something to report.
        if "no usable TLSA records found" in said or "all TLSA records unusable" in said:
            return "encrypted tls" if tls else "encrypted nothing"
        if "no TLSA records found" in said or "MX RRset is insecure: try to encrypt" in said:
            return "opportunistic tls" if tls else "opportunistic plaintext"
        # With insecure MX records the best result is "trusted".
        right = "Trusted" if "MX RRset insecure: log verified as trusted" in said else "Verified"
        return "dane tls" if tls and tls[1] == right else "dane nothing"

    def postfix(self, case):
        command = ["sendmail", "-C", self.directory / "sender" / "etc", "-f", ""]
        self.run("postfix", case, *command, self.address("postfix", case), input="A mail.\n")
        return "{}"

    def ours(self, sender, case):
        """The verdict of `policy` on the host that got the mail, or else on the last one tried."""
        options = ["--resolver", SERVERS[sender], "--trust-anchor", self.directory / "anchor"]
        options += ["--cache", self.directory / "cache" / sender, "--ca", self.ca, "--json"]
        options += case.get("options", [])
        policy = self.run(sender, case, self.starttls, "policy", *options, case["domain"])
        to = ["--from", "sender@example.test", "--to", self.address(sender, case)]
        mail = case.get("header", "X-Nothing: more") + "\n" + self.mail.read_text()
        sent = self.run(sender, case, self.starttls, "send", "--mx", *options, *to, input=mail)
        codes = policy.returncode, sent.returncode
        try:
            policy, sent = (json.loads(each.stdout.partition("\n")[0]) for each in (policy, sent))
        except ValueError:
            return f"exit codes {codes}"
        may_go = any(each["requirement"] != "skip" for each in policy["hosts"])
        if [code == 0 for code in codes] != [may_go, sent["delivered"]]:
            return f"exit codes {codes}"
        tried = [each["host"] for each in sent["attempts"] if each["address"]] + [sent["host"]]
        host = next((name for name in reversed(tried) if name), None)
        demands = {each["name"]: each["requirement"] for each in policy["hosts"]}
        demand = demands[host] if host else "later" if sent["temporary"] else "never"
        error = (policy["policy_error"] or {}).get("result", "")
        return f"{demand} {{}} {error}".strip()

    def direct(self, case):
        return self.ours("direct", case)

    def unbound(self, case):
        return self.ours("unbound", case)

    def said(self):
        """(case, sender, verdict) for each case and sender."""
        asked = [(case, who) for case in self.cases for who in SENDERS if expected(case, who)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            verdicts = list(pool.map(lambda each: getattr(self, each[1])(each[0]), asked))
        self.settle("sender", "maildrop", "incoming", "active")
        self.settle("receiver", "incoming", "active", "deferred")
        arrived = self.arrived()
        for (case, who), verdict in zip(asked, verdicts):
            how = arrived.get(self.address(who, case), "nothing")
            yield case, who, verdict.format(how)


def main():
    what, turn, *rest = sys.argv[1:]
    turn = Turn(int(turn), *map(pathlib.Path, rest))
    if what == "expected":
        said = ((case, who, expected(case, who)) for case in turn.cases for who in SENDERS)
    else:
        said = turn.said()
    for case, who, verdict in said:
        if verdict:
            print(case["id"], who, verdict)


main()
