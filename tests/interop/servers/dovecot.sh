#!/usr/bin/env bash
# Dovecot: submission with STARTTLS and each mechanism that both support, which relays mail to
# RELAY_PORT over verified TLS, and LMTP with STARTTLS.  Logins: TEST_USER / TEST_PASS, or
# TEST_TOKEN by XOAUTH2.  LMTP knows "test", "second" and "third" at example.test, whose mail
# is delivered to DIR/mail/USER/new.
. "$(dirname "$0")/lib.sh"
TEST_TOKEN=${TEST_TOKEN:-token}

svc_present() { [ -x /usr/lib/dovecot/lmtp ] && [ -x /usr/lib/dovecot/submission ]; }
svc_install() {
    apt_install dovecot-lmtpd dovecot-submissiond openssl python3
}

svc_start() {
    local lmtp subm oauth user
    for p in lmtp subm oauth; do pick_port "$p"; done
    mkdir -p "$DIR/run" "$DIR/mail"
    chown mail:mail "$DIR/mail"
    for user in "$TEST_USER" second third; do echo "$user:{PLAIN}$TEST_PASS::::::"; done >"$DIR/users"
    cat >"$DIR/oauth2.conf" <<EOF
introspection_mode = get
introspection_url = http://$HOST:$oauth/?token=
username_attribute = user
active_attribute = active
active_value = true
EOF
    cat >"$DIR/dovecot.conf" <<EOF
base_dir = $DIR/run
state_dir = $DIR/run
log_path = $DIR/log/dovecot
protocols = lmtp submission
listen = $HOST
default_vsz_limit = 512M
first_valid_uid = 1
mail_location = maildir:$DIR/mail/%n
hostname = mail.example.test
postmaster_address = postmaster@example.test

ssl = yes
ssl_cert = <$CADIR/server.pem
ssl_key = <$CADIR/server.key
ssl_client_ca_file = $CADIR/ca.pem
auth_mechanisms = plain login cram-md5 scram-sha-256 xoauth2
auth_username_format = %Ln
auth_failure_delay = 0

passdb {
  driver = oauth2
  mechanisms = xoauth2
  args = $DIR/oauth2.conf
}
passdb {
  driver = passwd-file
  mechanisms = plain login cram-md5 scram-sha-256
  args = $DIR/users
}
userdb {
  driver = passwd-file
  args = $DIR/users
  override_fields = uid=mail gid=mail home=$DIR/mail/%n
}

# Dovecot delays an address after failed logins.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service lmtp {
  unix_listener $DIR/lmtp.sock {
    mode = 0666
  }
  inet_listener lmtp {
    address = $HOST
    port = $lmtp
  }
}
service submission-login {
  inet_listener submission {
    port = $subm
  }
}
submission_relay_host = localhost
submission_relay_port = $RELAY_PORT
submission_relay_trusted = no
submission_relay_ssl = starttls
submission_relay_ssl_verify = yes
submission_max_mail_size = 100M
EOF
    spawn introspection python3 "$HERE/introspection.py" "$oauth" "$TEST_TOKEN" "$TEST_USER"
    spawn dovecot.out dovecot -F -c "$DIR/dovecot.conf"
    for p in $lmtp $subm $oauth; do wait_port "$p"; done
    announce dovecot-lmtp "$lmtp"
    announce dovecot-submission "$subm"
}

main "$@"
