# shellcheck shell=bash
# Our client to domains of every kind (interop/domains.toml), by DANE and MTA-STS, as posttls-finger and a Postfix that
# sends there judge it: a DNSSEC root and what is below it on NSD, somebody in between who forges, Unbound, policy
# hosts, a Postfix for each kind of certificate; in namespaces, with the ports and a resolv.conf of their own.

have nsd && have unbound && have ldns-signzone && have ip && "$python" -c 'import cryptography, dns' ||
    $here/servers/domains.sh install
up domains

world=$work/domains
verdicts() {               # verdicts TURN: what every sender says
    nsenter -t "$(cat "$world/world")" -n -m -p -- \
        timeout 300 "$python" "$PWD/$here/domains.py" said "$1" "$world" "$starttls" "$ca" \
        "$one" >"$work/verdicts"
}
agree() {                  # agree TURN ID: they all say what the table says
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
unheard() {                # servers without TLS hear of no sender but those of the mail that they get
    local heard got
    heard=$(grep -c 'stripped/smtpd.* disconnect from .* mail=' "$world/log/receiver")
    got=$(grep -L 'using TLSv1' "$world"/mail/inbox/new/* | wc -l)
    echo "$heard heard, $got got"
    [ "$heard" = "$got" ] && [ "$got" != 0 ]
}
check "domains: nothing of other mail is said in plaintext" unheard
