//! Futures that are dropped before they are ready.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::pin;
use std::task::Poll;

use starttls::Policy;
use starttls::client::Event;
use starttls::mail::session::Fate;
use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls_tokio::{Driver, Silent, Timeouts, Tokio, accept, upgrade};
use test_dropped::Scenarios;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::common::{Identity, client, pipe, read_to, server};

/// Polls a future this many times, with the other end's turns between. Returns whether it became ready.
async fn polls(future: impl Future, times: usize, mut other: impl FnMut()) -> bool {
    let mut future = pin!(future);
    for _ in 0..times {
        // Otherwise tokio blocks its own operations.
        tokio::task::yield_now().await;
        other();
        if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
            return true;
        }
    }
    false
}

/// Client and server in all their operations.
#[test]
fn every_future() {
    // It uses only tokio's clock, which is paused.
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    let _entered = runtime.enter();
    Scenarios::<Tokio>::default().run();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_closes_the_stream() {
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
        assert!(!done, "the other end does no handshake");
        let mut heard = Vec::new();
        there.read_to_end(&mut heard).await.expect("closed");
        // Whole commands and whole records.
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
    test_dropped::poll_once(pin!(future))
}

/// A driver's `run` can be dropped at any time and called again.
#[tokio::test(start_paused = true)]
async fn a_dropped_run_continues() {
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

/// The future of a mail can be dropped at any time: the connection knows whether the mail was sent.
#[tokio::test(start_paused = true)]
async fn a_dropped_mail_has_a_fate() {
    let identity = Identity::new();
    let settings = identity.settings(25).with_policy(Policy::Opportunistic);
    let to = [Address::new("a@b").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    let mut seen = Vec::new();
    for times in 0.. {
        let (here, there) = tokio::io::duplex(3);
        let server = answer(there);
        let mut server = pin!(server);
        let opening = settings.opening::<Smtp>("[127.0.0.1]").expect("settings");
        let driver = Driver::new(here, Timeouts::default(), Silent);
        let open = starttls_common::open(driver, opening, &settings);
        let mut open = pin!(open);
        let mut connection = loop {
            tokio::task::yield_now().await;
            let _ = poll_once(server.as_mut());
            if let Poll::Ready(opened) = poll_once(open.as_mut()) {
                break opened.expect("an open connection");
            }
        };
        let send = connection.send(&envelope, &b"a\r\n"[..]);
        let sent = polls(send, times, || drop(poll_once(server.as_mut()))).await;
        let fate = connection.fate();
        assert_eq!(connection.is_open(), sent || times == 0);
        drop(connection);
        let heard = server.await;
        let ended = heard.ends_with("\r\n.\r\n");
        assert!(!(ended && fate.is_safe_to_retry()), "{fate:?} after {times} polls: {heard}");
        assert!(heard.contains("DATA") || fate == Fate::NotSent, "{fate:?}: {heard}");
        seen.push(fate);
        if sent {
            break;
        }
    }
    seen.dedup();
    assert_eq!(seen, [Fate::NotSent, Fate::Unknown, Fate::Accepted]);
}

/// Replies to each line of a mail. Returns the received bytes.
async fn answer(mut stream: DuplexStream) -> String {
    let mut heard = Vec::new();
    for (line, answer) in [
        ("", "220 mx\r\n"),
        ("\n", "250 mx\r\n"),
        ("\n", "250 mx\r\n"),
        ("\n", "250 ok\r\n"),
        ("\n", "250 ok\r\n"),
        ("\n", "354 go\r\n"),
        ("\r\n.\r\n", "250 taken\r\n"),
    ] {
        heard.extend(read_to(&mut stream, line.as_bytes()).await);
        if stream.write_all(answer.as_bytes()).await.is_err() {
            break;
        }
    }
    // The client is gone, so the bytes to it are lost. Its own bytes are still here.
    let _ = stream.read_to_end(&mut heard).await;
    String::from_utf8(heard).expect("text")
}
