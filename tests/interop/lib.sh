# shellcheck shell=bash
# The functions that every part uses.

# Seconds. What runs beside the checks outlives all of them, on a slow machine too, and still ends by itself.
lifetime=3600

have() { command -v "$1" >/dev/null; }
install() {                # install PACKAGE...
    [ -n "${updated:-}" ] || { apt-get update -qq; updated=1; }
    DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

passed=0 failed=0
check() {                  # check NAME COMMAND...: passes if the command does
    local name=$1; shift
    if "$@" >"$work/out" 2>&1; then
        echo "PASS $name"; passed=$((passed + 1))
    else
        echo "FAIL $name (exit $?)"; sed 's/^/    /' "$work/out" | tail -n 40; failed=$((failed + 1))
    fi
}
exits() {                  # exits CODE COMMAND...
    local want=$1 got=0; shift
    "$@" || got=$?
    [ "$got" = "$want" ] || { echo "exit code $got instead of $want"; return 1; }
}

port() {                   # port NAME: of a server in $work/ports
    awk -v name="$1" '$1 == name { print $3 }' "$work/ports"
}

wait_for() {               # wait_for PATTERN FILE: until a line of the file matches
    for _ in $(seq 300); do grep -q "$1" "$2" 2>/dev/null && return; sleep 0.1; done
    echo "no $1 in $2"; tail -n 20 "$2"; return 1
}

# Our client.
auth=(--user test --password-file "$work/password")
wrong=(--user test --password-file "$work/wrong")
send() {                   # send URL FILE [OPTION...]
    local url=$1 file=$2; shift 2
    timeout 60 "$starttls" send --allow-empty --server "$url" --ca "$ca" --from sender@example.test \
        --to you@example.test "$@" "$file"
}
arrived() { "$python" $here/mails.py arrived "$@"; }
read_back() {              # read_back DIR FILE COMMAND...: runs it, then expects the mail in DIR
    local dir=$1 file=$2; shift 2
    rm -f "$dir"/* 2>/dev/null || true
    "$@" && arrived "$file" "$dir"
}

# Our server.
serve() {                  # serve NAME PROTOCOL [OPTION...]: starts our server, and sets p to its port
    local log=$work/$1 protocol=$2; shift 2
    # Of another server with that name.
    rm -f "$log"
    timeout $lifetime "$starttls" serve "$protocol" --listen 127.0.0.1:0 \
        --cert "$CADIR/server.pem" --key "$CADIR/server.key" "$@" >"$log" 2>&1 &
    started="$started $!"
    wait_for ^listening "$log"
    p=$(awk '/^listening/ { print $4 }' "$log")
}
from_client() { read_back "$work/delivered" "$@"; }     # from_client FILE COMMAND...

# Protocols other than mail: our client, and our server in front of one without TLS.
up() {                     # up SERVER...: installs and starts those that do not run yet; the run stops them at the end
    local server
    for server; do
        case " $peers " in *" $server "*) continue ;; esac
        "$here/servers/$server.sh" install
        peers="$peers $server"
        "$here/servers/$server.sh" start "$work/$server" >>"$work/ports"
    done
}
probe() { timeout 60 "$starttls" probe "$1" --ca "$ca" --json "${@:2}"; }
trusting_others() { ca=$CADIR/other-ca.pem "$@"; }
other_name=                # another name of this machine, not in the certificate
probes() {                 # probes PEER SCHEME [CODE]: without TLS the probe must exit with CODE
    local peer=$1 scheme=$2 s
    for s in "$scheme" "${scheme}s"; do
        [ -n "$(port "$s")" ] || continue
        check "probe $peer: $s" probe "$s://localhost:$(port "$s")"
        check "probe $peer: $s, another CA is exit code 5" \
            exits 5 trusting_others probe "$s://localhost:$(port "$s")"
        check "probe $peer: $s, another name is exit code 5" \
            exits 5 probe "$s://${other_name:-[::ffff:127.0.0.1]}:$(port "$s")"
    done
    [ -z "${3:-}" ] || check "probe $peer: $scheme, no TLS is exit code $3" \
        exits "$3" probe "$scheme://localhost:$(port "plain-$scheme")"
}
says() {                   # says PATTERN COMMAND...: a line of its output must match
    local want=$1; shift
    "$@" >"$work/said" || { echo "exit code $?"; cat "$work/said"; return 1; }
    grep -q -- "$want" "$work/said" || { echo "no $want"; cat "$work/said"; return 1; }
}
same() {                   # same FILE COMMAND...: its output must equal the file
    local want=$1; shift
    "$@" >"$work/said" && cmp "$work/said" "$want"
}
end='\r\n'
connect() { timeout 60 "$starttls" connect "$1" --ca "$ca" --linger 60; }
pipe() {                   # pipe URL LINE...: sends the lines through TLS; the last one ends the connection
    printf "%s$end" "${@:2}" | connect "$1"
}
listen() {                 # listen NAME URL: a listener that leads plaintext clients to a server by TLS; sets p to its port
    local log=$work/$1
    timeout $lifetime "$starttls" connect "$2" --ca "$ca" --listen 127.0.0.1:0 >"$log" 2>&1 &
    started="$started $!"
    wait_for ^listening "$log"
    p=$(awk '/^listening/ { print $4 }' "$log")
}
front() {                  # front SCHEME [PROTOCOL]: our server in front of one without TLS; sets p to its port
    serve "front-$1" "$1" --require-tls --backend "127.0.0.1:$(port "plain-${2:-$1}")"
}
through_s_client() {       # through_s_client PROTOCOL LINE...
    printf '%s\r\n' "${@:2}" | s_client_in "$1"
}
s_client_in() {            # s_client_in PROTOCOL
    timeout 30 openssl s_client -connect "localhost:$p" -starttls "$1" -quiet -CAfile "$ca" \
        -verify_return_error -verify_hostname localhost
}
through_openssl() {        # through_openssl PROTOCOL: as far as TLS
    timeout 30 openssl s_client -connect "localhost:$p" -starttls "$1" -brief -CAfile "$ca" \
        -verify_return_error -verify_hostname localhost </dev/null
}
gnutls_in() {              # gnutls_in PROTOCOL
    timeout 30 gnutls-cli --starttls-proto="$1" --x509cafile "$ca" -p "$p" localhost
}
through_gnutls() {         # through_gnutls PROTOCOL LINE...
    { printf '%s\r\n' "${@:2}"; sleep 1; } | gnutls_in "$1"
}
by_python() {              # by_python NAME FILE
    timeout 60 "$python" $here/clients.py "$1" "$p" "$ca" "$2"
}

# Conformance tests, several at once: they mostly wait. The names of our own programs begin with "our".
results=$here/results examining=() begun=()
examine() {                # examine NAME check|test-client ARGUMENT...
    local name=$1; shift
    while [ "$(running "${begun[@]}")" -ge 12 ]; do sleep 0.1; done
    mkdir -p "$results"
    rm -f "${results:?}/$name".*
    conclude "$results/$name" "$@" &
    begun+=($!) examining+=("$name")
}
running() {                # running PID...: how many of them run
    local pid count=0
    for pid; do ! kill -0 "$pid" 2>/dev/null || count=$((count + 1)); done
    echo $count
}
conclude() {               # conclude RESULT COMMAND ARGUMENT...
    local code=0
    timeout 300 "$starttls" "$2" --json --html "$1.html" --patience 4 "${@:3}" >"$1.json" 2>"$1.log" || code=$?
    echo "$code" >"$1.code"
}
examined() {               # checks all runs since the last time
    local name strict
    wait "${begun[@]}"
    for name in "${examining[@]}"; do
        case $name in our-*) strict=strict ;; *) strict= ;; esac
        check "conformance test: $name" "$python" $here/examined.py "$results/$name" $strict
    done
    begun=() examining=()
}

# Other clients.
s_client() {
    { session "$1"; sleep 1; } | timeout 30 openssl s_client -connect "localhost:$mx" \
        -starttls smtp -crlf -quiet -CAfile "$ca" -verify_return_error -verify_hostname localhost
}
gnutls() {                 # gnutls FILE [OPTION...]
    { session "$1" | sed 's/$/\r/'; sleep 1; } | timeout 30 gnutls-cli --starttls-proto=smtp \
        --x509cafile "$ca" -p "$mx" localhost "${@:2}"
}
session() {                # a hand-written session after the upgrade
    printf 'EHLO client.test\nMAIL FROM:<sender@example.test>\nRCPT TO:<you@example.test>\nDATA\n'
    sed 's/\r$//; s/^\./../' "$1"; printf '.\nQUIT\n'
}
curl_to() { timeout 30 curl -sS --ssl-reqd --cacert "$ca" --mail-from sender@example.test \
    --mail-rcpt you@example.test "$@"; }
swaks_to() {               # swaks_to PORT [OPTION...]
    timeout 30 swaks --server localhost --port "$1" --tls-verify --tls-ca-path "$ca" \
        --from sender@example.test --to you@example.test --data "@$other" "${@:2}"
}
msmtp_to() {               # msmtp_to PORT FILE [OPTION...]
    sed 's/\r$//' "$2" | timeout 30 msmtp --host=localhost --port="$1" --tls=on \
        --tls-trust-file="$ca" --from=sender@example.test "${@:3}" you@example.test
}
# swaks mistakes a final dot in a file for the end of the mail.
other=$work/mails/no-final-line-end
