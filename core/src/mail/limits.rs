//! Sizes and times of mail, of RFC 5321 §4.5.3 and of its extensions.

use core::time::Duration;

use crate::smtp::limits::minutes;

/// The longest line of a message, without CRLF and the dot that is put before a dot, in octets
/// (RFC 5321 §4.5.3.1.6).
pub(super) const MAX_TEXT: u16 = 998;

/// The longest envelope id, encoded, in octets (RFC 3461 §4.4).
pub(super) const MAX_ID: usize = 100;

/// The longest original recipient, encoded and with its kind, in octets (RFC 3461 §4.2).
pub(super) const MAX_ORIGINAL: usize = 500;

/// The longest command that a [`Receiver`](super::Receiver) reads, with CRLF, in octets: `MAIL` with
/// all its parameters. 512 (RFC 5321 §4.5.3.1.4), and 26 for `SIZE` (RFC 1870 §3), 17 for `BODY`
/// (RFC 6152 §2), 116 for `RET` and `ENVID` (RFC 3461 §4.3 and §4.4), 500 for `AUTH` (RFC 4954 §3),
/// 10 for `SMTPUTF8` (RFC 6531 §3.1) and 11 for `REQUIRETLS` (RFC 8689 §2).
///
/// That is enough for `RCPT` with `NOTIFY` and `ORCPT`, of 512 + 536 (RFC 3461 §4.1 and §4.2), and for
/// the largest message of PLAIN behind its `AUTH`, 11 + 1024 + 2 (RFC 4616 §2: three texts of 255 and
/// two NULs, in base64): what a line of an authentication may need is what its mechanisms need
/// (RFC 4954 §4).
pub const MAX_COMMAND: usize = 512 + 26 + 17 + 116 + 500 + 10 + 11;

/// The longest local part, in octets (RFC 5321 §4.5.3.1.1).
pub(super) const MAX_LOCAL: usize = 64;

/// The longest path, in octets, with its angle brackets (RFC 5321 §4.5.3.1.3).
pub(super) const MAX_PATH: usize = 256;

/// For the answer to `DATA` (RFC 5321 §4.5.3.2.4).
pub(super) const DATA_WAIT: Duration = minutes(2);

/// For the next piece of a message (RFC 5321 §4.5.3.2.5).
pub(super) const BODY_WAIT: Duration = minutes(3);

/// For the answer to a whole message (RFC 5321 §4.5.3.2.6).
pub(super) const MESSAGE_WAIT: Duration = minutes(10);
