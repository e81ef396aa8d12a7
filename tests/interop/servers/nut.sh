#!/usr/bin/env bash
# Network UPS Tools: upsd with its STARTTLS command, and one without, for a UPS called dummy that has no
# driver.  DIR/client-nss is a database for clients, which trusts the CA.
. "$(dirname "$0")/lib.sh"

svc_present() { [ -x /lib/nut/upsd ] && [ -x /lib/nut/upsmon ] && have certutil; }
svc_install() { apt_install nut-server nut-client openssl libnss3-tools; }

# Debian builds NUT with NSS: certificates live in an NSS database.
database() {               # database NAME
    mkdir -p "$DIR/$1"
    certutil -N -d "sql:$DIR/$1" --empty-password
    certutil -A -d "sql:$DIR/$1" -n ca -t CT,C,C -i "$CADIR/ca.pem"
}

upsd_on() {                # upsd_on NAME PORT: more configuration on standard input
    mkdir -p "$DIR/$1" "$DIR/$1-state"
    printf 'MODE=standalone\n' >"$DIR/$1/nut.conf"
    printf '[dummy]\n driver = dummy-ups\n port = none\n desc = test\n' >"$DIR/$1/ups.conf"
    printf '[%s]\n password = %s\n upsmon primary\n' "$TEST_USER" "$TEST_PASS" >"$DIR/$1/upsd.users"
    { printf 'LISTEN %s %s\nSTATEPATH %s\n' "$HOST" "$2" "$DIR/$1-state"; cat; } >"$DIR/$1/upsd.conf"
    chown -R nut "$DIR/$1" "$DIR/$1-state"
    # The upsd on PATH is a wrapper that honours only the system-wide nut.conf.
    NUT_CONFPATH=$DIR/$1 NUT_STATEPATH=$DIR/$1-state NUT_ALTPIDPATH=$DIR/$1-state \
        spawn "$1" /lib/nut/upsd -F
    wait_port "$2"
}

svc_start() {
    local nut plain
    pick_port nut; pick_port plain
    database nss; database client-nss
    openssl pkcs12 -export -out "$DIR/nss/server.p12" -inkey "$CADIR/server.key" \
        -in "$CADIR/server.pem" -certfile "$CADIR/ca.pem" -name server -passout pass:
    pk12util -i "$DIR/nss/server.p12" -d "sql:$DIR/nss" -W "" -K "" >/dev/null
    chown -R nut "$DIR/nss" "$DIR/client-nss"
    upsd_on upsd "$nut" <<EOF
CERTPATH $DIR/nss
CERTIDENT server ""
EOF
    upsd_on upsd-plain "$plain" </dev/null
    announce nut "$nut"; announce plain-nut "$plain"
}

main "$@"
