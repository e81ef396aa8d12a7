//! On-path attacks on a stream: a truncated stream has no clean end, and inserted bytes never count as the
//! server's.

use std::io::{ErrorKind, Read, Write as _};
use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use starttls::smtp::{self, Domain};
use starttls::{Policy, server};
use starttls_std::{ServerStream, accept, connect, upgrade};
use test_identity::Authority;

use crate::common::{Identity, listen, quick, read_to};

/// Plaintext records where only encrypted ones are allowed.
const INJECTED: [&[u8]; 6] = [
    &[21, 3, 3, 0, 2, 1, 0],
    &[21, 3, 3, 0, 2, 2, 40],
    &[22, 3, 3, 0, 4, 20, 0, 0, 0],
    &[23, 3, 3, 0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17],
    &[20, 3, 3, 0, 1, 2],
    b"500 no\r\n",
];

/// What a client reads from a server that sends these bytes without TLS after "half of it", and closes.
fn read(identity: &Identity, injected: &'static [u8], native: bool) -> (Vec<u8>, ErrorKind) {
    let tls = Arc::clone(&identity.server);
    let (port, server) = listen(move |stream| {
        let server = smtp::Server::new(Domain::LOCALHOST, server::Config::default());
        let mut stream: ServerStream = accept(stream, server, &tls).expect("upgraded");
        read_to(&mut stream, b"\n").expect("a line");
        stream.write_all(b"half of it\n").expect("written");
        // A separate read from the bytes before.
        read_to(&mut stream, b"\n").expect("a line");
        stream.sock.write_all(injected).expect("written");
    });
    let stream = connect(("localhost", port), &quick()).expect("connected");
    let client = smtp::Client::new(Domain::LOCALHOST, Policy::Required);
    fn all(mut stream: impl Read + std::io::Write) -> (Vec<u8>, ErrorKind) {
        stream.write_all(b"a line\n").expect("written");
        let mut said = read_to(&mut stream, b"\n").expect("a line");
        stream.write_all(b"a line\n").expect("written");
        let ended = stream.read_to_end(&mut said).expect_err("no clean end");
        (said, ended.kind())
    }
    let read = if native {
        #[cfg(feature = "native-tls")]
        {
            let tls = starttls_std::NativeTls::with_ca_pem(identity.pem.as_bytes()).expect("a CA");
            all(upgrade(stream, client, &tls, "localhost").expect("upgraded"))
        }
        #[cfg(not(feature = "native-tls"))]
        unreachable!("{client:?} {stream:?}")
    } else {
        all(upgrade(stream, client, &identity.client, "localhost").expect("upgraded"))
    };
    server.join().expect("no panic");
    read
}

fn identities() -> [Identity; 2] {
    [&TLS12, &TLS13].map(|version| {
        let mut identity = Identity::new();
        let authority = Authority::default();
        identity.server = Arc::new(authority.localhost().server_of(&[version]));
        identity.client =
            starttls_std::ClientTls::trusting(authority.roots(), test_identity::provider())
                .expect("roots");
        #[cfg(feature = "native-tls")]
        {
            identity.pem = authority.pem();
        }
        identity
    })
}

#[test]
fn a_truncated_stream_has_no_clean_end() {
    for identity in identities() {
        for native in [false, cfg!(feature = "native-tls")] {
            let (said, kind) = read(&identity, b"", native);
            assert_eq!(said, b"half of it\n");
            assert_eq!(kind, ErrorKind::UnexpectedEof, "{native}");
        }
    }
}

#[test]
fn injected_bytes_end_the_stream_with_an_error() {
    for identity in identities() {
        for injected in INJECTED {
            for native in [false, cfg!(feature = "native-tls")] {
                let (said, kind) = read(&identity, injected, native);
                assert_eq!(said, b"half of it\n", "{injected:?}");
                // TLS must not take the bytes for the start of a record and wait for its rest.
                assert_ne!(kind, ErrorKind::UnexpectedEof, "{injected:?} {native}");
            }
        }
    }
}
