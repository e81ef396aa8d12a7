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
    lmtp_client: "lmtp-client.toml",
    lmtp_receiver: "lmtp-receiver.toml",
    lmtp_server: "lmtp-server.toml",
    lmtp_session: "lmtp-session.toml",
    lmtp_state: "lmtp-state.toml",
    smtp_client: "smtp-client.toml",
    smtp_receiver: "smtp-receiver.toml",
    smtp_server: "smtp-server.toml",
    smtp_session: "smtp-session.toml",
    smtp_state: "smtp-state.toml",
}
