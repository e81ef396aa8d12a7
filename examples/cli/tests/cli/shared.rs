//! Several processes of `starttls serve` on one port.

use std::io::Read as _;
use std::net::TcpStream;

use crate::common::{Server, starttls, text};

fn greets(port: &str) -> bool {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("connected");
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).is_ok_and(|()| greeting == *b"220 ")
}

/// One can end, for a new version, while the other takes the connections.
#[test]
fn one_ends_and_the_other_goes_on() {
    let mut first = Server::start(&["smtp", "--reuse-port"]);
    let place = format!("127.0.0.1:{}", first.port);
    let second = Server::start(&["smtp", "--reuse-port", "--listen", &place]);
    assert_eq!(second.port, first.port);
    first.signal("TERM");
    assert_eq!(first.child.wait().expect("it ends").code(), Some(0));
    assert!((0..20).all(|_| greets(&second.port)));
    // A process that does not ask for it has no place here.
    let third = starttls(&["serve", "smtp", "--listen", &place], b"");
    assert_eq!(third.status.code(), Some(1), "{}", text(&third.stderr));
    assert!(text(&third.stderr).contains(&place), "{}", text(&third.stderr));
}

#[test]
fn a_path_is_not_shared() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = format!("{}/socket", directory.path().display());
    let output = starttls(&["serve", "lmtp", "--reuse-port", "--listen", &socket], b"");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("--reuse-port is for TCP ports") && said.contains(&socket), "{said}");
}
