#!/usr/bin/env bash
# InspIRCd 3: IRC with the STARTTLS command, with implicit TLS, and without TLS.
. "$(dirname "$0")/lib.sh"

svc_present() { have inspircd; }
svc_install() { apt_install inspircd openssl; }

inspircd_on() {            # inspircd_on NAME: modules and ports on standard input
    install -d -o irc "$DIR/$1-data"
    { cat <<EOF
<config format="xml">
<server name="irc.example.test" description="test" network="TestNet" id="001">
<admin name="test" nick="test" email="test@example.test">
<connect allow="*" timeout="60" resolvehostnames="no" threshold="100" commandrate="100000">
<pid file="$DIR/$1-data/inspircd.pid">
<path datadir="$DIR/$1-data" logdir="$DIR/log" runtimedir="$DIR/$1-data">
<files motd="$DIR/motd">
<options defaultbind="ipv4">
<log method="file" type="* -USERINPUT -USEROUTPUT" level="default" target="$DIR/log/$1.log">
<module name="cap">
EOF
      cat; } >"$DIR/$1.conf"
    spawn "$1" runuser -u irc -- inspircd --nofork --config="$DIR/$1.conf"
}

svc_start() {
    local irc ircs plain
    pick_port irc; pick_port ircs; pick_port plain
    own_cert irc
    echo test >"$DIR/motd"
    inspircd_on inspircd <<EOF
<module name="ssl_gnutls">
<module name="starttls">
<sslprofile name="test" provider="gnutls" certfile="$DIR/tls/server.pem"
            keyfile="$DIR/tls/server.key" cafile="$CADIR/ca.pem" hash="sha256">
<bind address="$HOST" port="$irc" type="clients">
<bind address="$HOST" port="$ircs" type="clients" sslprofile="test">
EOF
    inspircd_on inspircd-plain <<EOF
<bind address="$HOST" port="$plain" type="clients">
EOF
    wait_port "$irc"; wait_port "$ircs"; wait_port "$plain"
    announce irc "$irc"; announce ircs "$ircs"; announce plain-irc "$plain"
}

main "$@"
