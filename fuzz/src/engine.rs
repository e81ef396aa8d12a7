//! The bodies of the targets: properties of both engines with any grammar.

mod client;
mod ldap;
mod lines;
mod packets;
mod remote_desktop;
mod server;
mod xmpp;

pub use client::{ClientSide, client};
pub use server::{ServerSide, server};
use starttls::{Introduction, Protocol};

use crate::Case;

/// The names of the peers, partly as in the tables, so that the tables' rows work as seeds.
const NAMES: Introduction<'static> = {
    const RANDOM: [u8; 20] = *b"\x12\x34\x56\x78abcdefghijklmnop";
    Introduction::new("im.example.org", RANDOM)
};

/// A protocol in one role.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Names and numbers.
    pub protocol: Protocol,
    /// `client` or `server`.
    pub role: &'static str,
    /// Its dictionary, without `.dict`.
    pub dictionary: &'static str,
    /// Plays a case.
    pub play: fn(&Case<'_>),
}

impl Target {
    /// Its name: `smtp_client`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}_{}", self.protocol.name.replace('-', "_"), self.role)
    }
}

macro_rules! targets {
    ([] $($module:ident::$Type:ident,)*) => {
        /// Every protocol in both roles.
        pub const TARGETS: &[Target] = &[$(
            target::<starttls::$module::$Type>("client", client::<starttls::$module::$Type>),
            target::<starttls::$module::$Type>("server", server::<starttls::$module::$Type>),
        )*];
    };
}
starttls::for_each_protocol!(targets []);

const fn target<P: ClientSide>(role: &'static str, play: fn(&Case<'_>)) -> Target {
    Target { protocol: P::PROTOCOL, role, dictionary: P::DICTIONARY, play }
}
