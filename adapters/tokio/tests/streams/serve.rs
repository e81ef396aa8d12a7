//! Many connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use starttls_tokio::serve;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn so_many_and_no_more() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let open = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, peak) = (Arc::clone(&open), Arc::clone(&most));
    let server = tokio::spawn(async move {
        serve(
            &listener,
            2,
            |error| panic!("{error}"),
            |mut stream, _| {
                assert!(stream.get_ref().nodelay().expect("an option"));
                let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
                async move {
                    peak.fetch_max(now.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
                    let octet = stream.read_u8().await;
                    if let Ok(octet) = octet {
                        let _ = stream.write_all(&[octet]).await;
                    }
                    now.fetch_sub(1, Ordering::AcqRel);
                }
            },
        )
        .await;
    });
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(TcpStream::connect(address).await.expect("connected"));
    }
    // Those who come first are served first, and each gets its turn.
    for (octet, client) in (0..).zip(&mut clients) {
        client.write_all(&[octet]).await.expect("written");
        assert_eq!(client.read_u8().await.expect("an answer"), octet);
        // Its task may still be about to end.
        assert!(most.load(Ordering::Acquire) <= 2);
    }
    assert_eq!(most.load(Ordering::Acquire), 2);

    // With the loop its tasks end.
    let mut last = TcpStream::connect(address).await.expect("connected");
    while open.load(Ordering::Acquire) == 0 {
        tokio::task::yield_now().await;
    }
    server.abort();
    assert_eq!(last.read(&mut [0]).await.expect("closed"), 0);
}
