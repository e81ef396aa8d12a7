# shellcheck shell=bash
# The tokio examples: async-imap to Dovecot, tokio-postgres to PostgreSQL, psql through the example that puts TLS in
# front of a PostgreSQL without TLS.

up mailboxes postgres
cargo build -q -p tokio-clients
examples=${starttls%/*}

by_example() {             # by_example PROGRAM PORT [OPTION...]
    PASSWORD=secret timeout 30 "$examples/$1" localhost "$2" test --ca "$ca" "${@:3}"
}
from_others() { ca=$CADIR/other-ca.pem by_example "$@"; }
check "async-imap to Dovecot" says '^INBOX$' by_example imap "$(port imap)"
check "async-imap to Dovecot, another CA is an error" exits 1 from_others imap "$(port imap)"
check "tokio-postgres to PostgreSQL" says '^test$' by_example postgres "$(port postgres)"
check "tokio-postgres to PostgreSQL, another CA is an error" \
    exits 1 from_others postgres "$(port postgres)"
check "tokio-postgres to a PostgreSQL without TLS is an error" \
    exits 1 by_example postgres "$(port plain-postgres)"

"$examples/front" 127.0.0.1:0 "127.0.0.1:$(port plain-postgres)" \
    "$CADIR/server.pem" "$CADIR/server.key" >"$work/front-example" 2>&1 &
started="$started $!"
wait_for ^127 "$work/front-example"
p=$(sed -n '1s/.*://p' "$work/front-example")
check "tokio-postgres through the example" says '^test$' by_example postgres "$p"
check "psql through the example: verify-full" says '^500000500000$' \
    env PGPASSWORD=secret timeout 30 psql -Atc 'select sum(n) from generate_series(1, 1000000) n' \
    "host=localhost port=$p sslmode=verify-full sslrootcert=$ca user=test dbname=postgres"
check "psql through the example: refused without TLS" \
    exits 2 env PGPASSWORD=secret timeout 30 psql -Atc 'select 1' \
    "host=localhost port=$p sslmode=disable user=test dbname=postgres"
