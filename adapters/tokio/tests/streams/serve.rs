//! Many connections.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use starttls_tokio::{Places, Prompt, Turned, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

#[tokio::test]
async fn a_limit_of_connections() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let open = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, peak) = (Arc::clone(&open), Arc::clone(&most));
    let server = tokio::spawn(async move {
        serve(
            &listener,
            Places::new(2),
            pending(),
            |turned| panic!("{turned:?}"),
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
    // Clients are served in the order in which they connected.
    for (octet, client) in (0..).zip(&mut clients) {
        client.write_all(&[octet]).await.expect("written");
        assert_eq!(client.read_u8().await.expect("an answer"), octet);
        // The task of an earlier client may still be ending.
        assert!(most.load(Ordering::Acquire) <= 2);
    }
    assert_eq!(most.load(Ordering::Acquire), 2);

    // Its tasks end with the loop.
    let mut last = TcpStream::connect(address).await.expect("connected");
    while open.load(Ordering::Acquire) == 0 {
        tokio::task::yield_now().await;
    }
    server.abort();
    assert_eq!(last.read(&mut [0]).await.expect("closed"), 0);
}

#[tokio::test]
async fn a_limit_for_each_peer_and_the_end() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (end, ended) = oneshot::channel::<()>();
    let (told, mut away) = mpsc::unbounded_channel();
    let server = tokio::spawn(async move {
        let stop = async { drop(ended.await) };
        let turned = |turned: Turned<Prompt>| match turned {
            Turned::Away(stream, peer) => {
                let written = stream.get_ref().try_write(b"too many");
                told.send((peer, written.is_ok())).expect("a test");
            }
            other => panic!("{other:?}"),
        };
        serve(
            &listener,
            Places::new(9).with_per_peer(1),
            stop,
            turned,
            |mut stream, _| async move {
                // A task that panics frees its place.
                assert_ne!(stream.read_u8().await.expect("a byte"), 0);
                stream.write_u8(1).await.expect("written");
            },
        )
        .await;
    });
    let connect = async || TcpStream::connect(address).await.expect("connected");
    let mut first = connect().await;
    let mut second = connect().await;
    let mut said = String::new();
    second.read_to_string(&mut said).await.expect("an end");
    assert_eq!(said, "too many");
    let (peer, written) = away.recv().await.expect("told");
    assert!(written && peer == second.local_addr().expect("an address"));
    first.write_u8(0).await.expect("written");
    assert_eq!(first.read(&mut [0]).await.expect("closed"), 0);
    let mut third = loop {
        let mut stream = connect().await;
        // The place becomes free a moment later. A served connection receives nothing.
        if timeout(Duration::from_millis(100), stream.read(&mut [0; 8])).await.is_err() {
            break stream;
        }
    };
    end.send(()).expect("a server");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    third.write_u8(1).await.expect("written");
    assert_eq!(third.read_u8().await.expect("an answer"), 1);
    server.await.expect("no panic");
    TcpStream::connect(address).await.expect_err("no listener");
}
