#!/usr/bin/env bash
# vsftpd: FTP with AUTH TLS and with implicit TLS, both for control and data connections, and
# without TLS.  Anonymous logins only, so that no system account is touched; DIR/pub/file can be fetched,
# uploads go to DIR/pub/in.
. "$(dirname "$0")/lib.sh"

svc_present() { have vsftpd; }
svc_install() { apt_install vsftpd openssl; }

vsftpd_on() {              # vsftpd_on NAME PORT: more configuration on standard input
    { cat <<EOF
listen=YES
listen_ipv6=NO
listen_address=$HOST
listen_port=$2
background=NO
anonymous_enable=YES
no_anon_password=YES
anon_root=$DIR/pub
write_enable=YES
anon_upload_enable=YES
anon_umask=022
local_enable=NO
secure_chroot_dir=$DIR/empty
# vsftpd's syscall filter is too old for current C libraries.
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
vsftpd_log_file=$DIR/log/$1.log
EOF
      cat; } >"$DIR/$1.conf"
    spawn "$1" vsftpd "$DIR/$1.conf"
    wait_port "$2"
}

with_tls() {               # with_tls IMPLICIT(YES|NO)
    cat <<EOF
ssl_enable=YES
allow_anon_ssl=YES
force_anon_logins_ssl=YES
force_anon_data_ssl=YES
require_ssl_reuse=NO
ssl_tlsv1=YES
ssl_ciphers=HIGH
implicit_ssl=$1
rsa_cert_file=$CADIR/server.pem
rsa_private_key_file=$CADIR/server.key
EOF
}

svc_start() {
    local ftp ftps plain
    pick_port ftp; pick_port ftps; pick_port plain
    mkdir -p "$DIR/empty" "$DIR/pub"
    install -d -o ftp "$DIR/pub/in"
    head -c 1000000 /dev/urandom >"$DIR/pub/file"
    chmod 0555 "$DIR/pub"
    vsftpd_on vsftpd "$ftp" < <(with_tls NO)
    vsftpd_on vsftpd-tls "$ftps" < <(with_tls YES)
    vsftpd_on vsftpd-plain "$plain" </dev/null
    announce ftp "$ftp"; announce ftps "$ftps"; announce plain-ftp "$plain"
}

main "$@"
