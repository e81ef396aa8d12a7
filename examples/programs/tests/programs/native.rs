//! The sender with the system's TLS.

use std::fs::File;

use crate::common::{Files, run};
use crate::server::Server;

const PROGRAM: &str = env!("CARGO_BIN_EXE_native");

#[test]
fn a_mail() {
    let (files, stranger) = (Files::new(), Files::new());
    let server = Server::new(&files);
    files.write("mail.eml", "Subject: x\r\n\r\n.y\r\n");
    let send = |files: &Files, to: &[&str]| {
        let mut command = files.command(PROGRAM);
        command.args(["localhost", &server.port.to_string(), "me@example.org"]).args(to);
        let message = File::open(files.path("mail.eml")).expect("a file");
        run(command.stdin(message))
    };
    let (status, _, said) = send(&files, &["you@example.net"]);
    assert!(status.success(), "{said}");
    let mails = server.kept.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].message, b"Subject: x\r\n\r\n.y\r\n");
    assert!(mails[0].peer.is_encrypted());

    let (status, _, said) = send(&files, &["you@example.net", "nobody@example.net"]);
    assert!(!status.success() && said.contains("some recipients were refused"), "{said}");
    assert_eq!(server.kept.mails().len(), 2);

    // It trusts another authority.
    stranger.write("mail.eml", "Subject: x\r\n\r\n");
    let (status, _, said) = send(&stranger, &["you@example.net"]);
    assert!(!status.success() && said.contains("certificate"), "{said}");
    assert_eq!(server.kept.mails().len(), 2);
}
