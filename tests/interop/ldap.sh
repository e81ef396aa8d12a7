# shellcheck shell=bash
# Our client to slapd, and ldapsearch without TLS through it; ldapsearch (-ZZ and ldaps), s_client and gnutls-cli
# through our server to a slapd without TLS.

up slapd

probes slapd ldap 3
by_ldapsearch() {          # by_ldapsearch [OPTION...]
    LDAPTLS_CACERT=$ca timeout 30 ldapsearch -x -LLL "$@" -D cn=test,dc=example,dc=test -w secret \
        -b dc=example,dc=test -s base o
}
for s in ldap ldaps; do
    listen pipe-$s "$s://localhost:$(port $s)"
    check "ldapsearch without TLS through our pipe to slapd: $s" \
        says '^o: Test' by_ldapsearch -H "ldap://localhost:$p"
done
# A search of the root, and an unbind.
by_hand() {
    { printf '\x30\x25\x02\x01\x02\x63\x20\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00'
      printf '\x87\x0bobjectclass\x30\x00'; sleep 1; printf '\x30\x05\x02\x01\x03\x42\x00'; } | "$@"
}
check "a pipe to slapd" says OpenLDAProotDSE by_hand connect "ldap://localhost:$(port ldap)"
front ldap
check "openssl s_client through our server: ldap" says OpenLDAProotDSE by_hand s_client_in ldap
check "gnutls-cli through our server: ldap" says OpenLDAProotDSE by_hand gnutls_in ldap
# ldapsearch replaces "localhost" by the name of this machine.
check "ldapsearch -ZZ through our server" says '^o: Test' by_ldapsearch -ZZ -H "ldap://127.0.0.1:$p"
check "ldapsearch -ZZ through our server, another CA is an error" \
    exits 1 trusting_others by_ldapsearch -ZZ -H "ldap://127.0.0.1:$p"
check "ldapsearch -ZZ through our server, another name is an error" \
    exits 1 by_ldapsearch -ZZ -H "ldap://localhost:$p"
# confidentialityRequired
check "ldapsearch without TLS through our server is refused" exits 13 by_ldapsearch -H "ldap://127.0.0.1:$p"
check "client through our server: ldap" says OpenLDAProotDSE by_hand connect "ldap://localhost:$p"
front ldaps ldap
check "ldapsearch through our server: ldaps" says '^o: Test' by_ldapsearch -H "ldaps://127.0.0.1:$p"
