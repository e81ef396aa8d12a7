//! The options for a mail server.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as Group;
use starttls::mail::session::Mechanism;

use super::{Peer, Tls};
use crate::hostname;
use crate::url::server_name;
use crate::values::{helo, mechanism, seconds};

/// How to use a mail server: what it must show, and the login.
#[derive(Debug, Group)]
pub(crate) struct Account {
    /// The name that the certificate must have, if it is not the host of --server
    #[arg(long, value_name = "NAME", value_parser = server_name, requires = "server")]
    pub(crate) name: Option<String>,
    /// Whether the mail may be sent without TLS, or to an unverified server
    #[arg(long, value_enum, default_value_t = Tls::Required)]
    pub(crate) tls: Tls,
    #[command(flatten)]
    pub(crate) peer: Peer,
    /// This machine's name in EHLO; default: its full name, or its address if it has no name
    #[arg(long, value_name = "NAME", value_parser = helo)]
    pub(crate) helo: Option<String>,
    /// User name; needs --password-file. With --auth EXTERNAL: the user to act as, if the certificate names another
    #[arg(long, requires = "server")]
    pub(crate) user: Option<String>,
    /// File with the password in its first line, or the token for XOAUTH2
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
    /// Log in only by this mechanism, instead of the strongest that the server offers: SCRAM-SHA-256-PLUS,
    /// SCRAM-SHA-256, CRAM-MD5, PLAIN, LOGIN or XOAUTH2; or EXTERNAL, by --client-cert
    #[arg(long, value_name = "MECHANISM", requires = "server", value_parser = mechanism)]
    pub(crate) auth: Option<Mechanism>,
    /// Give up after this many seconds, separately for each of many mails
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

impl Account {
    /// This machine's name in EHLO; `None` if it has none.
    pub(crate) fn own_name(&self) -> Option<&str> {
        self.helo.as_deref().or_else(|| hostname::qualified())
    }
}
