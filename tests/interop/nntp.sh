# shellcheck shell=bash
# Our client to INN; s_client, gnutls-cli and nntplib through our server to an INN without TLS.

up inn

business=('AUTHINFO USER test' 'AUTHINFO PASS secret' 'GROUP test.general' 'QUIT')
probes INN nntp 3
for s in nntp nntps; do
    check "a pipe to INN: $s" says '^211 ' pipe "$s://localhost:$(port $s)" "${business[@]}"
done
front nntp
check "openssl s_client through our server: nntp" says '^211 ' through_s_client nntp "${business[@]}"
check "gnutls-cli through our server: nntp" says '^211 ' through_gnutls nntp "${business[@]}"
check "Python nntplib through our server" by_python nntp /dev/null
check "client through our server: nntp" says '^211 ' pipe "nntp://localhost:$p" "${business[@]}"
front nntps nntp
check "client through our server: nntps" says '^211 ' pipe "nntps://localhost:$p" "${business[@]}"
