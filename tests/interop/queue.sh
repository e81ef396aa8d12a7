# shellcheck shell=bash
# Our queue to Postfix: a mail, a refused recipient and the report about it; and a server that is not there.

queue=$work/queue
postfix=smtp://localhost:$(port smtp)
queued() {                 # queued FILE [OPTION...]: stores the mail, and sends nothing
    timeout 60 "$starttls" send --allow-empty --queue "$queue" --from sender@example.test "${@:2}" "$1"
}
run_queue() {              # run_queue [URL]
    timeout 60 "$starttls" queue run "$queue" --json --server "${1:-$postfix}" --ca "$ca"
}
waits() {                  # waits COUNT [PATTERN]: so many mails wait, and the list has a line like this
    timeout 60 "$starttls" queue list "$queue" --json >"$work/said"
    [ "$(grep -c . "$work/said")" = "$1" ] && grep -q -- "${2:-}" "$work/said" || { cat "$work/said"; return 1; }
}
in_inbox() { cat "$inbox"/* && grep -rqF -- "$1" "$inbox"; }

for mail in "$work"/mails/*; do
    check "queue to Postfix: ${mail##*/} is stored" queued "$mail" --to you@example.test
    check "queue to Postfix: ${mail##*/} arrives" read_back "$inbox" "$mail" run_queue
done
check "queue: nothing waits" test "$(timeout 60 "$starttls" queue list "$queue" --json | wc -l)" = 0

check "queue: mail to two, one of whom Postfix rejects, is stored" \
    queued "$one" --to you@example.test --to nobody@example.test
check "queue: mail waits if the server is not there" exits 13 run_queue smtp://localhost:1
check "queue: it tells why" waits 1 refused
rm -f "$queue"/mails/*.state          # as if its pause were over
check "queue to Postfix: the other recipient gets it" read_back "$inbox" "$one" exits 6 run_queue
check "queue: a report waits" waits 1
check "queue to Postfix: the report is sent" says '"delivered":1' run_queue
check "queue: the report names the recipient" in_inbox "Final-Recipient: rfc822; nobody@example.test"
