# shellcheck shell=bash
# Our client to TigerVNC and xrdp, also with anonymous TLS or without TLS.

up vnc xrdp

probes TigerVNC vnc 2
check "probe TigerVNC: vnc, anonymous TLS is exit code 2" \
    exits 2 probe "vnc://localhost:$(port anonymous-vnc)"
# The result, then the client's shared flag, then the desktop's name.
by_hand() {
    printf '\1' | timeout 60 "$starttls" connect "vnc://localhost:$(port vnc)" --ca "$ca" --linger 1
}
check "a pipe to TigerVNC" says 'a desktop for tests' by_hand
probes xrdp rdp 2
