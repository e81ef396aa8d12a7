# shellcheck shell=bash
# Mail programs against our server.

check "openssl s_client to server" from_client "$one" s_client "$one"
check "swaks to server" from_client "$other" swaks_to "$mx" --tls
for mail in "$work"/mails/*; do
    name=${mail##*/}
    check "curl to server: $name" from_client "$mail" curl_to "smtp://localhost:$mx" -T "$mail"
    check "Python smtplib to server: $name" from_client "$mail" \
        timeout 60 "$python" $here/mails.py send "$mx" "$ca" "$mail"
done
check "a server that requires TLS takes nothing before it" \
    "$python" $here/mails.py refused "$mx"
