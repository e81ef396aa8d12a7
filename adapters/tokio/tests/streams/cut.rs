//! On-path attacks on a stream: a truncated stream has no clean end, and inserted bytes never count as the
//! server's.

use std::io::ErrorKind;

use starttls_tokio::{accept, upgrade};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};

use crate::common::{Identity, client, pipe, read_to, server};

/// Plaintext records where only encrypted ones are allowed.
const INJECTED: [&[u8]; 6] = [
    &[21, 3, 3, 0, 2, 1, 0],
    &[21, 3, 3, 0, 2, 2, 40],
    &[22, 3, 3, 0, 4, 20, 0, 0, 0],
    &[23, 3, 3, 0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17],
    &[20, 3, 3, 0, 1, 2],
    b"500 no\r\n",
];

/// Sends these bytes without TLS after "half of it", and closes.
async fn serve(identity: &Identity, stream: DuplexStream, injected: &[u8]) {
    let mut stream = accept(stream, server(), &identity.server).await.expect("upgraded");
    stream.write_all(b"half of it\n").await.expect("written");
    stream.flush().await.expect("sent");
    // A separate read from the bytes before.
    read_to(&mut stream, b"\n").await;
    stream.get_mut().0.write_all(injected).await.expect("written");
}

async fn all(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> ErrorKind {
    assert_eq!(read_to(&mut stream, b"\n").await, b"half of it\n");
    stream.write_all(b"a line\n").await.expect("written");
    stream.flush().await.expect("sent");
    stream.read_to_end(&mut Vec::new()).await.expect_err("no clean end").kind()
}

async fn with_rustls(identity: &Identity, stream: DuplexStream) -> ErrorKind {
    all(upgrade(stream, client(), &identity.connector, "localhost").await.expect("upgraded")).await
}

#[cfg(feature = "native-tls")]
async fn with_native_tls(identity: &Identity, stream: DuplexStream) -> ErrorKind {
    use starttls_tokio::{Driver, NativeTls, Silent, Timeouts};
    let tls = NativeTls::with_ca_pem(identity.pem.as_bytes()).expect("a CA");
    let driver = Driver::new(stream, Timeouts::default(), Silent);
    let upgrade = starttls_common::upgrade_with(driver, client(), &tls, "localhost", |_| ());
    all(upgrade.await.expect("upgraded").0).await
}

#[tokio::test]
async fn truncated_or_injected_streams_have_no_clean_end() {
    let identity = Identity::new();
    for injected in INJECTED.into_iter().chain([&b""[..]]) {
        let mut kinds = Vec::new();
        let (here, there) = pipe();
        kinds.push(tokio::join!(with_rustls(&identity, here), serve(&identity, there, injected)).0);
        #[cfg(feature = "native-tls")]
        {
            let (here, there) = pipe();
            let both =
                tokio::join!(with_native_tls(&identity, here), serve(&identity, there, injected));
            kinds.push(both.0);
        }
        for kind in kinds {
            // TLS must not take the bytes for the start of a record and wait for its rest.
            assert_eq!(
                kind == ErrorKind::UnexpectedEof,
                injected.is_empty(),
                "{injected:?}: {kind}"
            );
        }
    }
}
