# shellcheck shell=bash
# `starttls check` on each server of the other parts, and on our server in front of those without TLS, which must pass
# with --strict. What it finds out about other programs is only in interop/results, which git ignores.

up mailboxes vsftpd inspircd slapd mariadb nbd inn nut postgres prosody vnc xrdp

server() {                 # server NAME SCHEME PORT [OPTION...]
    examine "$1" check "$2://localhost:$3" --ca "$ca" "${@:4}"
}
to=(--mail-to you@example.test)
server Postfix smtp "$(port smtp)" --implicit-port "$(port smtps)" "${to[@]}"
server Postfix-submission smtp "$(port submission)"
server Exim smtp "$(port exim)" "${to[@]}"
server Dovecot-submission smtp "$(port dovecot-submission)"
server Dovecot-LMTP lmtp "$(port dovecot-lmtp)" --mail-to test@example.test
server Dovecot-IMAP imap "$(port imap)" --implicit-port "$(port imaps)"
server Dovecot-POP3 pop3 "$(port pop3)" --implicit-port "$(port pop3s)"
server Dovecot-ManageSieve sieve "$(port sieve)"
server vsftpd ftp "$(port ftp)" --implicit-port "$(port ftps)"
server InspIRCd irc "$(port irc)" --implicit-port "$(port ircs)"
server slapd ldap "$(port ldap)" --implicit-port "$(port ldaps)"
server MariaDB mysql "$(port mysql)"
server nbdkit nbd "$(port nbd)"
server qemu-nbd nbd "$(port qemu-nbd)"
server INN nntp "$(port nntp)" --implicit-port "$(port nntps)"
server upsd nut "$(port nut)"
server PostgreSQL postgres "$(port postgres)"
server Prosody xmpp "$(port xmpp)"
server Prosody-servers xmpp-server "$(port xmpp-server)"
server TigerVNC vnc "$(port vnc)"
server xrdp rdp "$(port rdp)"

# Inside TLS a server has to answer. Ours of VNC and RDP ends there, so the library's own tests run these cases.
ours() {                   # ours SCHEME "OPTION..." ["OPTION..."]: our server with some options, its test with the others
    # shellcheck disable=SC2086 # words
    serve "examined-$1" "$1" --require-tls --max-wait 2 $2
    # shellcheck disable=SC2086
    examine "our-server-$1" check "$1://localhost:$p" --ca "$ca" --strict --local-is-remote --deadline 5 ${3:-}
}
for s in ftp imap irc ldap nbd nntp nut pop3 postgres sieve; do
    ours $s "--backend 127.0.0.1:$(port "plain-$s")"
done
for s in xmpp xmpp-server; do ours $s "--backend 127.0.0.1:$(port plain-xmpp)"; done
ours mysql ""
for s in smtp lmtp; do ours $s "${into[*]}" "${to[*]}"; done
examined
