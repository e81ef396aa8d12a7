#!/usr/bin/env bash
# An isolated world for the domains of domains.toml, in namespaces, so that the ports 25, 53 and 443 of
# loopback are free and /etc/resolv.conf is separate.  It contains a signed root and its zones on NSD
# (127.0.0.54:53), an attacker in front of it (127.0.0.53:53), a validating Unbound (127.0.0.1:53), a
# Postfix for each kind of certificate (127.0.1.N:25) that delivers all mail into the maildir
# DIR/mail/inbox, the policy hosts of MTA-STS (127.0.0.80:443), and a Postfix that sends by DANE
# (`sendmail -C DIR/sender/etc`).
# DIR/world contains the process id for `nsenter -n -m -p`, DIR/anchor the root's key.
#
#   domains.sh turn DIR N      advances to the table's turn N
. "$(dirname "$0")/lib.sh"
python=/usr/bin/python3
table=$HERE/../domains.toml

svc_present() { have nsd && have unbound && have ldns-signzone && have ip && "$python" -c 'import cryptography, dns'; }
svc_install() {
    postfix_install openssl iproute2 python3 python3-cryptography python3-dnspython nsd unbound ldnsutils
}

build() { "$python" "$HERE/domains.py" "$table" "$DIR" "$CADIR" "$1"; }
inside() { nsenter -t "$(cat "$DIR/world")" -n -m -p -- "$@"; }
turned() {                 # turned N ADDRESS: waits until the server there serves turn N
    local i
    for ((i = 0; i < 300; i++)); do
        [ "$(inside drill -Q TXT turn.test "@$2" 2>/dev/null)" != "\"$1\"" ] || return 0
        sleep 0.1
    done
    die "$2 does not get to turn $1"
}

svc_start() {
    local pid i
    build 0
    receiver
    sender
    rm -f "$DIR/ready"
    # All processes of the namespace end with its first one.
    spawn world unshare --net --mount --pid --mount-proc --fork --kill-child \
        bash "$HERE/domains.sh" world "$DIR"
    pid=$(cat "$DIR/pids/world")
    for ((i = 0; i < 100; i++)); do
        [ ! -e "$DIR/ready" ] || break
        sleep 0.1
    done
    [ -e "$DIR/ready" ] || die "no world"
    tr -d ' ' <"/proc/$pid/task/$pid/children" >"$DIR/world"
    turned 0 127.0.0.53
    turned 0 127.0.0.1
}

world() {
    ip link set lo up
    echo "nameserver 127.0.0.1
options trust-ad edns0" >"$DIR/resolv.conf"
    mount --bind "$DIR/resolv.conf" /etc/resolv.conf
    nsd -d -c "$DIR/nsd.conf" >"$DIR/log/nsd" 2>&1 &
    unbound -d -c "$DIR/unbound.conf" >"$DIR/log/unbound" 2>&1 &
    "$python" "$HERE/attacker.py" "$table" "$DIR" >"$DIR/log/attacker" 2>&1 &
    "$python" "$HERE/policies.py" "$table" "$DIR" >"$DIR/log/policies" 2>&1 &
    postfix -c "$DIR/receiver/etc" start >"$DIR/log/receiver.out" 2>&1
    postfix -c "$DIR/sender/etc" start >"$DIR/log/sender.out" 2>&1
    touch "$DIR/ready"
    wait
}

turn() {
    build "$1"
    inside kill -HUP "$(cat "$DIR/nsd.pid")"
    turned "$1" 127.0.0.53
    inside kill -HUP "$(cat "$DIR/unbound.pid")"
    inside postfix -c "$DIR/sender/etc" reload 2>/dev/null     # it caches TLSA records, too
    turned "$1" 127.0.0.1
}

receiver() {
    local root=$DIR/receiver name address
    postfix_instance "$root" receiver receiver.test
    postfix_mailbox "$root" "$DIR/mail" static:all
    cat >>"$root/etc/main.cf" <<EOF
smtpd_client_connection_count_limit = 0
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
EOF
    while read -r name address; do
        echo "$address:25 inet n - n - - smtpd"
        echo "    -o syslog_name=postfix/$name"
        if [ -e "$DIR/tls/$name-chain.pem" ]; then
            echo "    -o smtpd_tls_security_level=may"
            echo "    -o smtpd_tls_chain_files=$DIR/tls/$name-chain.pem"
        fi
    done <"$DIR/servers" >>"$root/etc/master.cf"
}
sender() {
    postfix_instance "$DIR/sender" sender sender.test
    cat >>"$DIR/sender/etc/main.cf" <<EOF
smtp_tls_security_level = dane
smtp_dns_support_level = dnssec
smtp_host_lookup = dns
smtp_tls_loglevel = 1
smtp_connect_timeout = 10
EOF
}

case ${1:-} in
world) DIR=$2; world ;;
turn)
    DIR=$2 CADIR=${CADIR:-$2/ca}
    turn "$3" ;;
*) main "$@" ;;
esac
