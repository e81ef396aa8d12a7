# shellcheck shell=bash
# Our client logs in to Dovecot (PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-256, XOAUTH2) and GNU SASL (SCRAM-SHA-256-PLUS, also
# through an attacker's TLS).

dovecot=smtp://localhost:$(port dovecot-submission)
for mail in "$work"/mails/* "$work"/odd/*; do
    check "client to Dovecot, relayed to our server: ${mail##*/}" \
        from_client "$mail" send "$dovecot" "$mail" "${auth[@]}"
done
strongest() { wait_for method=SCRAM-SHA-256, "$1" && exits 1 grep 'Login: user=<test>, method=[^S]' "$1"; }
check "Dovecot saw the strongest mechanism it offers" strongest "$work/dovecot/log/dovecot"
check "Dovecot relays in chunks" grep -c '^mail .* channel=tls by=BDAT ' "$work/mx"
saw() { grep 'Login: user=<test>' "$work/dovecot/log/dovecot" | tail -n 1 | grep -F "method=$1,"; }
for mechanism in PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 XOAUTH2; do
    secret=$work/password
    [ $mechanism != XOAUTH2 ] || secret=$work/token
    by=(--auth $mechanism --user test --password-file)
    check "client to Dovecot: AUTH $mechanism" \
        from_client "$one" send "$dovecot" "$one" "${by[@]}" "$secret"
    cp "$work/out" "$work/$mechanism"
    check "Dovecot saw AUTH $mechanism" saw $mechanism
    check "client to Dovecot: AUTH $mechanism, a wrong secret is exit code 6" \
        exits 6 send "$dovecot" "$one" "${by[@]}" "$work/wrong"
done
check "a token never shows" "$python" $here/mails.py absent token "$work/XOAUTH2"
check "a token never shows in base64" "$python" $here/mails.py absent dXNlcj10ZXN0 "$work/XOAUTH2"

timeout $lifetime "$python" $here/servers/gsasl.py "$CADIR/server.pem" "$CADIR/server.key" \
    "$work/delivered" test secret SCRAM-SHA-256-PLUS SCRAM-SHA-256 CRAM-MD5 >"$work/gsasl" 2>&1 &
started="$started $!"
wait_for ^listening "$work/gsasl"
gsasl=smtp://localhost:$(awk '/^listening/ { print $2 }' "$work/gsasl")
by_gsasl() {               # by_gsasl LOGIN URL [OPTION...]: LOGIN is the server's report of the login
    from_client "$one" send "$2" "$one" "${@:3}" "${auth[@]}" &&
        tail -n 1 "$work/gsasl" | grep -Fx "$1"
}
plus="SCRAM-SHA-256-PLUS p=tls-exporter test"
check "client to GNU SASL: AUTH SCRAM-SHA-256-PLUS" \
    by_gsasl "$plus" "$gsasl" --auth SCRAM-SHA-256-PLUS
check "client to GNU SASL: the strongest it offers" by_gsasl "$plus" "$gsasl"
check "client to GNU SASL: AUTH SCRAM-SHA-256" \
    by_gsasl "SCRAM-SHA-256 n test" "$gsasl" --auth SCRAM-SHA-256
check "client to GNU SASL: AUTH SCRAM-SHA-256-PLUS, a wrong password is exit code 6" \
    exits 6 send "$gsasl" "$one" --auth SCRAM-SHA-256-PLUS "${wrong[@]}"

# An attacker with a valid certificate for the server sits between two TLS connections.
timeout $lifetime "$starttls" connect "$gsasl" --ca "$ca" --listen 127.0.0.1:0 >"$work/attacker" 2>&1 &
started="$started $!"
wait_for ^listening "$work/attacker"
serve between smtp --require-tls --backend "127.0.0.1:$(awk '/^listening/ { print $4 }' "$work/attacker")"
check "client to GNU SASL through an attacker's TLS: AUTH SCRAM-SHA-256 does not notice" \
    by_gsasl "SCRAM-SHA-256 n test" "smtp://localhost:$p" --auth SCRAM-SHA-256
check "client to GNU SASL through an attacker's TLS: AUTH SCRAM-SHA-256-PLUS does" \
    exits 6 send "smtp://localhost:$p" "$one" --auth SCRAM-SHA-256-PLUS "${auth[@]}"
check "client to GNU SASL through an attacker's TLS: the strongest it offers does, too" \
    exits 6 send "smtp://localhost:$p" "$one" "${auth[@]}"
