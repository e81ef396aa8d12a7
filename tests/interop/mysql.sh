# shellcheck shell=bash
# Our client to MariaDB; MariaDB's client and s_client to our server, as far as TLS.

have mariadbd && have mariadb || $here/servers/mariadb.sh install
up mariadb

probes MariaDB mysql 2
by_packet() {              # a response of too few octets
    { printf '\x04\0\0\x02\x0d\xa2\x0b\0'; sleep 1; } | "$@"
}
# It refuses, in a packet that counts on from ours, and leaves without TLS's goodbye.
check "a pipe to MariaDB" says 'Bad handshake' \
    exits 1 by_packet connect "mysql://localhost:$(port mysql)"
by_mariadb() {             # by_mariadb [OPTION...]
    timeout 30 mariadb --no-defaults -h localhost --protocol=tcp -P "$p" -u test -psecret --ssl-ca="$ca" \
        -e 'select 1' "$@" 2>&1
}
serve ours-mysql mysql --require-tls
check "the mariadb client to us, as far as TLS" says 'There is no server behind this TLS' \
    exits 1 by_mariadb --ssl-verify-server-cert
check "the mariadb client to us, another CA is an error" says 'ERROR 2026.*TLS/SSL error' \
    exits 1 trusting_others by_mariadb --ssl-verify-server-cert
check "the mariadb client to us, without TLS it is refused" says 'ERROR 3159' \
    exits 1 by_mariadb --skip-ssl
check "openssl s_client to us: mysql" through_openssl mysql
