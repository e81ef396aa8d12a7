//! The options of `check` and `test-client`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Group, ValueHint};

use crate::conformance::Reports;
use crate::url::{Scheme, Url, server_name};
use crate::values::{address, seconds};

#[derive(Clone, Debug, Group)]
pub(crate) struct Check {
    #[arg(help = Scheme::forms())]
    pub(crate) url: Url,
    /// The name that the certificate must have, and that the server is told, if it is not the host: the domain, if the
    /// server is identified by it
    #[arg(long, value_name = "NAME", value_parser = server_name, visible_alias = "domain")]
    pub(crate) name: Option<String>,
    /// Trust the certificates in this PEM file (CAs, or the server's own) instead of the system's CAs
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ca: Option<PathBuf>,
    /// The server is yours, or its owner has allowed this: without it only this machine and private networks are tested
    #[arg(long)]
    pub(crate) i_am_allowed: bool,
    /// Send mails to this mailbox of yours, some ten, which test what ends a message; without it no mail is sent
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) mail_to: Option<String>,
    /// The server's port for implicit TLS, to compare its certificate; default: the protocol's, if URL has its default port
    #[arg(long, value_name = "PORT")]
    pub(crate) implicit_port: Option<u16>,
    /// Judge logins in plaintext on this machine, too, where many servers take every connection for secure
    #[arg(long)]
    pub(crate) local_is_remote: bool,
    /// Wait this many seconds for each answer
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) patience: Duration,
    /// A server that waits longer than this many seconds for a ClientHello violates its case; default: the case decides nothing
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) deadline: Option<Duration>,
    #[command(flatten)]
    pub(crate) reports: Reports,
}

#[derive(Clone, Debug, Group)]
pub(crate) struct TestClient {
    /// The protocol that the client speaks
    #[arg(value_enum, value_name = "PROTOCOL")]
    pub(crate) scheme: Scheme,
    /// The name by which the client is told to reach this machine; it must lead to 127.0.0.1
    #[arg(long, value_name = "NAME", default_value = "localhost", value_parser = server_name)]
    pub(crate) host: String,
    /// End a run of the command after this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) patience: Duration,
    /// A client that waits longer than this many seconds for a silent server violates its case; default: the case decides
    /// nothing
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) deadline: Option<Duration>,
    #[command(flatten)]
    pub(crate) reports: Reports,
    /// The client and its arguments, in which {host}, {port}, {ca}, {user} and {password} stand for the values of a run;
    /// the environment has them as STARTTLS_HOST and so on
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "list")]
    pub(crate) command: Vec<OsString>,
}
