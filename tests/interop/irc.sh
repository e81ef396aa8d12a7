# shellcheck shell=bash
# Our client to InspIRCd; s_client through our server to an InspIRCd without TLS.

up inspircd

probes InspIRCd irc
# InspIRCd does not reply to an unknown command.
check "probe InspIRCd: irc, no TLS is exit code 9" \
    exits 9 probe "irc://localhost:$(port plain-irc)" --timeout 3
registers() {              # registers COMMAND...: registers as a client would, up to the welcome
    : >"$work/said"
    { printf 'NICK me\r\nUSER me 0 * :me\r\nCAP END\r\n'
      wait_for ' 001 me ' "$work/said" >&2; printf 'QUIT\r\n'; } | "$@" >"$work/said"
    grep ' 001 me ' "$work/said"
}
for s in irc ircs; do
    check "a pipe to InspIRCd: $s" registers connect "$s://localhost:$(port $s)"
done
front irc
check "openssl s_client through our server: irc" registers s_client_in irc
check "client through our server: irc" registers connect "irc://localhost:$p"
front ircs irc
check "client through our server: ircs" registers connect "ircs://localhost:$p"
