#!/usr/bin/env bash
# Postfix: an exchanger that offers STARTTLS, one with TLS 1.2, one that has no TLS, two submission
# services that require TLS and AUTH (any mechanism; LOGIN only) through a private
# Dovecot auth server, and one with implicit TLS.  Mail to example.test is delivered to
# the maildir DIR/mail/inbox/new, except that "nobody*" is rejected; recipients called r
# and a number share one copy.  Mail to relay.test goes to RELAY_PORT by SMTP, to
# lmtp.test to LMTP_PORT by LMTP, both over verified TLS.  One more exchanger accepts any recipient: a copy for each
# is delivered to DIR/mail/corpus/new, with the recipient in X-Original-To.
. "$(dirname "$0")/lib.sh"

svc_present() { have postfix && have dovecot; }
svc_install() { postfix_install openssl dovecot-core; }

svc_start() {
    local smtp tls12 plain subm login smtps corpus p
    for p in smtp tls12 plain subm login smtps corpus; do pick_port "$p"; done
    mkdir -p "$DIR/dove"
    postfix_instance "$DIR" postfix mail.example.test
    postfix_mailbox "$DIR" "$DIR/mail" example.test "inline:{ { corpus@example.test = corpus/ } }"
    cat >>"$DIR/etc/main.cf" <<EOF
local_recipient_maps =
local_header_rewrite_clients =
mynetworks = 127.0.0.0/8
virtual_mailbox_limit = 0
virtual_alias_maps = regexp:{ {/^r[0-9]+@example\.test/ you@example.test} }
enable_original_recipient = no
message_size_limit = 104857600
smtpd_recipient_restrictions = check_recipient_access regexp:{ {/^nobody[0-9]*@/ REJECT} }
smtpd_recipient_limit = 1000
smtpd_soft_error_limit = 100
smtpd_hard_error_limit = 100
smtpd_tls_security_level = may
smtpd_tls_cert_file = $CADIR/server.pem
smtpd_tls_key_file = $CADIR/server.key
smtpd_tls_auth_only = yes
smtpd_tls_loglevel = 1
smtpd_sasl_type = dovecot
smtpd_sasl_path = $DIR/dove/auth-client
relay_domains = relay.test, lmtp.test
transport_maps = inline:{
    { relay.test = relay:[localhost]:$RELAY_PORT }
    { lmtp.test = relay-lmtp:[localhost]:$LMTP_PORT } }
relay_destination_recipient_limit = 1000
smtp_host_lookup = native
smtp_tls_security_level = secure
smtp_tls_CAfile = $CADIR/ca.pem
smtp_tls_loglevel = 1
lmtp_host_lookup = native
lmtp_tls_security_level = secure
lmtp_tls_CAfile = $CADIR/ca.pem
lmtp_tls_loglevel = 1
EOF
    cat >>"$DIR/etc/master.cf" <<EOF
$HOST:$smtp  inet n - n - - smtpd
$HOST:$tls12 inet n - n - - smtpd
    -o syslog_name=postfix/tls12
    -o smtpd_tls_protocols=TLSv1.2
$HOST:$plain inet n - n - - smtpd
    -o syslog_name=postfix/plain
    -o smtpd_tls_security_level=none
$HOST:$subm  inet n - n - - smtpd
    -o syslog_name=postfix/submission
    -o smtpd_tls_security_level=encrypt
    -o smtpd_sasl_auth_enable=yes
    -o smtpd_client_restrictions=permit_sasl_authenticated,reject
$HOST:$login inet n - n - - smtpd
    -o syslog_name=postfix/login
    -o smtpd_tls_security_level=encrypt
    -o smtpd_sasl_auth_enable=yes
    -o smtpd_sasl_mechanism_filter=login
    -o smtpd_client_restrictions=permit_sasl_authenticated,reject
$HOST:$smtps inet n - n - - smtpd
    -o syslog_name=postfix/smtps
    -o smtpd_tls_wrappermode=yes
    -o smtpd_sasl_auth_enable=yes
    -o smtpd_client_restrictions=permit_sasl_authenticated,reject
$HOST:$corpus inet n - n - - smtpd
    -o syslog_name=postfix/corpus
    -o cleanup_service_name=cleanup-corpus
    -o smtpd_recipient_restrictions=
cleanup-corpus unix n - n - 0 cleanup
    -o { virtual_alias_maps = regexp:{ {/./ corpus@example.test} } }
    -o enable_original_recipient=yes
    -o message_drop_headers=
relay     unix - - n - - smtp -v
    -o syslog_name=postfix/relay
relay-lmtp unix - - n - - lmtp -v
    -o syslog_name=postfix/relay
EOF

    # A Dovecot that only authenticates.
    echo "$TEST_USER:{PLAIN}$TEST_PASS" >"$DIR/dove/users"
    cat >"$DIR/dove/dovecot.conf" <<EOF
base_dir = $DIR/dove/run
state_dir = $DIR/dove/run
log_path = $DIR/log/dovecot-auth
protocols =
ssl = no
listen = $HOST
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {
  driver = passwd-file
  args = $DIR/dove/users
}
userdb {
  driver = static
  args = uid=mail gid=mail home=/nonexistent
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  unix_listener $DIR/dove/auth-client {
    mode = 0666
  }
}
EOF
    mkdir -p "$DIR/dove/run"
    spawn dovecot.out dovecot -F -c "$DIR/dove/dovecot.conf"
    postfix -c "$DIR/etc" start >"$DIR/log/postfix.out" 2>&1 ||
        { cat "$DIR/log/"* >&2; die "postfix did not start"; }
    for p in $smtp $tls12 $plain $subm $login $smtps $corpus; do wait_port "$p"; done
    announce smtp "$smtp"; announce plain "$plain"; announce tls12 "$tls12"
    announce submission "$subm"; announce login "$login"; announce smtps "$smtps"
    announce corpus "$corpus"
}

svc_stop() { postfix -c "$DIR/etc" stop >/dev/null 2>&1 || true; }

main "$@"
