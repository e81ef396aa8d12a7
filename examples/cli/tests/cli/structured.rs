//! Protocols that are not line-based.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use crate::common::{Server, starttls, text};

pub(crate) type Script = Vec<(usize, Vec<u8>)>;

/// A server that sends each part after the client has sent the number of bytes before it.
fn scripted(scheme: &str, parts: Script) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("{scheme}://127.0.0.1:{}", listener.local_addr().expect("an address").port());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        for (octets, part) in parts {
            stream.read_exact(&mut vec![0; octets]).expect("the client's turn");
            stream.write_all(&part).expect("written");
        }
        let _ = stream.read_to_end(&mut Vec::new());
    });
    (url, server)
}

fn said_by(port: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("connected");
    stream.shutdown(Shutdown::Write).expect("closed");
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    said
}

#[test]
fn each_outcome_has_its_exit_code() {
    let ldap = |code| vec![0x30, 12, 2, 1, 1, 0x78, 7, 10, 1, code, 4, 0, 4, 0];
    let rdp =
        |kind, value| vec![3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0, 0, kind, 0, 8, 0, value, 0, 0, 0];
    let version = || (0, b"RFB 003.008\n".to_vec());
    let rows: [(&str, Script, i32, &str); 13] = [
        ("ldap", vec![(31, ldap(53))], 3, "refused"),
        ("ldap", vec![(31, b"220 mail\r\n".to_vec())], 4, "(rule I11)"),
        ("ldap", vec![(31, [ldap(0), vec![0]].concat())], 4, "(rule I2)"),
        ("postgres", vec![(8, b"N".to_vec())], 3, "refused"),
        ("postgres", vec![(8, b"SS".to_vec())], 4, "(rule I2)"),
        ("mysql", vec![(0, b"\x0b\0\0\0\xff\x10\x04Too many".to_vec())], 3, "refused"),
        ("vnc", vec![(0, b"RFB 003.003\n".to_vec())], 2, "not offer TLS"),
        ("vnc", vec![version(), (12, vec![1, 2])], 2, "not offer TLS"),
        ("vnc", vec![version(), (12, b"\0\0\0\0\x03bad".to_vec())], 3, "refused"),
        ("rdp", vec![(19, rdp(3, 2))], 2, "not offer TLS"),
        ("rdp", vec![(19, rdp(3, 5))], 3, "refused"),
        ("rdp", vec![(19, rdp(2, 8))], 4, "(rule I4)"),
        ("rdp", vec![(19, rdp(2, 1)), (1, b"no TLS at all".to_vec())], 5, "TLS: "),
    ];
    for (scheme, parts, code, line) in rows {
        let (url, server) = scripted(scheme, parts);
        let output = starttls(&["probe", &url, "--timeout", "5"], b"");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{scheme}: {error}");
        assert!(error.contains(line), "{scheme}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        server.join().expect("no panic");
    }
}

#[test]
fn server_errors_are_reported_in_words() {
    let ldap = |code, said: &str| {
        let length = u8::try_from(said.len()).expect("short");
        let head = [0x30, 12 + length, 2, 1, 1, 0x78, 7 + length, 10, 1, code, 4, 0, 4, length];
        [&head[..], said.as_bytes()].concat()
    };
    let nbd = |code: u8, said: &str| {
        let head = b"\x00\x03\xe8\x89\x04\x55\x65\xa9\0\0\0\x05\x80\0\0";
        let length = u32::try_from(said.len()).expect("short").to_be_bytes();
        [&head[..], &[code], &length, said.as_bytes()].concat()
    };
    let version = || (0, b"RFB 003.008\n".to_vec());
    let notice = |said: &str| {
        let length = u8::try_from(said.len()).expect("short");
        let oid = b"\x8a\x161.3.6.1.4.1.1466.20036";
        let head = [0x30, 36 + length, 2, 1, 0, 0x78, 31 + length, 10, 1, 52, 4, 0, 4, length];
        [&head[..], said.as_bytes(), oid].concat()
    };
    let vencrypt = || vec![version(), (12, vec![1, 19]), (1, vec![0, 2])];
    let rows: [(&str, Script, &str); 14] = [
        ("ldap", vec![(31, ldap(53, "not today"))], "unwillingToPerform (53): not today"),
        ("ldap", vec![(31, ldap(52, ""))], "unavailable (52)"),
        ("ldap", vec![(31, ldap(99, "\x1b[1m"))], "an unknown result (99): \\x1b[1m"),
        (
            "mysql",
            vec![(0, b"\x11\0\0\0\xff\x10\x04#08004Too many".to_vec())],
            "error (1040): Too many",
        ),
        ("mysql", vec![(0, b"\x0b\0\0\0\xff\x10\x04Too many".to_vec())], "error (1040): Too many"),
        ("postgres", vec![(8, b"N".to_vec())], "no TLS here (N)"),
        ("postgres", vec![(8, b"E".to_vec())], "an error, not read before TLS (E)"),
        (
            "nbd",
            vec![(0, b"NBDMAGICIHAVEOPT\0\x01".to_vec()), (20, nbd(2, "no TLS"))],
            "NBD_REP_ERR_POLICY: no TLS",
        ),
        (
            "nbd",
            vec![(0, b"NBDMAGICIHAVEOPT\0\x01".to_vec()), (20, nbd(7, "going down"))],
            "NBD_REP_ERR_SHUTDOWN: going down",
        ),
        ("ldap", vec![(31, notice("too many"))], "unavailable (52): too many"),
        ("vnc", vec![version(), (12, b"\0\0\0\0\x03bad".to_vec())], "no security types: bad"),
        ("vnc", [vencrypt(), vec![(2, vec![1])]].concat(), "VeNCrypt's version is refused"),
        (
            "vnc",
            [vencrypt(), vec![(2, vec![0, 1, 0, 0, 1, 4]), (4, vec![0])]].concat(),
            "the security subtype is refused",
        ),
        (
            "rdp",
            vec![(19, vec![3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0, 0, 3, 0, 8, 0, 5, 0, 0, 0])],
            "HYBRID_REQUIRED_BY_SERVER (5)",
        ),
    ];
    for (scheme, parts, words) in rows {
        is_told_in_words(scheme, parts, words);
    }
}

/// `probe` quotes these words of a server.
pub(crate) fn is_told_in_words(scheme: &str, parts: Script, words: &str) {
    let (url, server) = scripted(scheme, parts);
    let error = text(&starttls(&["probe", &url, "--timeout", "5"], b"").stderr);
    assert!(error.contains(&format!("; the peer said: {words}")), "{scheme}: {error}");
    server.join().expect("no panic");
}

#[test]
fn a_backend_is_impossible() {
    for scheme in ["mysql", "vnc", "rdp"] {
        let output = starttls(&["serve", scheme, "--backend", "127.0.0.1:1"], b"");
        assert_eq!(output.status.code(), Some(1), "{scheme}");
        assert!(text(&output.stderr).contains("cannot continue"), "{}", text(&output.stderr));
        let url = format!("{scheme}://localhost");
        let output = starttls(&["connect", &url, "--listen", "127.0.0.1:0"], b"");
        assert_eq!(output.status.code(), Some(1), "{scheme}");
        assert!(text(&output.stderr).contains("--listen"), "{}", text(&output.stderr));
        // As far as TLS.
        let server = Server::start(&[scheme, "--require-tls"]);
        let arguments = ["probe", &server.url(scheme), "--ca", &server.ca];
        let output = starttls(&arguments, b"");
        assert_eq!(output.status.code(), Some(0), "{scheme}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("yes, as localhost"), "{}", text(&output.stdout));
        let arguments = ["connect", &server.url(scheme), "--ca", &server.ca];
        let output = starttls(&arguments, b"");
        assert_eq!(output.status.code(), Some(0), "{scheme}: {}", text(&output.stderr));
        let says = text(&output.stdout).contains("backend server is not");
        assert_eq!(says, scheme != "rdp", "{}", text(&output.stdout));
    }
}

#[test]
fn without_a_backend() {
    let free = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = free.local_addr().expect("an address").to_string();
    drop(free);
    let server = Server::start(&["ldap", "--backend", &address]);
    let said = said_by(&server.port);
    assert_eq!(said[..5], [0x30, 0x47, 2, 1, 0], "a notice of disconnection");
    assert_eq!((said[1], said[6]), ((said.len() - 2) as u8, (said.len() - 7) as u8));
    assert!(said.ends_with(b"\x8a\x161.3.6.1.4.1.1466.20036"));
    let server = Server::start(&["postgres", "--backend", &address]);
    let said = said_by(&server.port);
    assert_eq!(said[0], b'E');
    assert_eq!(said[1..5], (said.len() as u32 - 1).to_be_bytes());
}
