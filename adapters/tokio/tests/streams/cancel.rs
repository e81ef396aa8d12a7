//! Futures that are dropped before they are done.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::pin;
use std::task::Poll;

use starttls::client::Event;
use starttls_tokio::{Driver, Silent, Timeouts, accept, upgrade};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::{Identity, client, pipe, read_to, server};

/// Polls a future so many times, each with the other's turn between; whether it was done by then.
async fn polls(future: impl Future, times: usize, mut other: impl FnMut()) -> bool {
    let mut future = pin!(future);
    for _ in 0..times {
        other();
        if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
            return true;
        }
    }
    false
}

#[tokio::test(start_paused = true)]
async fn dropped_it_closes() {
    let identity = Identity::new();
    let mut seen = Vec::new();
    for times in 0.. {
        let (here, mut there) = pipe();
        let mut script =
            [&b"220 mx\r\n"[..], b"250-mx\r\n250 STARTTLS\r\n", b"220 go\r\n"].into_iter();
        let done = polls(upgrade(here, client(), &identity.connector, "localhost"), times, || {
            if let Some(line) = script.next() {
                let _ = poll_once(there.write_all(line));
            }
        })
        .await;
        assert!(!done, "nobody shakes hands");
        let mut heard = Vec::new();
        there.read_to_end(&mut heard).await.expect("closed");
        // Whole commands, and whole records.
        let text = [&b""[..], b"EHLO [127.0.0.1]\r\n", b"EHLO [127.0.0.1]\r\nSTARTTLS\r\n"];
        let tls = heard.strip_prefix(text[2]).unwrap_or_default();
        assert!(text.contains(&&heard[..]) || tls.starts_with(b"\x16"), "{heard:?}");
        seen.push(heard.len());
        if times > 6 {
            break;
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "it was dropped in each of its waits: {seen:?}");

    for times in 0..4 {
        let (here, mut there) = pipe();
        let server = accept(here, server(), &identity.server);
        assert!(!polls(server, times, || drop(poll_once(there.write_all(b"NOOP\r\n")))).await);
        let mut heard = Vec::new();
        there.read_to_end(&mut heard).await.expect("closed");
        assert!(heard.is_empty() || heard.ends_with(b"\r\n"));
    }
}

fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    pin!(future).as_mut().poll(&mut context)
}

/// A driver's `run` can be dropped at any time and called again.
#[tokio::test(start_paused = true)]
async fn a_run_goes_on() {
    let (here, mut there) = tokio::io::duplex(3);
    let mut driver = Driver::new(here, Timeouts::default(), Silent);
    let mut machine = client();
    let server = async {
        there.write_all(b"220 mx\r\n").await.expect("written");
        assert_eq!(read_to(&mut there, b"\n").await, b"EHLO [127.0.0.1]\r\n");
        there.write_all(b"250-mx\r\n250 STARTTLS\r\n").await.expect("written");
        assert_eq!(read_to(&mut there, b"\n").await, b"STARTTLS\r\n");
        there.write_all(b"220 go\r\n").await.expect("written");
    };
    let mut server = pin!(server);
    let mut runs = 0;
    loop {
        runs += 1;
        let run = driver.run(&mut machine, |_, event, _| {
            Ok(match event {
                Event::UpgradeReady => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            })
        });
        if let Poll::Ready(outcome) = poll_once(run) {
            assert_eq!(outcome.expect("upgraded"), Some(()));
            break;
        }
        let _ = poll_once(server.as_mut());
    }
    assert!(runs > 10, "{runs}");
    let _ = machine.into_upgrade(driver.unread()).expect("nothing is unread");
}
