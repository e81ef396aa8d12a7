# shellcheck shell=bash
# Our client to PostgreSQL, and psql without TLS through it; psql (verify-full and weaker modes), s_client and gnutls-cli
# through our server to a PostgreSQL without TLS.

up postgres

probes PostgreSQL postgres 3

by_psql() {                # by_psql SSLMODE [QUERY]
    PGPASSWORD=secret timeout 30 psql -Atc "${2:-select 6 * 7}" \
        "host=localhost port=$p sslmode=$1 sslrootcert=$ca user=test dbname=${database:-postgres}"
}
in_database() { local database=$1; shift; "$@"; }
front postgres
check "psql through our server: verify-full" says '^42$' by_psql verify-full
check "psql through our server: verify-full, a million rows" says '^500000500000$' \
    by_psql verify-full 'select sum(n) from generate_series(1, 1000000) n'
check "psql through our server: verify-full, another CA is an error" \
    exits 2 trusting_others by_psql verify-full
check "psql through our server: refused without TLS" exits 2 by_psql disable
startup='\0\0\0\x25\0\3\0\0user\0test\0database\0postgres\0\0'
asks_for_password() {      # asks_for_password COMMAND...: the server must answer a startup message
    { printf "$startup"; sleep 1; } | "$@" | grep -a SCRAM-SHA-256
}
check "openssl s_client through our server: postgres" asks_for_password s_client_in postgres
direct_tls() {              # direct_tls [OPTION...]
    timeout 30 openssl s_client -connect "localhost:$p" -quiet -CAfile "$ca" -verify_return_error \
        -verify_hostname localhost "$@"
}
check "gnutls-cli through our server: postgres" asks_for_password gnutls_in postgres
check "openssl s_client through our server: direct TLS" asks_for_password direct_tls -alpn postgresql
check "openssl s_client through our server: direct TLS, without ALPN" exits 1 asks_for_password direct_tls
check "probe through our server: direct TLS" probe "postgress://localhost:$p"
# psql itself would refuse a server that offers channel binding to a TLS connection other than psql's.
check "a pipe to PostgreSQL" asks_for_password connect "postgres://localhost:$(port postgres)"
listen pipe-postgres "postgres://localhost:$(port postgres)"
check "psql without TLS through our pipe to PostgreSQL" says '^t$' in_database template1 \
    by_psql disable 'select ssl from pg_stat_ssl where pid = pg_backend_pid()'
serve front-any postgres --backend "127.0.0.1:$(port plain-postgres)"
check "psql through our server, TLS not required: prefer" says '^42$' by_psql prefer
check "psql through our server, TLS not required: disable" says '^42$' by_psql disable
