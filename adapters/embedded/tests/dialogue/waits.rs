//! Time limits for a silent or slow server.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use embedded_io::ErrorKind;
use starttls::{Error as Rule, Policy, smtp};
use starttls_embedded::{Buffers, Mailer, Settings, Timer, Upgraded, asynch, upgrade};

use crate::common::{Peer, Turn, block_on, envelope, play, rule, says};
use crate::mails::{MESSAGE, TO, credentials, good, opening};
use crate::through::{Failed, Through};

fn took(script: &[Turn], settings: Settings<'_>) -> u64 {
    let (outcome, _, _, milliseconds) = play::<512, _>(script, settings, &TO[..1], || MESSAGE);
    assert_eq!(rule(&outcome), Some(Rule::TimedOut));
    // The bytes themselves take some time too.
    milliseconds.div_ceil(1000)
}

fn silent_from(place: usize) -> Vec<Turn> {
    let mut script = good()[..place].to_vec();
    script.push(Turn::Sleeps);
    script
}

#[test]
fn as_long_as_the_standard_says() {
    let credentials = credentials();
    let settings = Settings::new().with_credentials(&credentials);
    // The greeting, the handshake, the replies to DATA and to the message.
    for (place, seconds) in [(0, 300), (6, 60), (14, 600)] {
        assert_eq!(took(&silent_from(place), settings), seconds, "{place}");
    }
    let settings = settings.with_max_wait(Duration::from_secs(7));
    for place in [0, 2, 4, 6, 8, 10, 12, 14] {
        assert_eq!(took(&silent_from(place), settings), 7, "{place}");
    }
}

/// A reply or a handshake that arrives byte by byte is one wait. So is a reply with endless lines.
#[test]
fn a_slow_reply_is_one_wait() {
    let settings = Settings::new().with_max_wait(Duration::from_secs(5));
    let mut script = Vec::new();
    for octet in "220 a greeting without end".chars() {
        script.extend([Turn::Thinks(900), says(&octet.to_string())]);
    }
    assert_eq!(took(&script, settings), 5);
    for before in [2, 8] {
        let mut script = good()[..before].to_vec();
        for _ in 0..9 {
            script.extend([Turn::Thinks(900), says("250-more\r\n")]);
        }
        assert_eq!(took(&script, settings.with_credentials(&credentials())), 5);
    }
    let mut script = good()[..6].to_vec();
    for octet in "TLS".chars() {
        script.extend([Turn::Thinks(1900), says(&octet.to_string())]);
    }
    assert_eq!(took(&script, settings), 5);
}

/// A server that always has bytes ready times out too, in a reply and in later reads.
#[test]
fn a_flood_is_one_wait() {
    const WAIT: Duration = Duration::from_millis(100);
    let flood = says(&format!("220 {}", "x".repeat(1 << 20)));
    for asynchronous in [false, true] {
        let mut peer = Peer::new(std::slice::from_ref(&flood), 8);
        let (clock, mut tls) = (peer.clock(), Through::verified());
        let mut buffers = Buffers::<512, 512>::new();
        let settings = Settings::new().with_max_wait(WAIT);
        let mut mailer = Mailer::new(&mut peer, &mut tls, &mut buffers, clock).with(settings);
        let to = envelope(&TO[..1]);
        let outcome = if asynchronous {
            // Other tasks run meanwhile.
            let mut polls = 0;
            let mut send = pin!(mailer.send_async(&to, MESSAGE));
            let counted = poll_fn(|cx| {
                polls += 1;
                send.as_mut().poll(cx)
            });
            let outcome = block_on(counted);
            assert!(polls > 50, "{polls}");
            outcome
        } else {
            mailer.send(&to, MESSAGE)
        };
        assert_eq!(rule(&outcome), Some(Rule::TimedOut));
        check_flood(&peer);

        let mut script = opening();
        script.push(flood.clone());
        let mut peer = Peer::new(&script, 8);
        let mut timer = Timer::new(peer.clock());
        let client = smtp::Client::new(smtp::Domain::LOCALHOST, Policy::Required);
        let mut buf = [0; 8];
        let failed = if asynchronous {
            let upgrade = asynch::upgrade(&mut peer, client, &mut tls, &mut buffers, &mut timer);
            let Upgraded { mut stream, budget, .. } = block_on(upgrade).expect("TLS");
            budget.start(Some(WAIT));
            let mut read = || block_on(embedded_io_async::Read::read(&mut stream, &mut buf));
            std::iter::repeat_with(&mut read).find_map(Result::err)
        } else {
            let upgrade = upgrade(&mut peer, client, &mut tls, &mut buffers, &mut timer);
            let Upgraded { mut stream, budget, .. } = upgrade.expect("TLS");
            budget.start(Some(WAIT));
            let mut read = || embedded_io::Read::read(&mut stream, &mut buf);
            std::iter::repeat_with(&mut read)
                .take_while(|read| read != &Ok(0))
                .find_map(Result::err)
        };
        assert_eq!(failed, Some(Failed(ErrorKind::TimedOut)));
        check_flood(&peer);
    }
}

fn check_flood(peer: &Peer) {
    let Some(Turn::Says(left)) = peer.script.front() else { panic!("everything was read") };
    assert!(left.len() > 1 << 19, "{}", left.len());
}

/// Each reply has its own time limit, so a slow server that makes progress does not time out.
#[test]
fn a_server_that_makes_progress_does_not_time_out() {
    let credentials = credentials();
    let settings =
        Settings::new().with_credentials(&credentials).with_max_wait(Duration::from_secs(5));
    let mut script = Vec::new();
    for turn in good() {
        if matches!(turn, Turn::Says(_)) {
            script.push(Turn::Thinks(4500));
        }
        script.push(turn);
    }
    let (outcome, _, _, milliseconds) = play::<512, _>(&script, settings, &TO[..1], || MESSAGE);
    assert!(outcome.is_ok());
    assert_eq!(milliseconds / 1000, 40);
}
