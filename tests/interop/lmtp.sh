# shellcheck shell=bash
# Our client to Dovecot's LMTP: one reply for each recipient.

url=lmtp://localhost:$(port dovecot-lmtp)
mailboxes=$work/dovecot/mail
to_mailboxes() {           # to_mailboxes FILE: to three mailboxes, and one that does not exist
    local file=$1 user
    rm -f "$mailboxes"/*/new/* 2>/dev/null || true
    exits 6 deliver "$url" "$file" test nobody second third || return 1
    for user in test second third; do arrived "$file" "$mailboxes/$user/new" || return 1; done
}
deliver() {                # deliver URL FILE USER...
    local url=$1 file=$2 user to=(); shift 2
    for user; do to+=(--to "$user@example.test"); done
    timeout 60 "$starttls" send --allow-empty --server "$url" --ca "$ca" --from sender@example.test \
        "${to[@]}" "$file"
}
for mail in "$work"/mails/* "$work"/odd/*; do
    check "client to Dovecot by LMTP, three of four recipients: ${mail##*/}" to_mailboxes "$mail"
done
cp "$work/out" "$work/answers"
answers() {
    diff <(printf '%s\n' "test 250" "nobody 550" "second 250" "third 250") \
        <(sed -n 's/^  .*sent to <\([a-z]*\)@.*>: \(...\) .*/\1 \2/p' "$work/answers")
}
check "client to Dovecot by LMTP: each recipient has its own reply" answers
check "client to Dovecot by LMTP: no valid recipient is exit code 6" \
    exits 6 deliver "$url" "$one" nobody
check "client to Dovecot by LMTP: only valid recipients is exit code 0" deliver "$url" "$one" test second
check "client to Dovecot by LMTP: over a Unix socket" \
    read_back "$mailboxes/test/new" "$one" deliver "lmtp://$work/dovecot/lmtp.sock" "$one" test
