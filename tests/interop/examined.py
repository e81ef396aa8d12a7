"""Judges a run of `starttls check` or `starttls test-client`, whatever it found: examined.py RESULT [strict]

RESULT.code has the exit code, RESULT.json the document, RESULT.html the page, RESULT.log standard error. The run must
have got as far as a result, with a reason for each case that has none. With `strict` it must have found nothing.

Prints only what is wrong with the run: what it found about a program is for those who maintain that program.
"""

import json
import sys

# The most connections of one run of a case. The case with the most sends a mail by each.
MOST_CONNECTIONS = 10


def read(name):
    with open(name, encoding="utf-8") as file:
        return file.read()


def faults(result, strict):
    code, log = read(result + ".code").strip(), read(result + ".log")
    if code not in ("0", "1"):
        return [f"exit code {code}: {log}"]
    found = [f"it says {word}: {log}" for word in ("panicked", "overflow") if word in log]
    report = json.loads(read(result + ".json"))
    outcomes = report["outcomes"]
    if not outcomes:
        found.append("no case was run")
    if not report["control_passed"]:
        found.append("the dialogue without an attack failed")
    for outcome in outcomes:
        case, verdict = outcome["id"], outcome["verdict"]
        if verdict in ("skipped", "inconclusive") and not outcome["reason"].strip():
            found.append(f"{case}: {verdict} without a reason")
        connections = len(outcome["exchanges"])
        if connections > MOST_CONNECTIONS:
            found.append(f"{case}: {connections} connections")
    verdicts = {outcome["verdict"] for outcome in outcomes}
    failed = "fail" in verdicts or strict and "warning" in verdicts
    if failed != (code == "1"):
        found.append(f"exit code {code}, but the verdicts are {sorted(verdicts)}")
    if "</html>" not in read(result + ".html"):
        found.append("no whole page")
    if strict:
        # Of our own programs everything is known.
        wrong = [o for o in outcomes if o["verdict"] in ("fail", "warning", "inconclusive")]
        found += [f"{o['id']}: {o['verdict']}: {o['reason']}" for o in wrong]
    return found


if __name__ == "__main__":
    wrong = faults(sys.argv[1], "strict" in sys.argv[2:])
    print("\n".join(wrong))
    sys.exit(bool(wrong))
