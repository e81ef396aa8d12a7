# shellcheck shell=bash
# Our client to domains of every kind (interop/domains.toml), by DANE and MTA-STS, compared with posttls-finger and a
# sending Postfix: a DNSSEC root and its zones on NSD, an on-path attacker that forges answers, Unbound, policy hosts, a
# Postfix for each kind of certificate; in namespaces with separate ports and resolv.conf.

up domains

world=$work/domains
verdicts() {               # verdicts TURN: the verdict of every sender
    nsenter -t "$(cat "$world/world")" -n -m -p -- \
        timeout 300 "$python" "$PWD/$here/domains.py" said "$1" "$world" "$starttls" "$ca" \
        "$one" >"$work/verdicts"
}
agree() {                  # agree TURN ID: all senders must agree with the table
    cmp -s "$work/verdict" <(grep "^$2 " "$work/verdicts") && return
    tail -n 7 "$world"/said/*-"$1/$2"
    diff "$work/verdict" <(grep "^$2 " "$work/verdicts")
}
for turn in 0 1 2; do
    [ $turn = 0 ] || check "domains: turn $turn" $here/servers/domains.sh turn "$world" $turn
    check "domains: mail at turn $turn" verdicts $turn
    "$python" $here/domains.py expected $turn >"$work/expected"
    for id in $(cut -d' ' -f1 "$work/expected" | uniq); do
        grep "^$id " "$work/expected" >"$work/verdict"
        check "domain at turn $turn: $id: $(sed -n '$s/[^ ]* [^ ]* //p' "$work/verdict")" agree $turn "$id"
    done
done
unheard() {                # servers without TLS learn only the senders of the mails that they get
    local heard got
    heard=$(grep -c 'stripped/smtpd.* disconnect from .* mail=' "$world/log/receiver")
    got=$(grep -L 'using TLSv1' "$world"/mail/inbox/new/* | wc -l)
    echo "$heard senders seen, $got mails delivered"
    [ "$heard" = "$got" ] && [ "$got" != 0 ]
}
check "domains: no other mail appears in plaintext" unheard
