# shellcheck shell=bash
# The programs of the part `server`, logged in to our server by password, and Python by certificate.

swaks_as() {               # swaks_as MECHANISM PASSWORD
    swaks_to "$submission" --tls --auth "$1" --auth-user test --auth-password "$2"
}
curl_as() {                # curl_as PASSWORD [OPTION...]
    curl_to "smtp://localhost:$submission" --user "test:$1" -T "$one" "${@:2}"
}
msmtp_as() {               # msmtp_as MECHANISM PASSWORD-FILE
    msmtp_to "$submission" "$one" --auth="$1" --user=test --passwordeval="cat $2"
}
for mechanism in PLAIN LOGIN; do
    check "swaks to a submission server: AUTH $mechanism" \
        from_client "$other" swaks_as $mechanism secret
    check "swaks to a submission server: AUTH $mechanism, a wrong password" \
        exits 28 swaks_as $mechanism wrong
    check "curl to a submission server: AUTH $mechanism" \
        from_client "$one" curl_as secret --login-options "AUTH=$mechanism"
    check "msmtp to a submission server: AUTH $mechanism" \
        from_client "$one" msmtp_as "${mechanism,,}" "$work/password"
    check "msmtp to a submission server: AUTH $mechanism, a wrong password" \
        exits 77 msmtp_as "${mechanism,,}" "$work/wrong"
done
check "msmtp to a submission server: AUTH SCRAM-SHA-256" \
    from_client "$one" msmtp_as scram-sha-256 "$work/password"
check "msmtp to a submission server: AUTH SCRAM-SHA-256, a wrong password" \
    exits 77 msmtp_as scram-sha-256 "$work/wrong"
gsasl_as() {               # gsasl_as MECHANISM PASSWORD [OPTION...]: logs in and leaves
    timeout 30 gsasl --smtp --connect="localhost:$submission" --mechanism="$1" --authentication-id=test \
        --password="$2" --authorization-id= --x509-ca-file="$ca" --verbose "${@:3}" </dev/null
}
check "GNU SASL to a submission server: AUTH SCRAM-SHA-256-PLUS" \
    says '^235 ' gsasl_as SCRAM-SHA-256-PLUS secret
check "GNU SASL to a submission server: AUTH SCRAM-SHA-256-PLUS, a wrong password" \
    exits 1 gsasl_as SCRAM-SHA-256-PLUS wrong
check "GNU SASL to a submission server: AUTH SCRAM-SHA-256" \
    says '^235 ' gsasl_as SCRAM-SHA-256 secret --no-cb
check "GNU SASL to a submission server: AUTH SCRAM-SHA-256, a wrong password" \
    exits 1 gsasl_as SCRAM-SHA-256 wrong --no-cb
check "curl to a submission server: an initial response" \
    from_client "$one" curl_as secret --sasl-ir
check "curl to a submission server: a wrong password" exits 67 curl_as wrong
check "Python smtplib to a submission server: LOGIN and a mail in chunks" \
    from_client "$one" timeout 60 "$python" $here/mails.py submit "$submission" "$ca" "$one"
check "aiosmtplib to a submission server" from_client "$one" \
    timeout 60 "$python" $here/mails.py aio "$submission" "$ca" "$one" secret
check "aiosmtplib to a submission server: a wrong password" \
    exits 7 timeout 60 "$python" $here/mails.py aio "$submission" "$ca" "$one" wrong
serve certified smtp --require-tls "${into[@]}" "${auth[@]}" --client-ca "$ca" --client-auth asked
by_certificate() {         # by_certificate NAME
    timeout 60 "$python" $here/mails.py external "$p" "$ca" "$one" "$CADIR/client.pem" "$CADIR/client.key" "$1"
}
check "Python smtplib to a submission server: EXTERNAL" from_client "$one" by_certificate test
check "Python smtplib to a submission server: EXTERNAL, as another user" exits 7 by_certificate other
check "a submission server logs the certificate's user" \
    grep '^mail .* user="test" certificate="CN=test"' "$work/certified"
check "nodemailer to a submission server" \
    from_client "$one" timeout 60 node $here/nodemailer.cjs "$submission" "$ca" "$one" secret
check "nodemailer to a submission server: a wrong password" \
    exits 7 timeout 60 node $here/nodemailer.cjs "$submission" "$ca" "$one" wrong
check "a submission server logs the sender of each mail" \
    grep -c '^mail .* channel=tls by=[A-Z]* user="test"' "$work/submission"
check "a submission server logs which mails came in chunks" grep -q ' by=BDAT ' "$work/submission"
check "a submission server logs no password" \
    "$python" $here/mails.py absent secret "$work/submission"
