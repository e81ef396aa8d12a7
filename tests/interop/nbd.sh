# shellcheck shell=bash
# Our client to nbdkit and qemu-nbd, and nbdinfo without TLS through it; nbdinfo and qemu-img through our server to an
# nbdkit without TLS.

up nbd

probes nbdkit nbd 3
check "probe qemu-nbd: nbd" probe "nbd://localhost:$(port qemu-nbd)"
check "probe qemu-nbd: nbd, another CA is exit code 5" \
    exits 5 trusting_others probe "nbd://localhost:$(port qemu-nbd)"
size=$((4 * 1024 * 1024))
by_nbdinfo() {             # by_nbdinfo SCHEME [PKI]: the size of the disk
    timeout 30 nbdinfo --size "$1://localhost:$p?tls-certificates=${2:-$work/nbd/pki}"
}
for peer in nbd qemu-nbd; do
    listen pipe-$peer "nbd://localhost:$(port $peer)"
    check "nbdinfo without TLS through our pipe: $peer" says "^$size$" timeout 30 nbdinfo --size "nbd://localhost:$p"
done
front nbd
check "nbdinfo through our server" says "^$size$" by_nbdinfo nbds
check "nbdinfo without TLS through our server is refused" exits 1 timeout 30 nbdinfo --size "nbd://localhost:$p"
mkdir -p "$work/other-pki"; cp "$CADIR/other-ca.pem" "$work/other-pki/ca-cert.pem"
check "nbdinfo through our server, another CA is an error" exits 1 by_nbdinfo nbds "$work/other-pki"
check "qemu-img through our server" says '4 MiB' timeout 30 qemu-img info --image-opts \
    "driver=nbd,host=localhost,port=$p,tls-creds=t" \
    --object "tls-creds-x509,id=t,endpoint=client,dir=$work/nbd/pki"
serve front-any-nbd nbd --backend "127.0.0.1:$(port plain-nbd)"
check "nbdinfo without TLS through our server, where it is allowed" says "^$size$" timeout 30 nbdinfo --size "nbd://localhost:$p"
