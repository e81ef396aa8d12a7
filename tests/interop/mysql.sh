# shellcheck shell=bash
# Our client to MariaDB; MariaDB's client and s_client to our server, as far as TLS.

up mariadb

probes MariaDB mysql 2
by_packet() {              # a response with too few bytes
    { printf '\x04\0\0\x02\x0d\xa2\x0b\0'; sleep 1; } | "$@"
}
# MariaDB refuses, in a packet that continues our sequence numbers, and closes without TLS's close_notify.
check "a pipe to MariaDB" says 'Bad handshake' \
    exits 1 by_packet connect "mysql://localhost:$(port mysql)"
by_mariadb() {             # by_mariadb [OPTION...]
    timeout 30 mariadb --no-defaults -h localhost --protocol=tcp -P "$p" -u test -psecret --ssl-ca="$ca" \
        -e 'select 1' "$@" 2>&1
}
serve ours-mysql mysql --require-tls
check "the mariadb client to our server, as far as TLS" says 'The backend server is not available' \
    exits 1 by_mariadb --ssl-verify-server-cert
check "the mariadb client to our server, another CA is an error" says 'ERROR 2026.*TLS/SSL error' \
    exits 1 trusting_others by_mariadb --ssl-verify-server-cert
check "the mariadb client to our server, refused without TLS" says 'ERROR 3159' \
    exits 1 by_mariadb --skip-ssl
check "openssl s_client to our server: mysql" through_openssl mysql
