//! Time limits, by a paused clock that advances only when every task waits.

use std::future::Future;
use std::ops::ControlFlow;
use std::time::Duration;

use starttls::Error as Rule;
use starttls_tokio::{
    Driver, Error, Silent, Timeouts, Upgraded, accept, accept_or_plaintext, upgrade,
    upgrade_or_plaintext,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::time::{Instant, sleep};

use crate::common::{Identity, client, pipe, server, until_starttls};

/// How long a rejected peer is still read from.
const LINGER: Duration = Duration::from_secs(2);

/// The time until the operation timed out.
async fn timed<T: std::fmt::Debug>(what: impl Future<Output = Result<T, Error>>) -> Duration {
    let start = Instant::now();
    let failed = what.await.expect_err("no answer");
    assert_eq!(failed.protocol(), Some(Rule::TimedOut), "{failed}");
    start.elapsed()
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// The clock's own resolution.
fn assert_about(measured: Duration, expected: Duration) {
    assert!(measured >= expected && measured < expected + Duration::from_millis(5), "{measured:?}");
}

#[tokio::test(start_paused = true)]
async fn each_wait_has_the_protocol_s_limit() {
    let identity = Identity::new();
    let (here, _there) = pipe();
    // RFC 5321 §4.5.3.2.1.
    assert_about(
        timed(upgrade(here, client(), &identity.connector, "localhost")).await,
        minutes(5),
    );

    let (here, _there) = pipe();
    let taken = timed(accept(here, server(), &identity.server)).await;
    assert_about(taken, minutes(5) + LINGER);

    // A handshake.
    let (here, mut there) = pipe();
    let script = tokio::spawn(async move {
        until_starttls(&mut there).await;
        there.write_all(b"220 go\r\n").await.expect("written");
        let mut rest = Vec::new();
        there.read_to_end(&mut rest).await.map(drop)
    });
    let taken = timed(upgrade(here, client(), &identity.connector, "localhost")).await;
    assert_about(taken, minutes(1));
    script.await.expect("no panic").expect("closed");
}

/// The limit is for the whole handshake, whenever its parts arrive.
#[tokio::test(start_paused = true)]
async fn a_handshake_is_one_wait() {
    let identity = Identity::new();
    let (here, mut there) = pipe();
    let script = tokio::spawn(async move {
        until_starttls(&mut there).await;
        there.write_all(b"220 go\r\n").await.expect("written");
        sleep(Duration::from_secs(50)).await;
        there.write_all(b"\x16\x03\x03").await.expect("written");
        let _ = there.read_to_end(&mut Vec::new()).await;
    });
    let taken = timed(upgrade(here, client(), &identity.connector, "localhost")).await;
    assert_about(taken, minutes(1));
    script.await.expect("no panic");
}

/// A TLS record that arrives byte by byte is one wait.
#[tokio::test(start_paused = true)]
async fn a_slow_record_is_one_wait() {
    let identity = Identity::new();
    let (here, there) = pipe();
    let dripping = async {
        let mut stream = accept(there, server(), &identity.server).await.expect("upgraded");
        let raw = &mut stream.get_mut().0;
        raw.write_all(&[23, 3, 3, 0x3f, 0xff]).await.expect("written");
        while raw.write_all(&[0]).await.is_ok() {
            sleep(Duration::from_millis(30)).await;
        }
    };
    let second = Duration::from_secs(1);
    let waiting = async {
        let driver = Driver::new(here, Timeouts::new().with_wait(second), Silent);
        let upgraded = upgrade_or_plaintext(driver, client(), &identity.tls, "localhost").await;
        let Ok(Upgraded::Tls(mut driver, _)) = upgraded else { panic!("{upgraded:?}") };
        let mut machine = client();
        let run = driver.run(&mut machine, |_, _, _| Ok(ControlFlow::Break(())));
        assert_about(timed(run).await, second);
    };
    tokio::join!(dripping, waiting);
}

#[tokio::test(start_paused = true)]
async fn the_caller_s_limits_of_a_wait_and_of_the_whole() {
    let identity = Identity::new();
    let second = Duration::from_secs(1);
    for (timeouts, drip, expected) in [
        (Timeouts::new().with_wait(second), false, second),
        (Timeouts::new().with_total(2 * second), false, 2 * second),
        // A single byte now and then is no reply.
        (Timeouts::new().with_wait(second), true, second),
        (Timeouts::new().with_total(2 * second), true, 2 * second),
    ] {
        let (here, mut there) = pipe();
        let dripping = tokio::spawn(async move {
            while drip && there.write_all(b"2").await.is_ok() {
                sleep(Duration::from_millis(30)).await;
            }
            let _ = there.read_to_end(&mut Vec::new()).await;
        });
        let driver = Driver::new(here, timeouts, Silent);
        let upgraded = upgrade_or_plaintext(driver, client(), &identity.tls, "localhost");
        assert_about(timed(upgraded).await, expected);
        dripping.await.expect("no panic");
    }
}

/// The handshake of a slow peer times out, on both sides.
#[tokio::test(start_paused = true)]
async fn a_slow_handshake_times_out() {
    let identity = Identity::new();
    let (here, mut there) = pipe();
    let script = tokio::spawn(async move {
        there.write_all(b"EHLO me\r\nSTARTTLS\r\n\x16\x03\x01\x02\x00").await.expect("written");
        while there.write_all(&[1]).await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    });
    assert_about(timed(accept(here, server(), &identity.server)).await, minutes(1));
    script.await.expect("no panic");
}

/// Silence inside TLS, right after the handshake.
#[tokio::test(start_paused = true)]
async fn silence_inside_tls_times_out() {
    let identity = Identity::new();
    let (here, there) = pipe();
    let connect = tokio::spawn({
        let connector = identity.connector.clone();
        async move { upgrade(there, client(), &connector, "localhost").await }
    });
    let inbox = starttls_tokio::Inbox::new(identity.inbox());
    let mut kept = crate::common::Kept::default();
    let start = Instant::now();
    let silent = inbox.receive::<starttls::smtp::Smtp, _>(here, None, &mut kept, Silent).await;
    assert_eq!(silent.expect_err("silence").protocol(), Some(Rule::TimedOut));
    // RFC 5321 §4.5.3.2.7.
    assert_about(start.elapsed(), minutes(5) + LINGER);
    drop(connect.await.expect("no panic").expect("upgraded"));
}

/// A peer that does not read.
#[tokio::test(start_paused = true)]
async fn a_write_times_out() {
    let identity = Identity::new();
    let (here, mut there) = duplex(8);
    there.write_all(b"220 mx\r\n").await.expect("written");
    assert_about(
        timed(upgrade(here, client(), &identity.connector, "localhost")).await,
        minutes(5),
    );
    drop(there);
}

/// The farewell is sent, then the peer is read from for two seconds at most.
#[tokio::test(start_paused = true)]
async fn a_farewell_arrives() {
    let identity = Identity::new();
    let (here, mut there) = pipe();
    there.write_all(b"EHLO me\nSTARTTLS\n").await.expect("written");
    let start = Instant::now();
    let driver = Driver::new(here, Timeouts::default(), Silent);
    let failed = accept_or_plaintext(driver, server(), &identity.server).await;
    assert_eq!(failed.expect_err("a bare LF").protocol(), Some(Rule::BareLf));
    assert_about(start.elapsed(), LINGER);
    let mut heard = Vec::new();
    there.read_to_end(&mut heard).await.expect("closed");
    let heard = String::from_utf8(heard).expect("ASCII");
    assert!(heard.lines().last().is_some_and(|line| line.starts_with("5")), "{heard}");
}
