//! What holds for both engines, whatever the grammar: the bodies of the targets.

mod client;
mod desk;
mod ldap;
mod packets;
mod protocols;
mod server;
mod xmpp;

pub use client::{ClientSide, client};
pub use desk::{Rdp, Vnc};
pub use ldap::Ldap;
pub use packets::{Mysql, Nbd, Postgres};
pub use protocols::{Ftp, Imap, Irc, Lmtp, Nntp, Nut, Pop3, Sieve, Smtp};
pub use server::{ServerSide, server};
pub use xmpp::Xmpp;
