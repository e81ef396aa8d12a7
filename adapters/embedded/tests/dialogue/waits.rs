//! How long a silent or slow server is waited for.

use std::time::Duration;

use starttls::Error as Rule;
use starttls_embedded::Settings;

use crate::common::{Turn, play, rule, says};
use crate::mails::{MESSAGE, TO, credentials, good};

fn took(script: &[Turn], settings: Settings<'_>) -> u64 {
    let (outcome, _, _, milliseconds) = play::<512, _>(script, settings, &TO[..1], || MESSAGE);
    assert_eq!(rule(&outcome), Some(Rule::TimedOut));
    milliseconds / 1000
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
    // The greeting, the handshake, the answers to DATA and to the message.
    for (place, seconds) in [(0, 300), (6, 60), (14, 600)] {
        assert_eq!(took(&silent_from(place), settings), seconds, "{place}");
    }
    let settings = settings.with_max_wait(Duration::from_secs(7));
    for place in [0, 2, 4, 6, 8, 10, 12, 14] {
        assert_eq!(took(&silent_from(place), settings), 7, "{place}");
    }
}

/// A reply, or a handshake, that comes octet by octet is one wait.
#[test]
fn a_drip_is_one_wait() {
    let settings = Settings::new().with_max_wait(Duration::from_secs(5));
    let mut script = Vec::new();
    for octet in "220 a greeting without end".chars() {
        script.extend([Turn::Thinks(900), says(&octet.to_string())]);
    }
    assert_eq!(took(&script, settings), 5);
    let mut script = good()[..6].to_vec();
    for octet in "TLS".chars() {
        script.extend([Turn::Thinks(1900), says(&octet.to_string())]);
    }
    assert_eq!(took(&script, settings), 5);
}

/// Each line of a reply is waited for anew, and a slow server that goes on is waited for.
#[test]
fn who_goes_on_is_waited_for() {
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
