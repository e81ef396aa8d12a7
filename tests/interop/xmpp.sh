# shellcheck shell=bash
# Our client to Prosody, as a user's client and as a server; slixmpp, s_client and gnutls-cli through our server to a
# Prosody without TLS.

"$python" -c 'import slixmpp' 2>/dev/null || install python3-slixmpp
up prosody

# The client names the domain in its stream header, so this is one of Prosody's names, but not of its certificate.
other_name=127.0.0.2
# The client requests TLS even where it is not offered, and Prosody closes.
probes Prosody xmpp 2
probes Prosody xmpp-server
other_name=
header="<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
header="$header to='localhost' version='1.0'>"
by_hand() {                # by_hand COMMAND...: the features inside TLS, and the stream's end
    { printf %s "$header"; sleep 1; printf '</stream:stream>'; } | "$@"
}
sasl=urn:ietf:params:xml:ns:xmpp-sasl
check "a pipe to Prosody" says $sasl by_hand connect "xmpp://localhost:$(port xmpp)"
front xmpp
check "slixmpp through our server" by_python xmpp "$one"
check "slixmpp through our server, another CA is an error" exits 1 trusting_others by_python xmpp "$one"
in_stream() {              # in_stream PROTOCOL: s_client with a stream inside
    by_hand timeout 30 openssl s_client -connect "localhost:$p" -starttls "$1" -xmpphost localhost \
        -quiet -CAfile "$ca" -verify_return_error -verify_hostname localhost
}
check "openssl s_client through our server: xmpp" says $sasl in_stream xmpp
check "gnutls-cli through our server: xmpp" says $sasl by_hand gnutls_in xmpp
serve front-xmpp-server xmpp-server --require-tls --backend "127.0.0.1:$(port plain-xmpp)"
check "openssl s_client through our server: xmpp-server" through_openssl xmpp-server
