//! Mail over SMTP or LMTP: sending and receiving after the upgrade, or in plaintext by an explicit choice.
//!
//! ```text
//! to send:     Opening ── Outbound::send, again … ── Outbound::quit
//!              greeting, STARTTLS, TLS, hello, login   mails   goodbye
//! to receive:  Inbound
//!              greeting, STARTTLS, TLS, mails, goodbye
//! ```
//!
//! - An [`Opening`] brings a connection from the greeting to the login. An [`Outbound`] then sends its
//!   mails and the goodbye.
//! - An [`Inbound`] receives mail on a whole connection.
//! - Both consist of the engines of [`smtp`](crate::smtp) and [`lmtp`](crate::lmtp), a [`Session`] and a
//!   [`Receiver`], which can also be driven on their own.
//! - [`Message`] composes the text of a mail.
//! - `AddressBuf`, `EnvelopeBuf` and `MessageBuf` own their texts, for a queue (feature `alloc`).

mod address;
mod base64;
mod blocks;
mod checked;
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
#[cfg(feature = "scram")]
mod scram;
pub mod session;
pub mod source;

pub use address::Address;
#[cfg(feature = "alloc")]
pub use address::AddressBuf;
pub use checked::{Checked, Pieces};
pub use credentials::Credentials;
#[cfg(feature = "scram")]
pub use credentials::{ChannelBinding, Nonce};
pub use dots::{LineEnds, Stuffer};
pub use envelope::Envelope;
#[cfg(feature = "alloc")]
pub use envelope::{EnvelopeBuf, EnvelopeView};
pub use inbound::Inbound;
pub use limits::MAX_COMMAND;
pub use message::Message;
#[cfg(feature = "alloc")]
pub use message::{MessageBuf, MessageView};
pub use opening::Opening;
pub use outbound::{Outbound, Receipt, Refusal};
pub use receiver::Receiver;
pub use session::Session;
pub use source::Source;
