//! The options of `check` and `test-client`.

use std::ffi::OsString;
use std::net::SocketAddr;
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
    /// A server that waits longer than this many seconds for a ClientHello violates its cases; default: they decide nothing
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) deadline: Option<Duration>,
    /// The same for the rest of a command whose bytes come slowly
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) command_deadline: Option<Duration>,
    /// Log in with a made-up name, which fails, where only that shows whether a name from before TLS is kept
    #[arg(long)]
    pub(crate) failing_logins: bool,
    #[command(flatten)]
    pub(crate) reports: Reports,
}

#[derive(Clone, Debug, Group)]
pub(crate) struct TestClient {
    /// The protocol that the client speaks
    #[arg(value_enum, value_name = "PROTOCOL")]
    pub(crate) scheme: Scheme,
    /// The name by which the client is told to reach this machine; it must lead to 127.0.0.1, or to the address of --listen
    #[arg(long, value_name = "NAME", default_value = "localhost", value_parser = server_name)]
    pub(crate) host: String,
    /// End a run of the command after this many seconds; a device has to connect within them
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) patience: Duration,
    /// The client does not end by itself: end a run when nothing was sent for this many seconds [with --listen: 3]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) wait: Option<Duration>,
    /// Test a device that connects to this address of this machine by itself, again and again, instead of a command
    #[arg(long, value_name = "IP:PORT", conflicts_with = "command", requires = "authority")]
    pub(crate) listen: Option<SocketAddr>,
    /// The CA that the client trusts, PEM, with its key in FILE.key; both are made if neither exists
    /// [default: a new CA for each run]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) authority: Option<PathBuf>,
    /// The login of a device. It stands in the reports: it must be good for nothing else
    #[arg(long, value_name = "NAME", default_value = "starttls-test", requires = "listen")]
    pub(crate) user: String,
    /// The password of that login, which must not be seen in plaintext
    #[arg(long, value_name = "TEXT", default_value = "canary-b37e5d19", requires = "listen")]
    pub(crate) password: String,
    /// A client that waits longer than this many seconds for a silent server violates its case; default: the case decides
    /// nothing
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) deadline: Option<Duration>,
    #[command(flatten)]
    pub(crate) reports: Reports,
    /// The client and its arguments, in which {host}, {port}, {ca}, {crl}, {user} and {password} stand for the values of a
    /// run; the environment has them as STARTTLS_HOST and so on
    #[arg(last = true, value_name = "COMMAND", required_unless_present_any = ["list", "listen"])]
    pub(crate) command: Vec<OsString>,
}
