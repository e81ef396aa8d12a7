"""Runs the steps of a composite action as a runner does: action.py ACTION.YML INPUT=VALUE...|@JOB.YML

JOB.YML has the steps of a job; the one that uses the action has its inputs.  Ends with the exit code of the first step
that fails.  An input that the action does not have, one that it does not use, and an expression other than an input and
the action's folder are errors.
"""

import os
import re
import subprocess
import sys

import yaml

KEYS = {"name", "shell", "env", "run"}


def wanted(given):
    if given[0].startswith("@"):
        with open(given[0][1:], encoding="utf-8") as file:
            uses = [step for step in yaml.safe_load(file) if "uses" in step]
        return uses[0]["with"]
    return dict(pair.split("=", 1) for pair in given)


def main(path, *given):
    with open(path, encoding="utf-8") as file:
        action = yaml.safe_load(file)
    inputs = dict.fromkeys(action["inputs"], "")
    for name, value in wanted(given).items():
        assert name in inputs, f"the action has no input {name}"
        inputs[name] = str(value)
    used = set()

    def value(match):
        word = match[1]
        if word == "github.action_path":
            return os.path.dirname(os.path.abspath(path))
        kind, _, name = word.partition(".")
        assert kind == "inputs" and name in inputs, word
        used.add(name)
        return inputs[name]

    assert action["name"] and action["description"] and action["runs"]["using"] == "composite"
    assert all(one["description"] for one in action["inputs"].values())
    steps = []
    for step in action["runs"]["steps"]:
        assert step["shell"] == "bash" and step["run"] and step.keys() <= KEYS, step
        assert "${{" not in step["run"], "an expression in a script"
        env = {name: re.sub(r"\$\{\{ *([\w.]+) *\}\}", value, text) for name, text in step["env"].items()}
        assert "${{" not in "".join(env.values()), env
        steps.append((step["run"], env))
    assert used == set(inputs), f"unused: {set(inputs) - used}"
    for script, env in steps:
        # The options with which a runner starts this shell.
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        done = subprocess.run(command, env={**os.environ, **env}, timeout=300, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
