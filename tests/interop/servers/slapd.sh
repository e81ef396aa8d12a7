#!/usr/bin/env bash
# OpenLDAP slapd: LDAP with StartTLS and ldaps, and one without TLS.  Base dc=example,dc=test; bind as
# cn=TEST_USER,dc=example,dc=test with TEST_PASS (simple binds need TLS where it is available).
. "$(dirname "$0")/lib.sh"

svc_present() { have slapd && have ldapsearch; }
svc_install() { apt_install slapd ldap-utils openssl; }

slapd_on() {               # slapd_on NAME URLS: more configuration on standard input
    local name=$1 base=dc=example,dc=test
    install -d -o openldap "$DIR/$name"
    { cat <<EOF
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile $DIR/$name/slapd.pid
EOF
    cat
    cat <<EOF
database mdb
suffix "$base"
rootdn "cn=$TEST_USER,$base"
rootpw $TEST_PASS
directory $DIR/$name
EOF
    } >"$DIR/$name.conf"
    printf 'dn: %s\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Test\n' \
        "$base" >"$DIR/base.ldif"
    # An existing database (a second start in the same DIR) is kept.
    [ -e "$DIR/$name/data.mdb" ] ||
        runuser -u openldap -- slapadd -f "$DIR/$name.conf" -l "$DIR/base.ldif" \
            >"$DIR/log/slapadd-$name" 2>&1
    spawn "$name" slapd -d stats -u openldap -g openldap -f "$DIR/$name.conf" -h "$2"
}

svc_start() {
    local ldap ldaps plain
    pick_port ldap; pick_port ldaps; pick_port plain
    own_cert openldap
    slapd_on tls-slapd "ldap://$HOST:$ldap/ ldaps://$HOST:$ldaps/" <<EOF
TLSCACertificateFile $CADIR/ca.pem
TLSCertificateFile $DIR/tls/server.pem
TLSCertificateKeyFile $DIR/tls/server.key
security simple_bind=128
EOF
    slapd_on plain-slapd "ldap://$HOST:$plain/" </dev/null
    wait_port "$ldap"; wait_port "$ldaps"; wait_port "$plain"
    announce ldap "$ldap"; announce ldaps "$ldaps"; announce plain-ldap "$plain"
}

main "$@"
