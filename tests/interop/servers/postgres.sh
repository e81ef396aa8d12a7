#!/usr/bin/env bash
# PostgreSQL: one server that requires TLS, by SSLRequest, and one without TLS.  Account TEST_USER / TEST_PASS
# (scram), database "postgres", and "template1" for clients without SCRAM.
. "$(dirname "$0")/lib.sh"

svc_present() { ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && have psql; }
svc_install() {
    # Keep the package from creating (and starting) its default cluster.
    apt_install postgresql-common
    install -d /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/starttls-test.conf
    apt_install postgresql openssl
}

postgres_on() {            # postgres_on NAME PORT KIND [OPTION...]
    local name=$1 port=$2 kind=$3; shift 3
    printf '%s all %s/32 %s\n' "$kind template1" "$HOST" password "$kind all" "$HOST" scram-sha-256 \
        >"$DIR/$name/pg_hba.conf"
    spawn "$name" runuser -u postgres -- "$bin/postgres" -D "$DIR/$name" -p "$port" \
        -c listen_addresses="$HOST" -c unix_socket_directories= -c fsync=off \
        -c authentication_timeout=2s "$@"
}

svc_start() {
    local pg plain bin pw=$DIR/data.pw
    pick_port pg; pick_port plain
    bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    own_cert postgres
    install -d -o postgres -m 0700 "$DIR/data"
    if [ ! -e "$DIR/data/PG_VERSION" ]; then
        echo "$TEST_PASS" >"$pw"; chown postgres "$pw"
        runuser -u postgres -- "$bin/initdb" -D "$DIR/data" -U "$TEST_USER" \
            --pwfile "$pw" --auth scram-sha-256 --no-sync >"$DIR/log/initdb" 2>&1
        rm -f "$pw"
        cp -a "$DIR/data" "$DIR/plain"
    fi
    postgres_on data "$pg" hostssl -c ssl=on \
        -c ssl_cert_file="$DIR/tls/server.pem" -c ssl_key_file="$DIR/tls/server.key"
    postgres_on plain "$plain" host
    wait_port "$pg"; wait_port "$plain"
    announce postgres "$pg"; announce plain-postgres "$plain"
}

main "$@"
