# shellcheck shell=bash
# Postfix to our server by SMTP and LMTP, verified and pipelined.

log=$work/postfix/log/postfix
through_postfix() {        # through_postfix FILE [ADDRESS...]: Postfix relays it to our server
    local file=$1; shift
    sed 's/\r$//' "$file" | timeout 30 sendmail -C "$work/postfix/etc" -i -B 8BITMIME \
        -f sender@example.test "$@"
}
for mail in "$work"/mails/* "$work/odd/50-MB"; do
    check "Postfix to server: ${mail##*/}" \
        from_client "$mail" through_postfix "$mail" you@relay.test
    check "Postfix to server, LMTP: ${mail##*/}" \
        from_client "$mail" through_postfix "$mail" you@lmtp.test
done
many=()
for n in $(seq 500); do many+=("r$n@relay.test"); done
check "Postfix to server: 500 recipients" from_client "$one" through_postfix "$one" "${many[@]}"
check "the server got 500 recipients in one transaction" \
    grep -Ex 'mail in=.* from="sender@example.test" to=("r[0-9]+@relay.test",?){500}' "$work/mx"
check "Postfix verified our server" grep -q \
    "relay/smtp.*Verified TLS connection established to localhost.*:$mx: TLSv1.3" "$log"
check "Postfix verified our server, LMTP" grep -q \
    "relay/lmtp.*Verified TLS connection established to localhost.*:$lmtp: TLSv1.3" "$log"
check "Postfix used PIPELINING" grep -q 'relay/smtp.*Using ESMTP PIPELINING' "$log"
check "Postfix used PIPELINING, LMTP" grep -q 'relay/lmtp.*Using LMTP PIPELINING' "$log"
