#![cfg_attr(feature = "native-roots", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "native-roots"), doc = "STARTTLS on blocking sockets, with rustls.")]

mod compose;
mod driver;
mod mail;
mod receive;
mod server;
mod socket;
mod split;
mod upgrade;

pub use compose::Composed;
pub use driver::Driver;
pub use mail::{Connection, Mailer};
pub use receive::{Deliver, Inbox};
pub use server::{Accepted, ServerStream, accept, accept_implicit, accept_or_plaintext};
pub use socket::Socket;
pub use split::{ReadHalf, WriteHalf, split};
pub use starttls_common::{
    Answer, ClientTls, Doing, Error, InboxSettings, Login, MAX_MESSAGE, Mail, Mode, Observer,
    Receipt, Recipient, Settings, Silent, Timeouts, rustls,
};
pub use upgrade::{
    ClientStream, Upgraded, connect, handshake, upgrade, upgrade_or_plaintext, upgrade_with,
};
