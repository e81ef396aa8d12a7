#!/usr/bin/env bash
# Proxies: microsocks and Dante (SOCKS5), tinyproxy and Squid (HTTP CONNECT).  microsocks and tinyproxy demand the account.
. "$(dirname "$0")/lib.sh"

svc_present() { have microsocks && have danted && have tinyproxy && have squid; }
svc_install() { apt_install dante-server microsocks squid tinyproxy; }

svc_start() {
    local microsocks dante tinyproxy squid p
    for p in microsocks dante tinyproxy squid; do pick_port "$p"; done

    spawn microsocks microsocks -i "$HOST" -p "$microsocks" -u "$TEST_USER" -P "$TEST_PASS"

    cat >"$DIR/danted.conf" <<EOF
logoutput: stderr
internal: $HOST port = $dante
external: lo
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: $HOST/32 to: 0.0.0.0/0 }
socks pass { from: $HOST/32 to: 127.0.0.0/8 command: connect }
EOF
    spawn dante danted -f "$DIR/danted.conf" -p "$DIR/danted.pid"

    cat >"$DIR/tinyproxy.conf" <<EOF
User nobody
Group nogroup
Port $tinyproxy
Listen $HOST
Timeout 60
MaxClients 20
Allow $HOST
BasicAuth $TEST_USER $TEST_PASS
EOF
    spawn tinyproxy tinyproxy -d -c "$DIR/tinyproxy.conf"

    cat >"$DIR/squid.conf" <<EOF
http_port $HOST:$squid
acl here src $HOST/32
acl reserved port 1-1023
http_access deny reserved
http_access allow here
http_access deny all
cache deny all
access_log none
cache_log $DIR/log/squid-cache
pid_filename none
coredump_dir none
hosts_file /etc/hosts
shutdown_lifetime 1 seconds
EOF
    spawn squid squid -N -f "$DIR/squid.conf"

    for p in $microsocks $dante $tinyproxy $squid; do wait_port "$p"; done
    announce microsocks "$microsocks"; announce dante "$dante"
    announce tinyproxy "$tinyproxy"; announce squid "$squid"
}

main "$@"
