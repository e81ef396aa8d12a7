# shellcheck shell=bash
# Our client to upsd; upsmon through our server to an upsd without TLS.

up nut
end='\n'
business=('USERNAME test' 'PASSWORD secret' 'LIST UPS' 'LOGOUT')
probes upsd nut 3
# upsd ends connections without TLS's close_notify.
check "a pipe to upsd" says '^UPS dummy "test"' exits 1 pipe "nut://localhost:$(port nut)" "${business[@]}"
front nut
check "client through our server: nut" says '^UPS dummy "test"' pipe "nut://localhost:$p" "${business[@]}"
end='\r\n'
by_upsmon() {              # verifies the server, and logs in
    local conf=$work/upsmon pid rc=0
    mkdir -p "$conf"
    printf 'MODE=netclient\n' >"$conf/nut.conf"
    cat >"$conf/upsmon.conf" <<EOF
MONITOR dummy@localhost:$p 1 test secret primary
SHUTDOWNCMD /bin/true
CERTPATH $work/nut/client-nss
CERTVERIFY 1
FORCESSL 1
RUN_AS_USER root
EOF
    NUT_CONFPATH=$conf timeout 60 /lib/nut/upsmon -F -D >"$conf/log" 2>&1 &
    pid=$!
    wait_for 'Logged into UPS' "$conf/log" || rc=1
    grep 'Connected to NUT server localhost in SSL' "$conf/log" || rc=1
    kill $pid; wait $pid || true
    return $rc
}
check "upsmon through our server" by_upsmon
