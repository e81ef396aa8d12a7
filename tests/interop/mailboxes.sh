# shellcheck shell=bash
# IMAP, POP3, ManageSieve: our client to Dovecot; s_client, gnutls-cli, curl, imaplib, poplib, fetchmail and
# sieve-connect through our server to a Dovecot without TLS.

have fetchmail || install fetchmail
have sieve-connect || install sieve-connect
up mailboxes
command install -o mail "$one" "$work/mailboxes/mail/test/new/1"
printf 'keep;\r\n' >"$work/script"

probes Dovecot imap 2
probes Dovecot pop3 2
probes Dovecot sieve 2
for s in imap imaps; do
    check "a pipe to Dovecot: $s" says '^\* 1 EXISTS' pipe "$s://localhost:$(port $s)" \
        'a LOGIN test secret' 'b EXAMINE INBOX' 'c LOGOUT'
done
for s in pop3 pop3s; do
    check "a pipe to Dovecot: $s" says '^+OK 1 ' pipe "$s://localhost:$(port $s)" \
        'USER test' 'PASS secret' 'STAT' 'QUIT'
done
login="AUTHENTICATE \"PLAIN\" \"$(printf '\0test\0secret' | base64)\""
check "a pipe to Dovecot: sieve" says '^OK "Logged in' \
    pipe "sieve://localhost:$(port sieve)" "$login" LOGOUT

by_curl() {                # by_curl URL [OPTION...]
    timeout 30 curl -sS -u test:secret "$@"
}
listen pipe-imap "imap://localhost:$(port imap)"
check "curl without TLS through our pipe to Dovecot: imap" \
    same "$one" by_curl "imap://localhost:$p/INBOX;MAILINDEX=1"
listen pipe-pop3 "pop3://localhost:$(port pop3)"
check "curl without TLS through our pipe to Dovecot: pop3" same "$one" by_curl "pop3://localhost:$p/1"
listen pipe-imaps "imaps://localhost:$(port imaps)"
check "curl without TLS through our pipe to Dovecot: imaps" \
    same "$one" by_curl "imap://localhost:$p/INBOX;MAILINDEX=1"

by_fetchmail() {           # by_fetchmail PROTOCOL
    command install -m 600 /dev/null "$work/fetchmailrc"
    echo "poll localhost proto $1 port $p user test pass secret keep fetchall sslproto TLS1.2+" \
        "sslcertck sslcertfile $ca mda \"cat >$work/fetched\"" >"$work/fetchmailrc"
    rm -f "$work/fetched"
    timeout 60 fetchmail -f "$work/fetchmailrc" --pidfile "$work/fetchmail.pid" -i "$work/fetchids" &&
        tail -c 20 "$work/fetched" | cmp - <(tr -d '\r' <"$one" | tail -c 20)
}
front imap
check "openssl s_client through our server: imap" says '^\* 1 EXISTS' \
    through_s_client imap 'a LOGIN test secret' 'b EXAMINE INBOX' 'c LOGOUT'
check "gnutls-cli through our server: imap" says '^\* 1 EXISTS' \
    through_gnutls imap 'a LOGIN test secret' 'b EXAMINE INBOX' 'c LOGOUT'
check "curl through our server: imap" same "$one" \
    by_curl --ssl-reqd --cacert "$ca" "imap://localhost:$p/INBOX;MAILINDEX=1"
check "Python imaplib through our server" by_python imap "$one"
check "fetchmail through our server: imap" by_fetchmail imap
check "client through our server: imap" says '^\* 1 EXISTS' pipe "imap://localhost:$p" \
    'a LOGIN test secret' 'b EXAMINE INBOX' 'c LOGOUT'
front imaps imap
check "curl through our server: imaps" same "$one" \
    by_curl --cacert "$ca" "imaps://localhost:$p/INBOX;MAILINDEX=1"
front pop3
check "openssl s_client through our server: pop3" says '^+OK 1 ' \
    through_s_client pop3 'USER test' 'PASS secret' 'STAT' 'QUIT'
check "gnutls-cli through our server: pop3" says '^+OK 1 ' \
    through_gnutls pop3 'USER test' 'PASS secret' 'STAT' 'QUIT'
check "curl through our server: pop3" same "$one" by_curl --ssl-reqd --cacert "$ca" "pop3://localhost:$p/1"
check "Python poplib through our server" by_python pop3 "$one"
check "fetchmail through our server: pop3" by_fetchmail pop3
front pop3s pop3
check "curl through our server: pop3s" same "$one" by_curl --cacert "$ca" "pop3s://localhost:$p/1"

front sieve
check "openssl s_client through our server: sieve" says '^OK "Logged in' through_s_client sieve "$login" LOGOUT
check "gnutls-cli through our server: sieve" says '^OK "Logged in' through_gnutls sieve "$login" LOGOUT
by_sieve_connect() {       # by_sieve_connect OPTION...
    timeout 60 sieve-connect --server localhost --port "$p" --noclearchan --user test \
        --passwordfd 3 --tlscafile "$ca" "$@" 3<"$work/password"
}
check "sieve-connect through our server: uploads a script" \
    by_sieve_connect --upload --localsieve "$work/script" --remotesieve ours
check "sieve-connect through our server: the script is listed" says ours by_sieve_connect --list
check "sieve-connect through our server: the script is the same" cmp "$work/script" \
    "$work/mailboxes/mail/test/sieve/ours.sieve"
