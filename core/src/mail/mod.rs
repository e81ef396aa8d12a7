//! Mail over SMTP or LMTP, after the upgrade or knowingly without one.
//!
//! [`Session`] sends mail, [`Receiver`] takes it; both begin with what the upgrade by
//! [`smtp`](crate::smtp) or [`lmtp`](crate::lmtp) leaves. [`Message`] composes the text of a mail.

mod address;
mod base64;
mod credentials;
mod dots;
pub mod dsn;
mod envelope;
mod limits;
pub mod message;
pub mod receiver;
pub mod session;

pub use address::Address;
pub use credentials::Credentials;
#[cfg(feature = "scram")]
pub use credentials::{ChannelBinding, Nonce};
pub use dots::{LineEnds, Stuffer};
pub use envelope::Envelope;
pub use limits::MAX_COMMAND;
pub use message::Message;
pub use receiver::Receiver;
pub use session::Session;
