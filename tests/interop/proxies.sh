# shellcheck shell=bash
# Our client through proxies: microsocks and Dante (SOCKS5), tinyproxy and Squid (HTTP CONNECT), to Postfix.

up proxies

through() { read_back "$inbox" "$one" send "$1" "$one" --proxy "$2"; }     # through URL PROXY
postfix=smtp://localhost:$(port smtp)
for proxy in "socks5 microsocks test:secret@" "socks5 dante" "http tinyproxy test:secret@" "http squid"; do
    # shellcheck disable=SC2086 # three words
    set -- $proxy
    address=$1://${3:-}127.0.0.1:$(port "$2")
    check "client through $2 to Postfix" through "$postfix" "$address"
    check "client through $2 to Postfix, implicit TLS" \
        read_back "$inbox" "$one" send "smtps://localhost:$(port smtps)" "$one" --proxy "$address" "${auth[@]}"
    check "probe through $2" probe "$postfix" --proxy "$address"
    check "probe through $2, another CA is exit code 5" \
        exits 5 trusting_others probe "$postfix" --proxy "$address"
    # No server listens there.
    check "client through $2 to a closed port is exit code 8" \
        exits 8 send smtp://localhost:1 "$one" --proxy "$address"
done
for proxy in "socks5 microsocks" "http tinyproxy"; do
    # shellcheck disable=SC2086 # two words
    set -- $proxy
    for account in "" test:wrong@; do
        check "client through $2, ${account:-no account}, is exit code 8" \
            exits 8 send "$postfix" "$one" --proxy "$1://${account}127.0.0.1:$(port "$2")"
    done
done
