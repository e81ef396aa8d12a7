//! The clients on smol.

use crate::common::{Files, run};
use crate::imap;
use crate::server::{Kept, Server};

#[test]
fn a_mail_and_the_capabilities_inside_tls() {
    let files = Files::new();
    let server = Server::new(&files);
    let (_running, mailbox) = imap::start(&files);
    let mut command = files.command(env!("CARGO_BIN_EXE_smol"));
    let ports = [server.port, mailbox.port()].map(|port| port.to_string());
    command.arg("localhost").args(ports).arg("me@example.org");
    let (status, said, failed) = run(&mut command);
    assert!(status.success(), "{failed}");
    assert!(said.contains("2.0.0 Delivered"), "{said}");
    // In plaintext the server offers STARTTLS.
    let replies: Vec<_> = said.lines().skip(1).collect();
    let expected = ["* CAPABILITY IMAP4REV1", "a OK Done", "* BYE Goodbye", "b OK Done"];
    assert_eq!(replies, expected);
    let mails = server.kept.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].message, b"Subject: smol\r\n\r\nAll is well.\r\n");
    assert_eq!(Kept::count(&server.kept.goodbyes), 1);
}
