#!/usr/bin/env bash
# INN 2: nnrpd as a stand-alone NNTP server, with STARTTLS, with implicit TLS, and without TLS.
# It has the empty group test.general, and accepts the login TEST_USER / TEST_PASS.
. "$(dirname "$0")/lib.sh"

svc_present() { [ -x /usr/lib/news/bin/nnrpd ]; }
svc_install() {
    # The maintainer script refuses to configure on hosts without a domain name.
    install -d /etc/news
    [ -e /etc/news/inn.conf ] || apt_install inn2 || true
    grep -q '^domain: *example' /etc/news/inn.conf ||
        { sed -i '/^domain:/d' /etc/news/inn.conf; echo 'domain: example.test' >>/etc/news/inn.conf; }
    apt_install inn2 openssl
}

nnrpd() {                  # nnrpd NAME CONFIGURATION PORT [OPTION...]
    local name=$1 conf=$2 port=$3; shift 3
    INNCONF=$DIR/$conf spawn "$name" runuser -u news -- /usr/lib/news/bin/nnrpd -D -f -p "$port" \
        -4 "$HOST" -c "$DIR/readers.conf" "$@"
    wait_port "$port"
}

svc_start() {
    local nntp nntps plain d
    for d in nntp nntps plain; do pick_port "$d"; done
    own_cert news
    for d in db spool run tmp overview; do install -d -o news "$DIR/$d"; done
    cat >"$DIR/plain.conf" <<EOF
domain: example.test
fromhost: news.example.test
pathhost: news.example.test
organization: test
mta: "/bin/true %s"
hismethod: hisv6
enableoverview: true
ovmethod: tradindexed
allownewnews: true
patharchive: $DIR/spool
patharticles: $DIR/spool
pathdb: $DIR/db
pathetc: $DIR
pathlog: $DIR/log
pathnews: /usr/lib/news
pathoverview: $DIR/overview
pathrun: $DIR/run
pathspool: $DIR/spool
pathtmp: $DIR/tmp
EOF
    cat "$DIR/plain.conf" - >"$DIR/inn.conf" <<EOF
tlscafile: $CADIR/ca.pem
tlscertfile: $DIR/tls/server.pem
tlskeyfile: $DIR/tls/server.key
EOF
    echo "$TEST_USER:$(openssl passwd -6 "$TEST_PASS")" >"$DIR/users"
    cat >"$DIR/readers.conf" <<EOF
auth "any" {
    hosts: "*"
    auth: "ckpasswd -f $DIR/users"
    default: "nobody"
}
access "any" {
    users: "*"
    newsgroups: "*"
    access: RPA
}
EOF
    printf 'test.general 0000000000 0000000001 y\n' >"$DIR/db/active"
    : >"$DIR/db/newsgroups"; : >"$DIR/db/history"
    printf 'method tradspool {\n class: 0\n newsgroups: *\n}\n' >"$DIR/storage.conf"
    chown -R news: "$DIR/db"; chown news: "$DIR"/*.conf "$DIR/users"
    export INNCONF=$DIR/inn.conf
    runuser -u news -- /usr/lib/news/bin/makedbz -i -o >"$DIR/log/makedbz" 2>&1
    # innd would create the overview index; nnrpd alone does not start without it.
    : >"$DIR/spool/tradspool.map"; chown news "$DIR/spool/tradspool.map"
    runuser -u news -- /usr/lib/news/bin/makehistory -O -x >"$DIR/log/makehistory" 2>&1
    nnrpd nnrpd inn.conf "$nntp"
    nnrpd nnrpd-tls inn.conf "$nntps" -S
    nnrpd nnrpd-plain plain.conf "$plain"
    announce nntp "$nntp"; announce nntps "$nntps"; announce plain-nntp "$plain"
}

main "$@"
