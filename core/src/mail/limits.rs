//! Sizes and times of RFC 5321 §4.5.3 and of the extensions.

use core::time::Duration;

use crate::smtp::limits::minutes;

/// The longest line of a message, without CRLF and an added dot, in bytes (RFC 5321 §4.5.3.1.6).
pub(super) const MAX_TEXT: u16 = 998;

/// The longest envelope id, encoded, in bytes (RFC 3461 §4.4).
pub(super) const MAX_ID: usize = 100;

/// The longest original recipient, encoded and with its type, in bytes (RFC 3461 §4.2).
pub(super) const MAX_ORIGINAL: usize = 500;

/// The longest command that a [`Receiver`](super::Receiver) accepts, with CRLF, in bytes: `MAIL` with all
/// its parameters.
///
/// It is the sum of 512 (RFC 5321 §4.5.3.1.4), 26 for `SIZE` (RFC 1870 §3), 17 for `BODY` (RFC 6152 §2),
/// 116 for `RET` and `ENVID` (RFC 3461 §4.3 and §4.4), 500 for `AUTH` (RFC 4954 §3), 10 for `SMTPUTF8`
/// (RFC 6531 §3.1) and 11 for `REQUIRETLS` (RFC 8689 §2).
///
/// This also covers `RCPT` with `NOTIFY` and `ORCPT`, 512 + 536 bytes (RFC 3461 §4.1 and §4.2), and the
/// longest PLAIN message with its `AUTH`, 11 + 1024 + 2 bytes (RFC 4616 §2: three texts of 255 bytes and
/// two NULs, in base64). RFC 4954 §4 lets the mechanisms determine the length of an authentication's lines.
pub const MAX_COMMAND: usize = 512 + 26 + 17 + 116 + 500 + 10 + 11;

/// The longest line with a SASL challenge, with CRLF, in bytes (RFC 4954 §4). A smaller receive buffer
/// limits it further.
pub(super) const MAX_CHALLENGE: usize = 12288;

/// The longest path, with its angle brackets, in bytes (RFC 5321 §4.5.3.1.3).
pub(super) const MAX_PATH: usize = 256;

/// The time limit for the reply to `DATA` (RFC 5321 §4.5.3.2.4).
pub(super) const DATA_WAIT: Duration = minutes(2);

/// The time limit for the next piece of a message (RFC 5321 §4.5.3.2.5).
pub(super) const BODY_WAIT: Duration = minutes(3);

/// How many bytes of a message make progress. A new [`BODY_WAIT`] begins after them and not before: else
/// a client would hold the connection with single bytes (I17). It is below the smallest TCP segment (536
/// bytes, RFC 9293 §3.7.1), so a client that sends in segments always makes progress.
pub(super) const BODY_BLOCK: u16 = 512;

/// The time limit for the reply to a whole message (RFC 5321 §4.5.3.2.6).
pub(super) const MESSAGE_WAIT: Duration = minutes(10);
