# shellcheck shell=bash
# `starttls test-client` with the clients of the other parts, posttls-finger and Mutt, and with our own, which must pass with
# --strict. What it finds out about other programs is only in interop/results, which git ignores.

have lftp || install lftp
have fetchmail || install fetchmail
have sieve-connect || install sieve-connect
have mutt || install mutt
have ldapsearch || install ldap-utils
have psql || install postgresql-client
have mariadb || install mariadb-client
have qemu-img || install qemu-utils
have nbdinfo || install libnbd-bin
"$python" -c 'import slixmpp' 2>/dev/null || install python3-slixmpp

client() {                 # client NAME SCHEME [OPTION...] -- COMMAND...
    examine "$1" test-client "${@:2}"
}
in_folder() {              # in_folder NAME SCHEME SCRIPT: the command needs files, and has an empty folder for them
    client "$1" "$2" -- sh -c "set -e; folder=\$(mktemp -d -p '$work'); cd \"\$folder\"; $3"
}

# Those that take longest are first.
client slixmpp xmpp -- "$python" $here/clients.py xmpp '{port}' '{ca}' "$one"
in_folder Mutt smtp 'echo a | mutt -n -F /dev/null -e "set ssl_force_tls ssl_starttls \
    ssl_ca_certificates_file={ca} from=sender@example.test copy=no smtp_url=smtp://{user}:{password}@{host}:{port}" \
    -s a you@example.test'
mail=(--from=sender@example.test)
curl=(curl -sS --ssl-reqd --cacert '{ca}' -u '{user}:{password}')
client curl-SMTP smtp -- "${curl[@]}" --mail-from sender@example.test --mail-rcpt you@example.test -T "$one" 'smtp://{host}:{port}'
client curl-IMAP imap -- "${curl[@]}" 'imap://{host}:{port}/INBOX;MAILINDEX=1'
client curl-POP3 pop3 -- "${curl[@]}" 'pop3://{host}:{port}/1'
client curl-FTP ftp -- "${curl[@]}" 'ftp://{host}:{port}/file'
swaks=(swaks --server '{host}' --port '{port}' --tls --tls-verify --tls-ca-path '{ca}' --to you@example.test "${mail[@]}")
client swaks-SMTP smtp -- "${swaks[@]}" --auth PLAIN --auth-user '{user}' --auth-password '{password}'
client swaks-LMTP lmtp -- "${swaks[@]}" --protocol LMTP
client msmtp smtp -- sh -c "exec msmtp --host={host} --port={port} --tls=on --tls-trust-file={ca} ${mail[*]} --auth=plain \
    --user={user} --passwordeval='echo {password}' you@example.test <'$one'"
client gsasl-SMTP smtp -- gsasl --smtp --connect='{host}:{port}' --mechanism=PLAIN --authentication-id='{user}' \
    --password='{password}' --authorization-id= --x509-ca-file='{ca}'
client gsasl-IMAP imap -- gsasl --imap --connect='{host}:{port}' --mechanism=PLAIN --authentication-id='{user}' \
    --password='{password}' --authorization-id= --x509-ca-file='{ca}'
client posttls-finger smtp -- posttls-finger -l secure -F '{ca}' '[127.0.0.1]:{port}' '{host}'
client nodemailer smtp -- node $here/nodemailer.cjs '{port}' '{ca}' "$one" '{password}'
client aiosmtplib smtp -- "$python" $here/mails.py aio '{port}' '{ca}' "$one" '{password}'
for s in smtp imap pop3 ftp nntp; do
    client "Python-$s" $s -- "$python" $here/logins.py $s
done
for s in imap pop3; do
    in_folder "fetchmail-$s" $s "echo 'poll {host} proto $s port {port} user {user} pass {password} sslproto TLS1.2+ sslcertck
        sslcertfile {ca} mda cat' | fetchmail -f - --pidfile pid -i ids"
done
client sieve-connect sieve -- sh -c 'echo {password} | exec sieve-connect --server {host} --port {port} --noclearchan --user {user} \
    --passwordfd 0 --tlscafile {ca} --list'
client lftp ftp -- lftp -c 'set net:max-retries 1; set ftp:ssl-force true; set ssl:ca-file {ca}
    open -u {user},{password} ftp://{host}:{port}; ls'
client psql postgres -- psql -Atc 'select 1' \
    'host={host} port={port} sslmode=verify-full sslrootcert={ca} user={user} password={password} dbname=postgres'
client mariadb mysql -- mariadb --no-defaults -h '{host}' --protocol=tcp -P '{port}' -u '{user}' '-p{password}' \
    '--ssl-ca={ca}' --ssl-verify-server-cert -e 'select 1'
# ldapsearch replaces "localhost" by the name of this machine.
client ldapsearch ldap --host 127.0.0.1 -- env LDAPTLS_CACERT='{ca}' ldapsearch -x -LLL -ZZ -H 'ldap://{host}:{port}' \
    -D 'cn={user}' -w '{password}' -s base
in_folder nbdinfo nbd 'cp {ca} ca-cert.pem; exec nbdinfo --size "nbds://{host}:{port}?tls-certificates=."'
in_folder qemu-img nbd 'cp {ca} ca-cert.pem; exec qemu-img info --image-opts driver=nbd,host={host},port={port},tls-creds=t \
    --object tls-creds-x509,id=t,endpoint=client,dir=.'

pipe_in() {                # pipe_in SCHEME BYTES: the bytes through our client, inside TLS
    client "our-client-$1" "$1" --strict --deadline 4 -- sh -c "printf '$2' |
        '$starttls' connect $1://{host}:{port} --ca {ca} --timeout 2 --linger 1"
}
pipe_in smtp 'EHLO me\r\nQUIT\r\n'
pipe_in lmtp 'LHLO me\r\nQUIT\r\n'
for s in pop3 ftp; do pipe_in $s 'USER {user}\r\nPASS {password}\r\nQUIT\r\n'; done
pipe_in imap 'a LOGIN {user} {password}\r\nb LOGOUT\r\n'
pipe_in nntp 'AUTHINFO USER {user}\r\nAUTHINFO PASS {password}\r\nQUIT\r\n'
pipe_in sieve 'LOGOUT\r\n'
pipe_in irc 'PASS {password}\r\nNICK {user}\r\nUSER {user} 0 * :a\r\nQUIT\r\n'
pipe_in nut 'USERNAME {user}\nPASSWORD {password}\nLOGOUT\n'
pipe_in postgres '\000\000\000\033\000\003\000\000user\000{user}\000\000'
pipe_in mysql '\040\000\000\002\015\242\013\000\000\000\000\001\055'"$(printf '\\000%.0s' {1..23})"
pipe_in nbd 'IHAVEOPT\000\000\000\002\000\000\000\000'
pipe_in ldap '\060\014\002\001\002\140\007\002\001\003\004\000\200\000\060\005\002\001\003\102\000'
pipe_in vnc '\000\000\000\014\000\000\000\012{user}{password}'
pipe_in rdp '\003\000\000\010\002\360\200\177'
stream="<?xml version=\"1.0\"?><stream:stream xmlns=\"jabber:client\" xmlns:stream=\"http://etherx.jabber.org/streams\" to=\"localhost\" version=\"1.0\">"
for s in xmpp xmpp-server; do pipe_in $s "$stream"; done
client our-client-send smtp --strict --deadline 4 -- sh -c "echo {password} >'$work/given'; '$starttls' send --server smtp://{host}:{port} \
    --ca {ca} --user {user} --password-file '$work/given' --from sender@example.test --to you@example.test --timeout 2 '$one'"
examined
