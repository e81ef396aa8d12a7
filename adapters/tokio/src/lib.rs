#![cfg_attr(feature = "native-roots", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "native-roots"), doc = "STARTTLS on tokio, with tokio-rustls.")]
#![forbid(unsafe_code)]

mod compose;
mod driver;
mod mail;
#[cfg(feature = "mx")]
pub mod mx;
mod receive;
mod serve;
mod server;
mod socket;
mod upgrade;

pub use compose::Composed;
pub use driver::Driver;
pub use mail::{Connection, Mailer};
pub use receive::{Deliver, Inbox};
pub use serve::serve;
pub use server::{Accepted, Decide, ServerStream, accept, accept_implicit, accept_or_plaintext};
pub use socket::{Prompt, connect};
pub use starttls_common::{
    Answer, ClientTls, Doing, Error, InboxSettings, Login, MAX_MESSAGE, Mail, Mode, Observer,
    Receipt, Recipient, Settings, Silent, Timeouts, check_alpn, rustls,
};
pub use upgrade::{ClientStream, Upgraded, handshake, upgrade, upgrade_or_plaintext, upgrade_with};
