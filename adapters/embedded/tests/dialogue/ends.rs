//! A server that closes the connection, at every byte.

use std::time::Duration;

use starttls::Error as Rule;
use starttls::mail::session::Fate;
use starttls_embedded::Settings;

use crate::common::{Turn, play, rule};
use crate::mails::{MESSAGE, TO, credentials, good};

/// Every script that is cut short in the server's bytes, with the place of the cut.
fn cut_in_what_is_said(end: &Turn) -> Vec<(usize, Vec<Turn>)> {
    let good = good();
    let mut scripts = Vec::new();
    for (place, turn) in good.iter().enumerate() {
        let Turn::Says(octets) = turn else { continue };
        for kept in 0..octets.len() {
            let mut script = good[..place].to_vec();
            if kept > 0 {
                script.push(Turn::Says(octets[..kept].to_vec()));
            }
            script.push(end.clone());
            scripts.push((place, script));
        }
    }
    scripts
}

#[test]
fn while_the_server_sends() {
    let credentials = credentials();
    let settings =
        Settings::new().with_credentials(&credentials).with_max_wait(Duration::from_millis(1500));
    for end in [Turn::Leaves, Turn::Breaks, Turn::Sleeps] {
        let expected = if matches!(end, Turn::Sleeps) { Rule::TimedOut } else { Rule::Closed };
        for (place, script) in cut_in_what_is_said(&end) {
            let (outcome, fate, heard, _) = play::<512, _>(&script, settings, &TO[..1], || MESSAGE);
            let what = format!("{:?}", &script[place..]);
            // Places in the script: 12 is the reply to DATA, 14 the reply to the message, 16 the reply to
            // QUIT.
            let (rule_expected, fate_expected) = match place {
                ..=12 => (Some(expected), Fate::NotSent),
                14 => (Some(expected), Fate::Unknown),
                _ => (None, Fate::Accepted),
            };
            assert_eq!((rule(&outcome), fate), (rule_expected, fate_expected), "{what}");
            assert_eq!(heard.contains("All is well"), place > 12, "{what}");
        }
    }
}

#[test]
fn while_the_server_receives() {
    let good = good();
    let credentials = credentials();
    let settings = Settings::new().with_credentials(&credentials);
    let message = 13;
    let Turn::Hears(octets) = &good[message] else { panic!("{:?}", good[message]) };
    for kept in 0..octets.len() {
        let mut script = good[..message].to_vec();
        if kept > 0 {
            script.push(Turn::Hears(octets[..kept].to_vec()));
        }
        script.push(Turn::Breaks);
        let (outcome, fate, ..) = play::<64, _>(&script, settings, &TO[..1], || MESSAGE);
        assert_eq!(rule(&outcome), Some(Rule::Closed));
        // Once a part of the message's end was sent, its fate cannot be known.
        let end = octets.len() - b".\r\n".len();
        let expected = if kept <= end { Fate::NotAccepted } else { Fate::Unknown };
        assert_eq!(fate, expected, "{kept} of {}", octets.len());
    }
}
