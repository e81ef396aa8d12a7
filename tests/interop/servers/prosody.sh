#!/usr/bin/env bash
# Prosody: XMPP client-to-server and server-to-server with STARTTLS, and one without TLS.  Domains "localhost",
# "example.test" and "127.0.0.2", which is not in the certificate; account TEST_USER@example.test / TEST_PASS.
. "$(dirname "$0")/lib.sh"

svc_present() { have prosody; }
svc_install() { apt_install prosody lua-sec openssl; }

prosody_on() {             # prosody_on NAME: more configuration on standard input
    local name=$1
    install -d -o prosody "$DIR/$name"
    { cat <<EOF
interfaces = { "$HOST", "127.0.0.2" }
component_ports = {}
http_ports = {}
https_ports = {}
pidfile = "$DIR/$name/prosody.pid"
data_path = "$DIR/$name"
authentication = "internal_plain"
log = { debug = "*console" }
EOF
    cat
    printf 'VirtualHost "%s"\n' example.test localhost 127.0.0.2; } >"$DIR/$name.cfg.lua"
    runuser -u prosody -- prosodyctl --config "$DIR/$name.cfg.lua" register \
        "$TEST_USER" example.test "$TEST_PASS" >"$DIR/log/prosodyctl-$name" 2>&1
    spawn "$name" runuser -u prosody -- prosody -F --config "$DIR/$name.cfg.lua"
}

svc_start() {
    local c2s s2s plain p
    for p in c2s s2s plain; do pick_port "$p"; done
    own_cert prosody
    prosody_on with-tls <<EOF
c2s_ports = { $c2s }
s2s_ports = { $s2s }
modules_enabled = { "saslauth", "tls", "dialback", "c2s", "s2s" }
c2s_require_encryption = true
s2s_require_encryption = true
ssl = { certificate = "$DIR/tls/server.pem", key = "$DIR/tls/server.key" }
EOF
    prosody_on plain <<EOF
c2s_ports = { $plain }
s2s_ports = {}
modules_enabled = { "roster", "saslauth", "disco", "ping", "c2s" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
EOF
    for p in $c2s $s2s $plain; do wait_port "$p"; done
    announce xmpp "$c2s"; announce xmpp-server "$s2s"; announce plain-xmpp "$plain"
}

main "$@"
