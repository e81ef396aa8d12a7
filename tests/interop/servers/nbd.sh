#!/usr/bin/env bash
# NBD with NBD_OPT_STARTTLS: nbdkit and qemu-nbd, which require it, and an nbdkit without TLS.
. "$(dirname "$0")/lib.sh"

svc_present() { have nbdkit && have qemu-nbd && have nbdinfo; }
svc_install() { apt_install nbdkit qemu-utils libnbd-bin openssl; }

nbdkit_on() {              # nbdkit_on NAME PORT OPTION...; in the foreground, so that it ends with this script
    local i
    rm -f "$DIR/$1.pid"
    nbdkit -P "$DIR/$1.pid" -i "$HOST" -p "$2" "${@:3}" memory 4M >"$DIR/log/$1" 2>&1
    # Its child writes the file, when it listens.
    for ((i = 0; i < 300; i++)); do
        [ ! -s "$DIR/$1.pid" ] || break
        sleep 0.1
    done
    remember "$1" "$(cat "$DIR/$1.pid")"
}

svc_start() {
    local kit qemu plain p
    for p in kit qemu plain; do pick_port "$p"; done
    # GnuTLS-based tools expect these file names in one directory.
    mkdir -p "$DIR/pki"
    cp "$CADIR/ca.pem" "$DIR/pki/ca-cert.pem"
    cp "$CADIR/server.pem" "$DIR/pki/server-cert.pem"
    cp "$CADIR/server.key" "$DIR/pki/server-key.pem"
    truncate -s 4M "$DIR/disk.img"; chmod 0666 "$DIR/disk.img"

    nbdkit_on nbdkit "$kit" --tls=require --tls-certificates="$DIR/pki"
    nbdkit_on plain-nbdkit "$plain" --tls=off
    spawn qemu-nbd qemu-nbd --persistent --shared=8 -b "$HOST" -p "$qemu" -f raw -x "" \
        --object "tls-creds-x509,id=tls0,endpoint=server,dir=$DIR/pki,verify-peer=no" \
        --tls-creds tls0 "$DIR/disk.img"
    for p in $kit $qemu $plain; do wait_port "$p"; done
    announce nbd "$kit"; announce qemu-nbd "$qemu"; announce plain-nbd "$plain"
}

main "$@"
