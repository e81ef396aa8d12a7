# shellcheck shell=bash
# Our client to Exim, and Exim to our server: BDAT, pipelined.

exim=smtp://localhost:$(port exim)
eximbox=$work/exim/mail/new
for mail in "$work"/mails/* "$work"/odd/*; do
    check "client to Exim: ${mail##*/}" read_back "$eximbox" "$mail" send "$exim" "$mail"
done
for mechanism in PLAIN LOGIN CRAM-MD5; do
    check "client to Exim: AUTH $mechanism" \
        read_back "$eximbox" "$one" send "$exim" "$one" --auth $mechanism "${auth[@]}"
    check "client to Exim: AUTH $mechanism, a wrong password is exit code 6" \
        exits 6 send "$exim" "$one" --auth $mechanism "${wrong[@]}"
done
by_certificate() {         # by_certificate [OPTION...]: sends a mail to Exim
    send "$exim" "$one" --auth EXTERNAL --client-cert "$CADIR/client.pem" --client-key "$CADIR/client.key" "$@"
}
knows() { grep -c ' <= sender@example.test .* A=external:test ' "$work/exim/log/exim-main"; }
check "client to Exim: AUTH EXTERNAL" read_back "$eximbox" "$one" by_certificate
check "client to Exim: AUTH EXTERNAL, with a name" read_back "$eximbox" "$one" by_certificate --user test
check "Exim knows the user by the certificate" test "$(knows)" = 2
check "client to Exim: AUTH EXTERNAL, another user's name is exit code 6" exits 6 by_certificate --user other
check "client to Exim: a rejected recipient is exit code 6" \
    read_back "$eximbox" "$one" exits 6 send "$exim" "$one" --to nobody@example.test
through_exim() {           # through_exim FILE USER...: Exim relays it to our server
    local file=$1 user to=(); shift
    for user; do to+=(--to "$user@relay.test"); done
    timeout 60 "$starttls" send --allow-empty --server "$exim" --ca "$ca" --from sender@example.test \
        "${to[@]}" "$file"
}
for mail in "$work"/mails/* "$work"/odd/*; do
    check "Exim to server: ${mail##*/}" from_client "$mail" through_exim "$mail" you
done
check "Exim to server: 100 recipients" from_client "$one" through_exim "$one" $(seq 100)
check "the server got 100 recipients from Exim in one transaction" \
    grep -Ex 'mail in=.* by=BDAT .*from="sender@example.test" to=("[0-9]+@relay.test",?){100}' "$work/mx"
# L: pipelining, K: chunks.
sent() { grep "=> you@relay.test .* CV=yes $1 C=" "$work/exim/log/exim-main"; }
check "Exim verified our server, pipelined commands and sent chunks" sent "L K"
