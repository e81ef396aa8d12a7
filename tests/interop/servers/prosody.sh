#!/usr/bin/env bash
# Prosody: XMPP client-to-server and server-to-server with STARTTLS, and direct
# TLS for both.  Domains "localhost" and "example.test"; account
# TEST_USER@example.test / TEST_PASS.
. "$(dirname "$0")/lib.sh"

svc_install() { apt_install prosody lua-sec openssl; }

svc_start() {
    local c2s s2s c2st s2st p
    for p in c2s s2s c2st s2st; do pick_port "$p"; done
    own_cert prosody
    install -d -o prosody "$DIR/data"
    cat >"$DIR/prosody.cfg.lua" <<EOF
interfaces = { "$HOST" }
c2s_ports = { $c2s }
s2s_ports = { $s2s }
c2s_direct_tls_ports = { $c2st }
s2s_direct_tls_ports = { $s2st }
component_ports = {}
http_ports = {}
https_ports = {}
pidfile = "$DIR/data/prosody.pid"
data_path = "$DIR/data"
modules_enabled = { "roster", "saslauth", "tls", "dialback", "disco", "ping", "s2s", "c2s" }
c2s_require_encryption = true
s2s_require_encryption = true
authentication = "internal_plain"
log = { debug = "*console" }
ssl = { certificate = "$DIR/tls/server.pem", key = "$DIR/tls/server.key" }
VirtualHost "example.test"
VirtualHost "localhost"
EOF
    runuser -u prosody -- prosodyctl --config "$DIR/prosody.cfg.lua" register \
        "$TEST_USER" example.test "$TEST_PASS" >"$DIR/log/prosodyctl" 2>&1
    spawn prosody runuser -u prosody -- prosody -F --config "$DIR/prosody.cfg.lua"
    for p in $c2s $s2s $c2st $s2st; do wait_port "$p"; done
    announce xmpp "$c2s"; announce xmpp-server "$s2s"
    announce xmpps "$c2st"; announce xmpps-server "$s2st"
}

main "$@"
