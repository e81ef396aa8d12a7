//! Mail over SMTP or LMTP, after the upgrade or knowingly without one.
//!
//! A connection that sends mail is an [`Opening`], from the greeting to the login, and then an [`Outbound`],
//! for its mails and the goodbye. A connection that takes mail is an [`Inbound`]. They are made of the
//! engines of [`smtp`](crate::smtp) and [`lmtp`](crate::lmtp), of [`Session`] and of [`Receiver`],
//! which can also be driven one by one. [`Message`] composes the text of a mail.

mod address;
mod base64;
mod credentials;
mod dots;
pub mod dsn;
mod envelope;
pub mod inbound;
mod limits;
pub mod message;
pub mod opening;
pub mod outbound;
pub mod receiver;
pub mod session;
pub mod source;

pub use address::Address;
pub use credentials::Credentials;
#[cfg(feature = "scram")]
pub use credentials::{ChannelBinding, Nonce};
pub use dots::{LineEnds, Stuffer};
pub use envelope::Envelope;
pub use inbound::Inbound;
pub use limits::MAX_COMMAND;
pub use message::Message;
pub use opening::Opening;
pub use outbound::{Outbound, Receipt, Refusal};
pub use receiver::Receiver;
pub use session::Session;
pub use source::Source;
