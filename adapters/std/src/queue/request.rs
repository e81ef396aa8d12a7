//! What a sender asks of reports about its mail (RFC 3461), owned and as words.

use starttls::ArgumentError;
use starttls::mail::dsn::{self, Notify, OriginalRecipient, Return, Xtext};

use crate::Recipient;

const NEVER: &str = "never";
const SUCCESS: &str = "success";
const FAILURE: &str = "failure";
const DELAY: &str = "delay";

const FULL: &str = "full";
const HEADERS: &str = "headers";

/// A recipient with what the sender asks for.
pub(super) fn recipient(path: &str, asked: dsn::Recipient<'_>) -> Recipient {
    let mut recipient = Recipient::default();
    path.clone_into(&mut recipient.path);
    recipient.notify = asked.notify();
    recipient.original = asked
        .original()
        .map(|original| format!("{};{}", original.address_type(), original.address().as_str()));
    recipient
}

/// What the sender asks for on a recipient.
///
/// # Errors
/// If the original address is invalid.
pub(super) fn asked(to: &Recipient) -> Result<dsn::Recipient<'_>, ArgumentError> {
    let mut asked = dsn::Recipient::NOTHING;
    if let Some(notify) = to.notify {
        asked = asked.with_notify(notify);
    }
    match &to.original {
        None => Ok(asked),
        Some(original) => {
            let (kind, address) = original.split_once(';').ok_or(ArgumentError::Malformed)?;
            asked.with_original(OriginalRecipient::new(kind, Xtext::international(address)?)?)
        }
    }
}

/// Whether a failure is reported (RFC 3461 §5.2.6).
pub(super) fn wants_failure(to: &Recipient) -> bool {
    to.notify.is_none_or(Notify::failure)
}

/// Whether a success is reported.
pub(super) fn wants_success(to: &Recipient) -> bool {
    to.notify.is_some_and(Notify::success)
}

pub(super) const fn returns_word(returns: Return) -> &'static str {
    match returns {
        Return::Full => FULL,
        Return::Headers => HEADERS,
    }
}

/// `None` for another word.
pub(super) fn parse_returns(word: &str) -> Option<Return> {
    match word {
        FULL => Some(Return::Full),
        HEADERS => Some(Return::Headers),
        _ => None,
    }
}

pub(super) fn notify_words(notify: Notify) -> String {
    let events = [
        (notify.is_never(), NEVER),
        (notify.success(), SUCCESS),
        (notify.failure(), FAILURE),
        (notify.delay(), DELAY),
    ];
    events
        .into_iter()
        .filter_map(|(is_asked, word)| is_asked.then_some(word))
        .collect::<Vec<_>>()
        .join(" ")
}

/// `None` for other words, and without any.
pub(super) fn parse_notify(words: &str) -> Option<Notify> {
    words.split(' ').try_fold(Notify::NEVER, |notify, word| {
        Some(match word {
            SUCCESS => notify.and(Notify::SUCCESS),
            FAILURE => notify.and(Notify::FAILURE),
            DELAY => notify.and(Notify::DELAY),
            NEVER if words == NEVER => notify,
            _ => return None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_were_written() {
        for bits in 0..8 {
            let notify = [Notify::SUCCESS, Notify::FAILURE, Notify::DELAY].into_iter().enumerate();
            let notify = notify
                .filter(|(bit, _)| bits & (1 << bit) != 0)
                .fold(Notify::NEVER, |all, (_, one)| all.and(one));
            assert_eq!(parse_notify(&notify_words(notify)), Some(notify), "{notify:?}");
        }
        for wrong in ["", "always", "never success", "success  delay", "Failure"] {
            assert_eq!(parse_notify(wrong), None, "{wrong}");
        }
        for returns in [Return::Full, Return::Headers] {
            assert_eq!(parse_returns(returns_word(returns)), Some(returns));
        }
        assert_eq!(parse_returns("hdrs"), None);
    }

    #[test]
    fn a_recipient_is_asked_for_as_it_was_kept() {
        let original =
            OriginalRecipient::new("utf-8", Xtext::international("ö+2B@b").expect("valid"));
        let asked_for = dsn::Recipient::NOTHING.with_notify(Notify::DELAY);
        let asked_for = asked_for.with_original(original.expect("valid")).expect("short");
        assert_eq!(asked(&recipient("a@b", asked_for)), Ok(asked_for));
        for (original, error) in [
            ("rfc822", ArgumentError::Malformed),
            ("rfc822;", ArgumentError::Empty),
            ("rfc822;a b", ArgumentError::Malformed),
            ("rfc822;ö", ArgumentError::NotAscii),
        ] {
            let mut damaged = Recipient::default();
            damaged.original = Some(original.to_owned());
            assert_eq!(asked(&damaged), Err(error), "{original}");
        }
    }

    #[test]
    fn failures_are_reported_unless_the_sender_asks_for_something_else() {
        let to = |asked| recipient("a@b", asked);
        let ask = |notify| to(dsn::Recipient::NOTHING.with_notify(notify));
        let nothing = to(dsn::Recipient::NOTHING);
        assert!(wants_failure(&nothing) && !wants_success(&nothing));
        for (notify, [failure, success]) in [
            (Notify::NEVER, [false, false]),
            (Notify::DELAY, [false, false]),
            (Notify::FAILURE, [true, false]),
            (Notify::SUCCESS, [false, true]),
        ] {
            let to = ask(notify);
            assert_eq!([wants_failure(&to), wants_success(&to)], [failure, success], "{notify:?}");
        }
    }
}
