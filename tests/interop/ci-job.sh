# shellcheck shell=bash
# The CI job of the manual, as it stands there, on our server in front of Dovecot; and the GitHub Action: its steps, run as
# a runner does, on our server and our client, on faulty ones, and without an installed command.

"$python" -c 'import yaml' 2>/dev/null || install python3-yaml
up mailboxes
action=$PWD/examples/cli/action/action.yml
acts() {                   # acts INPUT=VALUE...: in a folder of its own
    local run=$PWD/$here/action.py
    rm -rf "$work/action"; mkdir "$work/action"
    printf 'smtp tls/certificate\n' >"$work/action/known"
    (cd "$work/action" && PATH=${starttls%/*}:$PATH timeout 300 "$python" "$run" "$action" "$@")
}
wrote() { (cd "$work/action" && grep -q '<testsuite' report.xml && grep -q '"2.1.0"' report.sarif && grep -q '</html>' page.html); }
few=(level=should strict=true)    # without the case that waits longest
serve action smtp --require-tls --max-wait 2
check "the action passes our server" acts "url=smtp://localhost:$p" "ca=$ca" strict=true junit=report.xml sarif=report.sarif html=page.html
check "the action writes the reports" wrote
check "the action fails a certificate from another CA" exits 1 acts "url=smtp://localhost:$mx" "ca=$CADIR/other-ca.pem" "${few[@]}"
check "the action passes what the baseline has" acts "url=smtp://localhost:$mx" "ca=$CADIR/other-ca.pem" "${few[@]}" baseline=known
check "the action fails if nothing could be tested" exits 2 acts url=smtp://localhost:1
check "the action passes our client" acts protocol=smtp "${few[@]}" "command='$starttls' send --server smtp://{host}:{port} --ca {ca} \
    --from sender@example.test --to you@example.test --allow-empty"
check "the action fails a client that may do without TLS" exits 1 acts protocol=smtp "${few[@]}" \
    "command='$starttls' send --server smtp://{host}:{port} --ca {ca} --tls opportunistic \
    --from sender@example.test --to you@example.test --allow-empty"

# A cargo that takes what is built already, instead of building it for a quarter of an hour.
mkdir -p "$work/bare"
cat >"$work/bare/cargo" <<EOF
#!/bin/sh
[ "\$1 \$2 \$3" = "install --locked --path" ] && grep -q '^name = "starttls-cli"' "\$4/Cargo.toml" &&
    ln -s "$starttls" "$work/bare/starttls"
EOF
chmod +x "$work/bare/cargo"
without() {                # without COMMAND...: no starttls is installed yet
    rm -f "$work/bare/starttls"
    PATH=$work/bare:/usr/bin:/bin "$@" && [ -e "$work/bare/starttls" ]
}
check "the action installs the command" without timeout 300 "$python" $here/action.py "$action" "url=smtp://localhost:$mx" "ca=$ca" "${few[@]}"

serve for-job imap --require-tls --max-wait 2 --backend "127.0.0.1:$(port plain-imap)"
job=$work/job
mkdir "$job"; cp "$ca" "$job/ca.pem"; ln -s "$PWD" "$job/starttls"
block() {                  # block LANGUAGE: the first such block about CI jobs in the manual, for the port p
    awk -v begin='```'"$1" '/^## /{ here = /CI job/ } on && /^```$/ { exit } on; here && $0 == begin { on = 1 }' \
        core/manual/conformance.md | sed "s/1143/$p/"
}
by_hand() { (cd "$job" && bash -euo pipefail "$work/job.sh"); }
block sh >"$work/job.sh"
check "the manual's CI job passes our server" without by_hand
check "the manual's CI job writes a baseline without findings, and the reports" \
    eval '! grep -v "^#" "$job/known.txt" && grep -q "<testsuite" "$job/report.xml" && grep -q 2.1.0 "$job/report.sarif"'
block yaml >"$work/job.yml"
by_action() { (cd "$job" && timeout 300 "$python" starttls/$here/action.py starttls/examples/cli/action/action.yml "@$work/job.yml"); }
check "the manual's job with the action passes our server" without by_action
