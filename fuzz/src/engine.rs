//! What holds for both engines, whatever the grammar: the bodies of the targets.

mod client;
mod ldap;
mod packets;
mod protocols;
mod remote_desktop;
mod server;
mod xmpp;

pub use client::{ClientSide, client};
pub use ldap::Ldap;
pub use packets::{Mysql, Nbd, Postgres};
pub use protocols::{Ftp, Imap, Irc, Lmtp, Nntp, Nut, Pop3, Sieve, Smtp};
pub use remote_desktop::{Rdp, Vnc};
pub use server::{ServerSide, server};
pub use xmpp::Xmpp;
