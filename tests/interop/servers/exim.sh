#!/usr/bin/env bash
# Exim: STARTTLS, AUTH PLAIN, LOGIN, CRAM-MD5 and, by the certificate of TEST_USER, EXTERNAL, CHUNKING and PIPELINING.  Mail to example.test is delivered to
# the maildir DIR/mail/new; mail to relay.test goes to RELAY_PORT over verified TLS.
. "$(dirname "$0")/lib.sh"

# Debian's package would replace Postfix, so only its program is extracted.
KEPT=${CARGO_TARGET_DIR:-$HERE/../../../target}/interop

svc_present() { "$KEPT/exim4" -C /dev/null -bV >/dev/null 2>&1; }
svc_install() {
    apt_install libdb5.3 libgnutls-dane0 libgnutls30 libidn12 libidn2-0 libnsl2 libpcre2-8-0
    getent passwd Debian-exim >/dev/null || useradd --system --no-create-home Debian-exim
    local deb
    deb=$(mktemp -d)
    (cd "$deb" && apt-get -qq -o APT::Sandbox::User=root download exim4-daemon-light)
    dpkg -x "$deb"/*.deb "$deb"
    mkdir -p "$KEPT"
    cp "$deb/usr/sbin/exim4" "$KEPT/"
    rm -rf "$deb"
}

svc_start() {
    local smtp
    svc_present || svc_install
    cp "$KEPT/exim4" "$DIR/"
    pick_port smtp
    own_cert Debian-exim
    install -d -o Debian-exim "$DIR/spool"
    install -d -o Debian-exim "$DIR/mail"
    cat >"$DIR/exim.conf" <<EOF
exim_path = $DIR/exim4
primary_hostname = mail.example.test
spool_directory = $DIR/spool
log_file_path = $DIR/log/exim-%s
log_selector = +pipelining
local_interfaces = $HOST
daemon_smtp_ports = $smtp
disable_ipv6
host_lookup =
keep_environment =
message_size_limit = 100M
smtp_return_error_details
tls_advertise_hosts = *
tls_certificate = $DIR/tls/server.pem
tls_privatekey = $DIR/tls/server.key
tls_try_verify_hosts = *
tls_verify_certificates = $CADIR/ca.pem
auth_advertise_hosts = \${if def:tls_in_cipher {*}}
acl_smtp_rcpt = recipient
deliver_drop_privilege

begin acl
recipient:
  deny    local_parts = nobody
  accept  domains = example.test : relay.test

begin routers
relay:
  driver = manualroute
  domains = relay.test
  route_list = * localhost::$RELAY_PORT byname
  self = send
  transport = relay
maildir:
  driver = accept
  domains = example.test
  transport = maildir

begin transports
relay:
  driver = smtp
  hosts_require_tls = *
  tls_verify_certificates = $CADIR/ca.pem
  tls_verify_hosts = *
maildir:
  driver = appendfile
  maildir_format
  directory = $DIR/mail

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = \${if and{{eq{\$auth2}{$TEST_USER}}{eq{\$auth3}{$TEST_PASS}}}}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = \${if and{{eq{\$auth1}{$TEST_USER}}{eq{\$auth2}{$TEST_PASS}}}}
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = \${if eq{\$auth1}{$TEST_USER}{$TEST_PASS}fail}
external:
  driver = external
  public_name = EXTERNAL
  server_advertise_condition = \$tls_in_certificate_verified
  server_param2 = \${certextract{subject,CN}{\$tls_in_peercert}}
  server_condition = \${if and{{eq{\$auth2}{$TEST_USER}}{or{{eq{\$auth1}{}}{eq{\$auth1}{$TEST_USER}}}}}}
  server_set_id = \$auth2
EOF
    spawn exim "$DIR/exim4" -C "$DIR/exim.conf" -bdf -q1m
    wait_port "$smtp"
    announce exim "$smtp"
}

main "$@"
