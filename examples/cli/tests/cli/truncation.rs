//! A truncated stream is not passed on as a complete one.

use std::io::{self, ErrorKind, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::common::{Server, at_start, tls_scripted};
use crate::connect::Pipe;

/// All data, and how it ended.
fn read_all(stream: &mut impl Read) -> (String, io::Result<()>) {
    let mut said = Vec::new();
    let end = stream.read_to_end(&mut said).map(drop);
    (String::from_utf8(said).expect("UTF-8"), end)
}

/// A client of a server with implicit TLS.
fn client(server: &Server) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&server.ca).expect("a certificate")).expect("added");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let tls = ClientConnection::new(Arc::new(config), name).expect("a configuration");
    let stream = TcpStream::connect(("127.0.0.1", server.port.parse().expect("a port")));
    let stream = stream.expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    StreamOwned::new(tls, stream)
}

/// A server without TLS for one connection.
fn plaintext_backend<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (Server, JoinHandle<T>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let backend = thread::spawn(move || {
        at_start(&listener);
        serve(listener.accept().expect("a connection").0)
    });
    (Server::start(&["smtps", "--backend", &address]), backend)
}

#[test]
fn a_truncated_client_breaks_for_the_backend() {
    for goodbye in [true, false] {
        let (server, backend) = plaintext_backend(|mut stream| {
            stream.write_all(b"220 behind\r\n").expect("written");
            read_all(&mut stream)
        });
        let mut client = client(&server);
        client.read_exact(&mut [0; 12]).expect("a greeting");
        client.write_all(b"half of a li").expect("written");
        client.flush().expect("flushed");
        if goodbye {
            client.conn.send_close_notify();
            client.flush().expect("flushed");
        }
        drop(client);
        let (said, end) = backend.join().expect("no panic");
        assert_eq!(goodbye, end.is_ok(), "{said}: {end:?}");
        if let Err(error) = end {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
    }
}

#[test]
fn a_broken_backend_is_not_a_clean_end_for_its_client() {
    let (server, backend) = plaintext_backend(|mut stream| {
        stream.write_all(b"220 behind\r\n250 half").expect("written");
        // TCP resets a socket closed with unread bytes.
        stream.peek(&mut [0]).expect("something");
    });
    let mut client = client(&server);
    client.read_exact(&mut [0; 20]).expect("a greeting");
    client.write_all(b"NOOP\r\n").expect("written");
    client.flush().expect("flushed");
    let (_, end) = read_all(&mut client);
    let error = end.expect_err("no goodbye of TLS");
    assert!(
        matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset),
        "{error}"
    );
    backend.join().expect("no panic");
}

#[test]
fn a_truncated_server_breaks_for_a_local_client() {
    let (url, ca) = tls_scripted(&[&["250 ok\r\n", "250 half of"]]);
    let pipe = Pipe::start(&url, ca.path().to_str().expect("UTF-8"));
    let mut local = TcpStream::connect(("127.0.0.1", pipe.1)).expect("connected");
    local.write_all(b"EHLO x\r\na\r\nb\r\n").expect("written");
    let (_, end) = read_all(&mut local);
    assert_eq!(end.expect_err("no end").kind(), ErrorKind::ConnectionReset);
}
