# shellcheck shell=bash
# Our client to vsftpd, with data over TLS by ftplib; s_client, gnutls-cli, curl, ftplib and lftp through our server to
# a vsftpd without TLS, which leaves data in plaintext.

have lftp || install lftp
up vsftpd
file=$work/vsftpd/pub/file

probes vsftpd ftp 2
for s in ftp ftps; do
    # vsftpd ends connections without TLS's close_notify.
    check "a pipe to vsftpd: $s" says '^213 1000000' exits 1 pipe "$s://localhost:$(port $s)" \
        'PBSZ 0' 'PROT P' 'USER anonymous' 'PASS x' 'TYPE I' 'SIZE file' 'QUIT'
    listen "pipe-$s" "$s://localhost:$(port $s)"
    rm -f "$work/vsftpd/pub/in/uploaded"
    check "Python ftplib through our pipe to vsftpd, data over TLS: $s" by_python ftp-tls "$file"
    check "Python ftplib through our pipe to vsftpd, data over TLS: $s, the file arrived" \
        cmp "$file" "$work/vsftpd/pub/in/uploaded"
done

front ftp
check "openssl s_client through our server: ftp" says '^213 1000000' \
    through_s_client ftp 'USER anonymous' 'PASS x' 'TYPE I' 'SIZE file' 'QUIT'
check "gnutls-cli through our server: ftp" says '^213 1000000' \
    through_gnutls ftp 'USER anonymous' 'PASS x' 'TYPE I' 'SIZE file' 'QUIT'
by_curl() {
    timeout 30 curl -sS --cacert "$ca" "$@"
}
check "curl through our server: ftp, data in plaintext" same "$file" \
    by_curl --ftp-ssl-control "ftp://localhost:$p/file"
check "curl through our server: ftp, no data over TLS is an error" exits 64 \
    by_curl --ssl-reqd "ftp://localhost:$p/file"
check "Python ftplib through our server" by_python ftp "$file"
by_lftp() {                # by_lftp PROTECT(true|false) FILE
    rm -f "$2"
    timeout 30 lftp -c "set net:max-retries 1; set ftp:ssl-force true; set ssl:ca-file $ca
        set ftp:ssl-protect-data $1; open -u anonymous,x ftp://localhost:$p; get file -o $2"
}
check "lftp through our server: ftp, data in plaintext" by_lftp false "$work/by-lftp"
check "lftp through our server: ftp, the file is the same" cmp "$file" "$work/by-lftp"
front ftps ftp
check "curl through our server: ftps, data in plaintext" same "$file" \
    by_curl --ftp-ssl-control "ftps://localhost:$p/file"
