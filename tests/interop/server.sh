# shellcheck shell=bash
# Mail programs to our server: openssl, gnutls-cli, swaks, curl, smtplib, msmtp, aiosmtplib and nodemailer.

check "openssl s_client to server" from_client "$one" s_client "$one"
check "gnutls-cli to server" from_client "$one" gnutls "$one"
check "gnutls-cli to server: TLS 1.2" \
    from_client "$one" gnutls "$one" --priority NORMAL:-VERS-ALL:+VERS-TLS1.2
check "swaks to server" from_client "$other" swaks_to "$mx" --tls
check "swaks to server: implicit TLS" from_client "$other" swaks_to "$over_tls" --tlsc
check "swaks to server: LMTP" from_client "$other" swaks_to "$lmtp" --tls --protocol LMTP
for mail in "$work"/mails/*; do
    name=${mail##*/}
    check "curl to server: $name" from_client "$mail" curl_to "smtp://localhost:$mx" -T "$mail"
    check "Python smtplib to server: $name" from_client "$mail" \
        timeout 60 "$python" $here/mails.py send "$mx" "$ca" "$mail"
    check "msmtp to server: $name" from_client "$mail" msmtp_to "$mx" "$mail"
    check "aiosmtplib to server: $name" from_client "$mail" \
        timeout 60 "$python" $here/mails.py aio "$mx" "$ca" "$mail"
    check "nodemailer to server: $name" from_client "$mail" \
        timeout 60 node $here/nodemailer.cjs "$mx" "$ca" "$mail"
done
for mail in "$work"/odd/*; do
    check "Python smtplib to server: ${mail##*/}" from_client "$mail" \
        timeout 60 "$python" $here/mails.py send "$mx" "$ca" "$mail"
done
check "curl to server: 50-MB" from_client "$work/odd/50-MB" \
    curl_to "smtp://localhost:$mx" -T "$work/odd/50-MB"
check "curl to server: implicit TLS" \
    from_client "$one" curl_to "smtps://localhost:$over_tls" -T "$one"
check "msmtp to server: implicit TLS" \
    from_client "$one" msmtp_to "$over_tls" "$one" --tls-starttls=off
check "a server that requires TLS accepts nothing before it" \
    "$python" $here/mails.py refused "$mx"
