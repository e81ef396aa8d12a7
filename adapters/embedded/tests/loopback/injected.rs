//! Records that an on-path attacker inserts, at each place: each ends the connection with an error of ours,
//! and its contents are never returned as the server's.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::Arc;

use embedded_io::{ErrorKind, ErrorType, Read as _, Write as _};
use rand_core::OsRng;
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use rustls::{ServerConfig, ServerConnection};
use starttls_embedded::embedded_tls::{Breach, ClientTls, Error, Records};
use starttls_embedded::rustls::{ClientTls as RustlsTls, Error as TlsError, ServerTls};
use starttls_embedded::{Accept, Connect, Stream as _, asynch, verify};

use crate::common::{Identity, block_on, now};

/// A server in memory, with an attacker between it and its client.
struct Path {
    server: ServerConnection,
    /// The bytes to the client, by records.
    records: VecDeque<Vec<u8>>,
    /// How many records have passed.
    passed: usize,
    /// After this many records, the attacker sends these bytes instead of the server.
    injected: Option<(usize, Vec<u8>)>,
    /// Whether the attacker cuts the connection there.
    cut: bool,
    /// How many bytes of the first record have been read.
    said: usize,
    /// How many bytes were read.
    reads: usize,
    greeted: bool,
    /// Whether the server sends close_notify after its last bytes.
    leaves: bool,
}

impl Path {
    fn new(config: &Arc<ServerConfig>, injected: Option<(usize, Vec<u8>)>) -> Self {
        let server = ServerConnection::new(Arc::clone(config)).expect("a server");
        let records = VecDeque::new();
        Self {
            server,
            records,
            passed: 0,
            injected,
            cut: false,
            said: 0,
            reads: 0,
            greeted: false,
            leaves: false,
        }
    }

    fn fill(&mut self) {
        if !self.server.is_handshaking() && !self.greeted {
            self.greeted = true;
            self.server.writer().write_all(b"hello").expect("room");
            if self.leaves {
                self.server.send_close_notify();
            }
        }
        let mut octets = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut octets).expect("written");
        }
        let mut rest = &octets[..];
        while let [_, _, _, high, low, ..] = *rest {
            let (record, after) = rest.split_at(5 + usize::from(u16::from_be_bytes([high, low])));
            self.records.push_back(record.to_vec());
            rest = after;
        }
        if let Some((at, record)) = &self.injected
            && self.passed == *at
            && self.said == 0
        {
            if record.is_empty() {
                self.cut = true;
            } else {
                self.records.push_front(record.clone());
                self.injected = None;
            }
        }
    }
}

impl ErrorType for Path {
    type Error = ErrorKind;
}

impl embedded_io::Read for Path {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        self.fill();
        let Some(record) = self.records.front().filter(|_| !self.cut) else { return Ok(0) };
        let n = buf.len().min(record.len() - self.said);
        buf[..n].copy_from_slice(&record[self.said..][..n]);
        self.said += n;
        self.reads += n;
        if self.said == record.len() {
            (self.said, self.passed) = (0, self.passed + 1);
            self.records.pop_front();
        }
        Ok(n)
    }
}

impl embedded_io::Write for Path {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        if self.leaves && self.greeted {
            return Ok(buf.len());
        }
        let n = self.server.read_tls(&mut &buf[..]).expect("read");
        let _ = self.server.process_new_packets();
        Ok(n)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl embedded_io_async::Read for Path {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        embedded_io::Read::read(self, buf)
    }
}

impl embedded_io_async::Write for Path {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        embedded_io::Write::write(self, buf)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// What the client reads up to the end, and how many records passed.
fn run(identity: &Identity, path: &mut Path, asynchronous: bool) -> Result<Vec<u8>, Error> {
    let anchors = [verify::anchor(identity.authority.der()).expect("an authority")];
    let mut records = Box::new(Records::<16640, 512>::new());
    let mut tls = ClientTls::new("localhost", &anchors, now, OsRng, &mut records);
    if asynchronous {
        return block_on(async {
            use embedded_io_async::Read as _;
            let (mut said, mut buf) = (Vec::new(), [0; 64]);
            let (mut stream, _) = asynch::Connect::connect(&mut tls, path, None).await?;
            loop {
                match stream.read(&mut buf).await? {
                    0 => break,
                    n => said.extend_from_slice(&buf[..n]),
                }
            }
            asynch::Stream::close(stream).await.map(|()| said)
        });
    }
    blocking(&mut tls, path)
}

/// The same with any TLS.
fn blocking<T: Connect>(tls: &mut T, path: &mut Path) -> Result<Vec<u8>, T::Error> {
    let (mut said, mut buf) = (Vec::new(), [0; 64]);
    let (mut stream, _) = tls.connect(path, None)?;
    loop {
        match stream.read(&mut buf)? {
            0 => break,
            n => said.extend_from_slice(&buf[..n]),
        }
    }
    // The end is permanent.
    assert!(matches!(stream.read(&mut buf), Ok(0)));
    stream.flush()?;
    stream.close().map(|()| said)
}

/// Plaintext records, and the place where TLS 1.3 allows them before the keys exist.
const INJECTED: [(&str, &[u8]); 9] = [
    ("a goodbye", &[21, 3, 3, 0, 2, 1, 0]),
    ("an alert", &[21, 3, 3, 0, 2, 2, 40]),
    ("an unknown alert", &[21, 3, 3, 0, 2, 2, 255]),
    ("a handshake message", &[22, 3, 3, 0, 4, 20, 0, 0, 0]),
    ("a key update", &[22, 3, 3, 0, 5, 24, 0, 0, 1, 0]),
    ("an empty record", &[23, 3, 3, 0, 0]),
    ("random bytes", &[23, 3, 3, 0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]),
    ("another protocol", b"500 no\r\n"),
    ("a change of another kind", &[20, 3, 3, 0, 1, 2]),
];

#[test]
fn what_is_injected_ends_the_connection() {
    let identity = Identity::new();
    for asynchronous in [false, true] {
        // The ServerHello, a change_cipher_spec, the rest of the handshake, tickets, data.
        let mut whole = Path::new(&identity.server, None);
        // Without close_notify it counts as truncated.
        let cut = run(&identity, &mut whole, asynchronous);
        assert!(matches!(cut, Err(Error::Breach(Breach::Cut))), "{cut:?}");
        let places = whole.passed;
        assert_eq!(places, 5);
        for (name, record) in INJECTED {
            for at in 0..=places {
                let mut path = Path::new(&identity.server, Some((at, record.to_vec())));
                let ended = run(&identity, &mut path, asynchronous);
                assert!(path.injected.is_none(), "{name} at {at} was not inserted: {ended:?}");
                match ended {
                    // The alert cannot be told from a server's, and TLS handles it.
                    Err(Error::Tls(_)) if at == 0 => {}
                    // Bytes that only look encrypted cannot be decrypted.
                    Err(Error::Tls(_)) if name == "random bytes" => {}
                    Err(Error::Breach(Breach::Misplaced | Breach::Malformed)) => {}
                    ended => panic!("{name} at {at}: {ended:?}"),
                }
            }
        }
        for at in 0..=places {
            let mut path = Path::new(&identity.server, Some((at, Vec::new())));
            let ended = run(&identity, &mut path, asynchronous);
            assert!(matches!(ended, Err(Error::Breach(Breach::Cut))), "the end at {at}: {ended:?}");
        }
    }
}

/// A few change_cipher_spec records mean nothing in a handshake (RFC 8446 §5). Many of them are an attack,
/// and so is one after the handshake.
#[test]
fn change_cipher_specs_are_counted() {
    let identity = Identity::new();
    let change = [20, 3, 3, 0, 1, 1];
    for asynchronous in [false, true] {
        for (at, times, expected) in [
            (1, 1, Breach::Cut),
            (1, 13_000_000 / 1000, Breach::Flood),
            (0, 1, Breach::Misplaced),
            (4, 1, Breach::Misplaced),
        ] {
            let mut path = Path::new(&identity.server, Some((at, change.repeat(times))));
            let ended = run(&identity, &mut path, asynchronous);
            assert!(
                matches!(ended, Err(Error::Breach(breach)) if breach == expected),
                "{times} at {at}: {ended:?}"
            );
            assert!(path.reads < 10_000, "{}", path.reads);
        }
    }
}

/// A server's close_notify is the end, and the only end without an error.
#[test]
fn close_notify_is_the_end() {
    let identity = Identity::new();
    for asynchronous in [false, true] {
        let mut path = Path::new(&identity.server, None);
        path.leaves = true;
        let said = run(&identity, &mut path, asynchronous);
        assert!(matches!(&said, Ok(said) if said == b"hello"), "{said:?}");
    }
}

/// The client's bytes before the handshake reach TLS all together or not at all.
#[test]
fn early_bytes_that_do_not_fit_are_an_error() {
    let identity = Identity::new();
    let early = [22; 1 << 15];
    for asynchronous in [false, true] {
        let (mut tls, mut socket) =
            (ServerTls::new(Arc::clone(&identity.server)), Path::new(&identity.server, None));
        let failed = if asynchronous {
            block_on(asynch::Accept::accept(&mut tls, &mut socket, &early)).err()
        } else {
            Accept::accept(&mut tls, &mut socket, &early).err()
        };
        assert_eq!(failed, Some(TlsError::Tls(starttls_rustls::Error::MessageTooLong)));
    }
}

/// rustls itself rejects these records.
#[test]
fn with_rustls_it_is_the_same() {
    let identity = Identity::new();
    let run = |path: &mut Path| {
        let name = ServerName::try_from("localhost").expect("a name");
        blocking(&mut RustlsTls::new(name, identity.client(&TLS13)), path)
    };
    let mut whole = Path::new(&identity.server, None);
    let truncated = Err(TlsError::Tls(starttls_rustls::Error::Truncated));
    assert_eq!(run(&mut whole), truncated);
    let places = whole.passed;
    for (name, record) in INJECTED.into_iter().chain([("the end", &[][..])]) {
        for at in 0..=places {
            let mut path = Path::new(&identity.server, Some((at, record.to_vec())));
            let ended = run(&mut path);
            assert!(ended.is_err(), "{name} at {at}: {ended:?}");
            // Only the end is an end. A warning before the ServerHello is ignored, and the handshake
            // continues.
            let goes_on = record.is_empty() || (name, at) == ("a goodbye", 0);
            assert!(ended != truncated || goes_on, "{name} at {at}: {ended:?}");
        }
    }
    let mut path = Path::new(&identity.server, None);
    path.leaves = true;
    assert_eq!(run(&mut path), Ok(b"hello".to_vec()));
}
