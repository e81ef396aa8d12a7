#![cfg_attr(feature = "native-roots", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "native-roots"), doc = "STARTTLS on blocking sockets, with rustls.")]

mod compose;
mod driver;
mod error;
mod login;
mod mail;
mod observer;
mod pump;
mod receive;
mod server;
mod socket;
mod split;
mod timeouts;
mod tls;
mod upgrade;
mod verify;

pub use compose::Composed;
pub use driver::Driver;
pub use error::{Answer, Error};
pub use login::Login;
pub use mail::{Connection, Mailer, Mode, Receipt};
pub use observer::{Observer, Silent};
pub use receive::{Deliver, Inbox, MAX_MESSAGE, Mail, Recipient};
pub use server::{Accepted, ServerStream, accept, accept_implicit, accept_or_plaintext};
pub use socket::Socket;
pub use split::{ReadHalf, WriteHalf, split};
pub use timeouts::Timeouts;
pub use tls::ClientTls;
pub use upgrade::{
    ClientStream, Upgraded, connect, handshake, upgrade, upgrade_or_plaintext, upgrade_with,
};

/// What another adapter shares. No part of the API: it changes without notice.
#[doc(hidden)]
pub mod shared {
    pub use crate::login::Connected;
    pub use crate::mail::letter::{Letter, may_quit, settle};
    pub use crate::pump::{FULL, Pump, Turn};
    pub use crate::receive::{Asked, Taking, bad_credentials};
    pub use crate::server::check;
    pub use crate::socket::{is_end, is_gone};
    pub use crate::timeouts::Deadlines;
    pub use crate::tls::Opening;
}
