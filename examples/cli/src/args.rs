//! The command line.

mod account;
mod conformance;
mod lookup;
mod queue;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Group, Parser, Subcommand, ValueEnum, value_parser};
use starttls::mx::Domain;
use starttls_std::Proxy;

use crate::examples::help;
use crate::listen::Place;
use crate::outcome::exit_codes;
use crate::url::{Scheme, Url, server_name};
use crate::values::{
    MAIL_FORMS, address, count, domain, host_and_port, linger, mail_url, seconds, sender,
};
pub(crate) use account::Account;
pub(crate) use conformance::{Check, TestClient};
pub(crate) use lookup::{Dane, Lookup, Resolver};
pub(crate) use queue::{Queue, QueueAction, QueueList, QueueRun};

/// Upgrade connections to TLS (STARTTLS), check servers, send mail, and put TLS in front of servers.
#[derive(Debug, Parser)]
#[command(name = "starttls", version, after_help = exit_codes(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]))]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send mail over TLS and show the exchange. Without --server: a demonstration on this machine.
    #[command(after_help = help("send", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]))]
    Send(Send),
    /// Check a server: upgrade to TLS, show the exchange and the certificate, and disconnect.
    #[command(after_help = help("probe", &[0, 1, 2, 3, 4, 5, 8, 9]))]
    Probe(Probe),
    /// Use a server by hand or from a client without TLS: upgrade, then forward data in both directions.
    #[command(after_help = help("connect", &[0, 1, 2, 3, 4, 5, 8, 9]))]
    Connect(Connect),
    /// Receive mail, or put TLS in front of a server without TLS (most protocols).
    #[command(after_help = help("serve", &[]))]
    Serve(Serve),
    /// Show the TLS requirements of a mail domain: its hosts, DANE and MTA-STS. Sends nothing.
    #[command(after_help = help("policy", &[0, 1, 7, 10]))]
    Policy(Policy),
    /// Send the mails that `starttls send --queue` has stored, or show them.
    #[command(after_help = help("queue", &[0, 1, 6, 13]))]
    Queue(Queue),
    /// Test how a server of yours begins TLS: injections, stripping, state, limits. Sends no mail and logs in nowhere.
    #[command(after_help = help("check", &[0, 1, 2]))]
    Check(Box<Check>),
    /// Test how a client begins TLS: it is run against servers that attack it, on this machine.
    #[command(after_help = help("test-client", &[0, 1, 2]))]
    TestClient(Box<TestClient>),
}

impl Command {
    /// The command's name on the command line.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Send(_) => "send",
            Self::Probe(_) => "probe",
            Self::Connect(_) => "connect",
            Self::Serve(_) => "serve",
            Self::Policy(_) => "policy",
            Self::Queue(_) => "queue",
            Self::Check(_) => "check",
            Self::TestClient(_) => "test-client",
        }
    }
}

#[derive(Debug, Group)]
pub(crate) struct Send {
    #[arg(long, value_name = "URL", value_parser = mail_url, help = MAIL_FORMS, group = "way")]
    pub(crate) server: Option<Url>,
    /// Deliver to the hosts of the recipients' domains, with the TLS that each domain requires
    #[arg(long, group = "way", requires = "to", conflicts_with = "tls")]
    pub(crate) mx: bool,
    /// Store the mail in this directory and end; `starttls queue run` sends it. The directory is made if needed
    #[arg(
        long,
        value_name = "DIR",
        group = "way",
        requires = "to",
        conflicts_with_all = ["tls", "timeout", "ladder_svg", "state", "again", "json"]
    )]
    pub(crate) queue: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) lookup: Lookup,
    #[command(flatten)]
    pub(crate) account: Account,
    /// The sender, who is informed of failures; <> for a report, which causes no reports. Default:
    /// sender@localhost, or for many mails the sender in each header
    #[arg(long, value_name = "ADDRESS", value_parser = sender)]
    pub(crate) from: Option<String>,
    /// A recipient, repeatable; default for many mails: the recipients in each header
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) to: Vec<String>,
    /// Compose a message with this subject; FILE is its plain text
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// Attach this file, repeatable; needs --subject
    #[arg(long, value_name = "FILE", requires = "subject")]
    pub(crate) attach: Vec<PathBuf>,
    /// Send an empty message, which is usually a mistake
    #[arg(long)]
    pub(crate) allow_empty: bool,
    /// Draw the exchange as an SVG picture into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) ladder_svg: Option<PathBuf>,
    /// Record the fate of each of many mails in this file, and do not send accepted ones again; default:
    /// .starttls-state in the directory, or MBOX.starttls-state beside an mbox
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Send accepted mails again, too, and start a new record
    #[arg(long)]
    pub(crate) again: bool,
    /// Print one JSON object per mail instead of the exchange
    #[arg(long)]
    pub(crate) json: bool,
    /// The message (- or nothing: standard input), or many mails for one connection: an mbox file, a
    /// Maildir, or a directory of .eml files
    pub(crate) file: Option<PathBuf>,
}

/// The way to the server, the trusted certificates, and the client's own certificate.
#[derive(Clone, Debug, Group)]
pub(crate) struct Peer {
    /// Trust the certificates in this PEM file (CAs, or the server's own) instead of the system's CAs
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Trust only a server with exactly a certificate from this PEM file, whatever its names and dates
    #[arg(long, value_name = "FILE", conflicts_with = "ca")]
    pub(crate) pin: Option<PathBuf>,
    /// The client certificate with its chain, PEM, for servers that request one; needs --client-key
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub(crate) client_cert: Option<PathBuf>,
    /// Private key of --client-cert, PEM
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub(crate) client_key: Option<PathBuf>,
    /// Connect through this proxy, which looks up the host: socks5://HOST:PORT, or http:// for one that allows CONNECT
    /// to the port; USER:PASSWORD@ before the host logs in to it
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<Proxy>,
}

impl Peer {
    /// The first given option.
    pub(crate) const fn given(&self) -> Option<&'static str> {
        match self {
            Self { ca: Some(_), .. } => Some("--ca"),
            Self { pin: Some(_), .. } => Some("--pin"),
            Self { client_cert: Some(_), .. } => Some("--client-cert"),
            Self { proxy: Some(_), .. } => Some("--proxy"),
            _ => None,
        }
    }
}

#[derive(Debug, Group)]
pub(crate) struct Policy {
    /// The domain
    #[arg(value_parser = domain)]
    pub(crate) domain: Domain,
    #[command(flatten)]
    pub(crate) lookup: Lookup,
    /// Trust the CAs in this PEM file instead of the system's, for MTA-STS policy hosts
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tls {
    /// Only over verified TLS
    Required,
    /// Without verification or TLS if necessary; a password goes only to a verified server
    Opportunistic,
}

#[derive(Debug, Group)]
pub(crate) struct Probe {
    #[arg(help = Scheme::forms())]
    pub(crate) url: Url,
    /// The name that the certificate must have, and that the server is told, if it is not the host: the domain, if the
    /// server is identified by it
    #[arg(long, value_name = "NAME", value_parser = server_name, visible_alias = "domain")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) dns: Resolver,
    #[command(flatten)]
    pub(crate) peer: Peer,
    /// Do not name the protocol in the handshake (ALPN), for servers that use another name for it
    #[arg(long)]
    pub(crate) no_alpn: bool,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Draw the exchange as an SVG picture into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) ladder_svg: Option<PathBuf>,
    /// Print one JSON object instead of the exchange
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Group)]
pub(crate) struct Connect {
    #[arg(help = Scheme::forms())]
    pub(crate) url: Url,
    /// The name that the certificate must have, and that the server is told, if it is not the host: the domain, if the
    /// server is identified by it
    #[arg(long, value_name = "NAME", value_parser = server_name, visible_alias = "domain")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) dns: Resolver,
    #[command(flatten)]
    pub(crate) peer: Peer,
    /// Do not name the protocol in the handshake (ALPN), for servers that use another name for it
    #[arg(long)]
    pub(crate) no_alpn: bool,
    /// Accept plaintext connections here and forward each over its own TLS connection: HOST:PORT (port 0 for any
    /// free one), or the path of a Unix socket
    #[arg(long, value_name = "PLACE")]
    pub(crate) listen: Option<Place>,
    #[command(flatten)]
    pub(crate) limits: Limits,
    /// Draw the exchange up to TLS as an SVG picture into this file
    #[arg(long, value_name = "FILE", conflicts_with = "listen")]
    pub(crate) ladder_svg: Option<PathBuf>,
    /// End each line of standard input with CRLF, as most protocols require and terminals do not
    #[arg(long, conflicts_with = "listen")]
    pub(crate) crlf: bool,
    /// When the input ends, close after the server has been silent for this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = linger)]
    pub(crate) linger: Duration,
    /// Give up after this many seconds without TLS
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

const LIMITS: &str = "Limits";

/// The limits of clients: number and time.
#[derive(Clone, Copy, Debug, Group)]
pub(crate) struct Limits {
    /// The limit of simultaneous connections, lower if the system has fewer descriptors; further ones wait
    #[arg(long, value_name = "COUNT", default_value = "16384", value_parser = count, help_heading = LIMITS)]
    pub(crate) max_connections: usize,
    /// The limit of connections from one address (IPv6: /64 network); further ones are refused
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = count, help_heading = LIMITS)]
    pub(crate) max_per_peer: usize,
    /// Abort a forwarded connection after one side has been silent for this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds, help_heading = LIMITS)]
    pub(crate) idle: Duration,
    /// After the first signal, let connections continue for this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = linger, help_heading = LIMITS)]
    pub(crate) drain: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientAuth {
    /// Without a certificate the handshake fails
    Required,
    /// Clients without a certificate are accepted, too
    Asked,
}

#[derive(Debug, Group)]
pub(crate) struct Serve {
    /// The clients' protocol; with a final s for implicit TLS
    #[arg(value_enum)]
    pub(crate) protocol: Scheme,
    /// Where to listen: HOST:PORT (port 0 for any free one), or the path of a Unix socket
    #[arg(long, value_name = "PLACE", default_value = "127.0.0.1:0")]
    pub(crate) listen: Place,
    /// Let other processes listen on the same address, too (SO_REUSEPORT): the system shares the connections out. Each
    /// of them has to ask for it
    #[arg(long)]
    pub(crate) reuse_port: bool,
    /// Certificate chain, PEM; default: a new CA and certificate
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Private key of --cert, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Request client certificates, and accept those from the CAs in this PEM file. Mail clients can log in with them
    /// (EXTERNAL), as any name in the certificate
    #[arg(long, value_name = "FILE")]
    pub(crate) client_ca: Option<PathBuf>,
    /// Whether a client certificate is required; needs --client-ca
    #[arg(long, value_enum, default_value_t = ClientAuth::Required, requires = "client_ca")]
    pub(crate) client_auth: ClientAuth,
    /// Refuse everything except the upgrade before TLS (for a submission server; a public mail exchanger must not
    /// do this)
    #[arg(long)]
    pub(crate) require_tls: bool,
    /// Accept mail only from this user after a login over TLS (SCRAM-SHA-256-PLUS, SCRAM-SHA-256, PLAIN or LOGIN), and from
    /// clients known by --client-ca; needs --password-file
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub(crate) user: Option<String>,
    /// File with the user's password in its first line
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["deliver", "user"], value_parser = host_and_port, help = backend_help())]
    pub(crate) backend: Option<String>,
    /// Store each mail as a file in this directory, or in the new of a Maildir; default: print mails to standard
    /// output
    #[arg(long, value_name = "DIR")]
    pub(crate) deliver: Option<PathBuf>,
    /// Store each mail as it arrived, without Return-Path and Received in front of it
    #[arg(long, requires = "deliver")]
    pub(crate) no_trace: bool,
    #[command(flatten)]
    pub(crate) limits: Limits,
    /// The limit of a mail in bytes
    #[arg(long, value_name = "BYTES", default_value = "67108864", value_parser = count, help_heading = LIMITS)]
    pub(crate) max_size: usize,
    /// The limit of recipients of a mail, at least 100 (RFC 5321); the client sends further ones a separate mail
    #[arg(long, value_name = "COUNT", default_value = "1000", value_parser = value_parser!(u16).range(100..), help_heading = LIMITS)]
    pub(crate) max_recipients: u16,
    /// End a mail connection after this many mistakes of the client, wrong passwords included; default: 10 before TLS
    /// and 20 inside it
    #[arg(long, value_name = "COUNT", help_heading = LIMITS)]
    pub(crate) max_errors: Option<u8>,
    /// End a mail connection after this many commands inside TLS; a mail needs at least three
    #[arg(long, value_name = "COUNT", default_value = "100000", value_parser = value_parser!(u32).range(10..), help_heading = LIMITS)]
    pub(crate) max_commands: u32,
    /// Wait this many seconds at most for a whole command, a block of a mail, a TLS handshake, or until a client reads;
    /// default: the limits of the standard, up to 5 minutes, and 60 seconds for a handshake
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = LIMITS)]
    pub(crate) max_wait: Option<Duration>,
    /// End a connection after this many seconds, even if it is active
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds, help_heading = LIMITS)]
    pub(crate) max_time: Duration,
    /// Draw the first connection as an SVG picture into this file, and the others into files beside it
    /// (NAME-2.svg); with --backend only up to TLS
    #[arg(long, value_name = "FILE")]
    pub(crate) ladder_svg: Option<PathBuf>,
}

fn backend_help() -> String {
    format!(
        "Forward the clients' decrypted data to this plaintext server, and its replies back. Without it only SMTP and LMTP \
         are served directly; in protocols without a new dialogue inside TLS, a client gets only as far as TLS. The server \
         must not offer TLS itself: serve checks this on one connection at the start, and warns. For {} it must serve the \
         domain that clients request, and localhost for that check, and let clients log in without TLS; --require-tls is \
         needed",
        Scheme::of_domains()
    )
}
