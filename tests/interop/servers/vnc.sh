#!/usr/bin/env bash
# TigerVNC's headless X server: RFB with VeNCrypt, with sub-type X509None (a certificate) besides TLSNone
# (anonymous), with TLSNone alone, and without TLS.
. "$(dirname "$0")/lib.sh"

svc_present() { have Xtigervnc; }
svc_install() { apt_install tigervnc-standalone-server openssl; }

# Many connections of the tests end before they log in.
xvnc_on() {                # xvnc_on NAME PORT TYPES
    spawn "$1" Xtigervnc ":$((RANDOM % 1000 + 100))" -rfbport "$2" -interface "$HOST" -localhost \
        -SecurityTypes "$3" -UseBlacklist=0 -desktop "a desktop for tests" -geometry 320x240 -depth 16 \
        -X509Cert "$CADIR/server.pem" -X509Key "$CADIR/server.key"
}

svc_start() {
    local rfb anonymous plain
    pick_port rfb; pick_port anonymous; pick_port plain
    xvnc_on xvnc "$rfb" TLSNone,X509None
    xvnc_on anonymous "$anonymous" TLSNone
    xvnc_on plain "$plain" None
    wait_port "$rfb"; wait_port "$anonymous"; wait_port "$plain"
    announce vnc "$rfb"; announce anonymous-vnc "$anonymous"; announce plain-vnc "$plain"
}

main "$@"
