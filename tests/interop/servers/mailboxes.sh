#!/usr/bin/env bash
# Dovecot: IMAP, POP3 and ManageSieve, with STARTTLS and (the first two) with implicit TLS, and all
# three without TLS.  Logins: TEST_USER / TEST_PASS; the mail is in DIR/mail/TEST_USER/new.
. "$(dirname "$0")/lib.sh"

svc_present() { [ -x /usr/lib/dovecot/imap ] && [ -x /usr/lib/dovecot/pop3 ] && [ -x /usr/lib/dovecot/managesieve ]; }
svc_install() {
    apt_install dovecot-imapd dovecot-pop3d dovecot-managesieved openssl
}

configuration() {          # configuration NAME IMAP POP3 SIEVE [IMAPS POP3S]
    cat <<EOF
base_dir = $DIR/$1-run
state_dir = $DIR/$1-run
log_path = $DIR/log/$1
protocols = imap pop3 sieve
listen = $HOST
default_vsz_limit = 512M
first_valid_uid = 1
mail_location = maildir:$DIR/mail/%u
hostname = mail.example.test
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {
  driver = passwd-file
  args = $DIR/users
}
userdb {
  driver = static
  args = uid=mail gid=mail home=$DIR/mail/%u
}
plugin {
  sieve = file:~/sieve;active=~/active.sieve
}
# Dovecot delays an address after failed logins.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service imap-login {
  inet_listener imap {
    port = $2
  }
  inet_listener imaps {
    port = ${5:-0}
    ssl = yes
  }
}
service pop3-login {
  inet_listener pop3 {
    port = $3
  }
  inet_listener pop3s {
    port = ${6:-0}
    ssl = yes
  }
}
service managesieve-login {
  inet_listener sieve {
    port = $4
  }
}
EOF
}

svc_start() {
    local imap pop3 sieve imaps pop3s plain_imap plain_pop3 plain_sieve p
    for p in imap pop3 sieve imaps pop3s plain_imap plain_pop3 plain_sieve; do pick_port "$p"; done
    mkdir -p "$DIR/dovecot-run" "$DIR/dovecot-plain-run"
    install -d -o mail -g mail "$DIR/mail" "$DIR/mail/$TEST_USER" "$DIR/mail/$TEST_USER/new"
    echo "$TEST_USER:{PLAIN}$TEST_PASS" >"$DIR/users"
    { configuration dovecot "$imap" "$pop3" "$sieve" "$imaps" "$pop3s"; cat <<EOF
ssl = required
ssl_cert = <$CADIR/server.pem
ssl_key = <$CADIR/server.key
EOF
    } >"$DIR/dovecot.conf"
    { configuration dovecot-plain "$plain_imap" "$plain_pop3" "$plain_sieve"; cat <<EOF
ssl = no
disable_plaintext_auth = no
EOF
    } >"$DIR/dovecot-plain.conf"
    spawn dovecot.out dovecot -F -c "$DIR/dovecot.conf"
    spawn dovecot-plain.out dovecot -F -c "$DIR/dovecot-plain.conf"
    for p in $imap $pop3 $sieve $imaps $pop3s $plain_imap $plain_pop3 $plain_sieve; do wait_port "$p"; done
    announce imap "$imap"; announce imaps "$imaps"; announce plain-imap "$plain_imap"
    announce pop3 "$pop3"; announce pop3s "$pop3s"; announce plain-pop3 "$plain_pop3"
    announce sieve "$sieve"; announce plain-sieve "$plain_sieve"
}

main "$@"
