# shellcheck shell=bash
# Our client to Postfix: STARTTLS, implicit TLS, TLS 1.2 and 1.3; messages of 0 bytes to 50 MB; 1,000 recipients;
# each exit code.

to_postfix() {             # to_postfix SERVICE FILE [OPTION...]: sends it and reads it back
    local service=$1 file=$2 scheme=smtp; shift 2
    [ "$service" != smtps ] || scheme=smtps
    read_back "$inbox" "$file" send "$scheme://localhost:$(port "$service")" "$file" "$@"
}
url=smtp://localhost:$(port smtp)

for mail in "$work"/mails/* "$work"/odd/*; do
    check "client to Postfix: ${mail##*/}" to_postfix smtp "$mail"
done
check "client to Postfix: submission, AUTH PLAIN" to_postfix submission "$one" "${auth[@]}"
check "client to Postfix: submission, AUTH LOGIN" to_postfix login "$one" "${auth[@]}"
cp "$work/out" "$work/login"
check "a password never shows" "$python" $here/mails.py absent secret "$work/login"
check "a password never shows in base64" "$python" $here/mails.py absent c2VjcmV0 "$work/login"
check "client to Postfix: implicit TLS" to_postfix smtps "$one" "${auth[@]}"
check "client to Postfix: TLS 1.2" to_postfix tls12 "$one"
cp "$work/out" "$work/tls12"
check "client to Postfix: it was TLS 1.2" grep " TLS  1.2, " "$work/tls12"
check "client to Postfix: no TLS, which the policy allows" \
    to_postfix plain "$one" --tls opportunistic

send_trusting_others() { ca=$CADIR/other-ca.pem send "$@"; }
check "client to Postfix: no TLS is exit code 2" \
    exits 2 send "smtp://localhost:$(port plain)" "$one"
check "client to Postfix: another CA is exit code 5" exits 5 send_trusting_others "$url" "$one"
check "client to Postfix: implicit TLS, another CA is exit code 5" \
    exits 5 send_trusting_others "smtps://localhost:$(port smtps)" "$one"
check "client to Postfix: another name is exit code 5" \
    exits 5 send "smtp://[::ffff:127.0.0.1]:$(port smtp)" "$one"
check "client to Postfix: a wrong password is exit code 6" \
    exits 6 send "smtp://localhost:$(port submission)" "$one" "${wrong[@]}"
check "client to Postfix: implicit TLS, a wrong password is exit code 6" \
    exits 6 send "smtps://localhost:$(port smtps)" "$one" "${wrong[@]}"
check "client to Postfix: a rejected recipient is exit code 6" \
    exits 6 send "$url" "$one" --to nobody@example.test
check "client to Postfix: a probe" timeout 60 "$starttls" probe "$url" --ca "$ca" --json

# Postfix delivers them to one mailbox, and rejects those called nobody.
recipients=()
for n in $(seq 999); do
    case $n in
    *00) recipients+=(--to "nobody$n@example.test") ;;
    *) recipients+=(--to "r$n@example.test") ;;
    esac
done
check "client to Postfix: 1,000 recipients, 9 of them rejected" \
    read_back "$inbox" "$one" exits 6 send "$url" "$one" "${recipients[@]}"
cp "$work/out" "$work/thousand"
results() {
    sed -n 's/^  sent to <\(.*\)>: 250 .*/--to \1/p; s/^  NOT sent to <\(nobody.*\)>: 554 .*/--to \1/p' \
        "$work/thousand" | diff <(printf '%s %s\n' --to you@example.test "${recipients[@]}") -
}
check "client to Postfix: 1,000 recipients, a result for each" results
at_once() {                # a hundred commands in a row without a reply in between
    awk '/RCPT TO/ && ++n == 100 { found = 1 } / 250 / { n = 0 } END { exit !found }' "$1"
}
check "client to Postfix: 1,000 recipients, a hundred at once" at_once "$work/thousand"

mkdir "$work/many"
for mail in "$work"/mails/*; do cp "$mail" "$work/many/${mail##*/}.eml"; done
check "client to Postfix: a directory over one connection" \
    read_back "$inbox" "$work/many" send "$url" "$work/many"
piped() {
    printf 'EHLO client.test\r\nQUIT\r\n' | timeout 60 "$starttls" connect "$1" --ca "$ca" \
        --linger 60 | grep '^221 '
}
check "a pipe to Postfix" piped "$url"
check "a pipe to Postfix, implicit TLS" piped "smtps://localhost:$(port smtps)"

serve front smtp --require-tls --backend "127.0.0.1:$(port plain)"
check "curl through our server to a Postfix without TLS" read_back "$inbox" "$one" \
    curl_to "smtp://localhost:$p" -T "$one"
check "client through our server to a Postfix without TLS" \
    read_back "$inbox" "$one" send "smtp://localhost:$p" "$one"

check "Python's email reads composed messages" \
    cargo test -q -p starttls-tests --test compose -- --ignored python
have notmuch || install notmuch
check "notmuch reads composed messages" \
    cargo test -q -p starttls-tests --test compose -- --ignored notmuch
check "Python's email finds no address that the command misses" \
    cargo test -q -p starttls-cli --bins addresses -- --ignored
