//! Every row of every table.

use starttls_tests::check::check_table;

macro_rules! tables {
    ($($test:ident: $file:literal),* $(,)?) => {
        $(
            #[test]
            fn $test() {
                check_table($file);
            }
        )*

        #[test]
        fn every_table_is_played() {
            assert_eq!(starttls_tests::table::names(), [$($file),*]);
        }
    };
}

tables! {
    ftp_client: "ftp-client.toml",
    ftp_server: "ftp-server.toml",
    ftp_state: "ftp-state.toml",
    imap_client: "imap-client.toml",
    imap_server: "imap-server.toml",
    imap_state: "imap-state.toml",
    irc_client: "irc-client.toml",
    irc_server: "irc-server.toml",
    irc_state: "irc-state.toml",
    ldap_client: "ldap-client.toml",
    ldap_server: "ldap-server.toml",
    ldap_state: "ldap-state.toml",
    lmtp_client: "lmtp-client.toml",
    lmtp_receiver: "lmtp-receiver.toml",
    lmtp_server: "lmtp-server.toml",
    lmtp_session: "lmtp-session.toml",
    lmtp_state: "lmtp-state.toml",
    mysql_client: "mysql-client.toml",
    mysql_server: "mysql-server.toml",
    mysql_state: "mysql-state.toml",
    nbd_client: "nbd-client.toml",
    nbd_server: "nbd-server.toml",
    nbd_state: "nbd-state.toml",
    nntp_client: "nntp-client.toml",
    nntp_server: "nntp-server.toml",
    nntp_state: "nntp-state.toml",
    nut_client: "nut-client.toml",
    nut_server: "nut-server.toml",
    nut_state: "nut-state.toml",
    pop3_client: "pop3-client.toml",
    pop3_server: "pop3-server.toml",
    pop3_state: "pop3-state.toml",
    postgres_client: "postgres-client.toml",
    postgres_server: "postgres-server.toml",
    postgres_state: "postgres-state.toml",
    rdp_client: "rdp-client.toml",
    rdp_server: "rdp-server.toml",
    rdp_state: "rdp-state.toml",
    sieve_client: "sieve-client.toml",
    sieve_server: "sieve-server.toml",
    sieve_state: "sieve-state.toml",
    smtp_client: "smtp-client.toml",
    smtp_receiver: "smtp-receiver.toml",
    smtp_server: "smtp-server.toml",
    smtp_session: "smtp-session.toml",
    smtp_state: "smtp-state.toml",
    vnc_client: "vnc-client.toml",
    vnc_server: "vnc-server.toml",
    vnc_state: "vnc-state.toml",
    xmpp_client: "xmpp-client.toml",
    xmpp_server: "xmpp-server.toml",
    xmpp_state: "xmpp-state.toml",
}
