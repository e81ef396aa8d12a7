//! Every row of every table.

use starttls_tests::check::check_table;

#[test]
fn smtp_client() {
    check_table("smtp-client.toml");
}

#[test]
fn lmtp_client() {
    check_table("lmtp-client.toml");
}
