//! How long is waited, by a clock that runs only while nobody has anything to do.

use std::future::Future;
use std::time::Duration;

use starttls::Error as Rule;
use starttls_tokio::{
    Driver, Error, Silent, Timeouts, accept, accept_or_plaintext, upgrade, upgrade_or_plaintext,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::time::{Instant, sleep};

use crate::common::{Identity, client, pipe, server, until_starttls};

/// How long a peer is listened to that is being sent away.
const LINGER: Duration = Duration::from_secs(2);

/// How long it took until time was over.
async fn timed<T: std::fmt::Debug>(what: impl Future<Output = Result<T, Error>>) -> Duration {
    let start = Instant::now();
    let failed = what.await.expect_err("nobody answers");
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
async fn each_wait_is_the_protocol_s() {
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

#[tokio::test(start_paused = true)]
async fn a_wait_and_the_whole_are_the_caller_s() {
    let identity = Identity::new();
    let second = Duration::from_secs(1);
    for (timeouts, drip, expected) in [
        (Timeouts::new().with_wait(second), false, second),
        (Timeouts::new().with_total(2 * second), false, 2 * second),
        // An octet now and then keeps each wait short but not the whole.
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

/// The handshake of a peer that drips octets has an end, on both sides.
#[tokio::test(start_paused = true)]
async fn a_slow_handshake_has_an_end() {
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

/// A peer that does not read.
#[tokio::test(start_paused = true)]
async fn writing_has_an_end() {
    let identity = Identity::new();
    let (here, mut there) = duplex(8);
    there.write_all(b"220 mx\r\n").await.expect("written");
    assert_about(
        timed(upgrade(here, client(), &identity.connector, "localhost")).await,
        minutes(5),
    );
    drop(there);
}

/// Last words are said, and then listened for two seconds at most.
#[tokio::test(start_paused = true)]
async fn last_words_arrive() {
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
