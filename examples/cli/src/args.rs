//! The command line.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use starttls::mail::session::Mechanism;
use starttls::mx::Domain;

use crate::url::{Scheme, Url};

const EXIT_CODES: &str = "\
Exit codes:
  0  upgraded and verified (sent)
  1  usage or I/O
  2  TLS is not offered
  3  refused
  4  protocol violation; the message names the rule
  5  TLS failed; the message says why
  6  a mail was rejected
  7  no host of the domain may get the mail";

const MAIL_FORMS: &str = "smtp://HOST[:PORT], smtps:// for TLS from the start, or lmtp://";

/// Move plaintext connections to TLS, and send mail over them.
#[derive(Debug, Parser)]
#[command(name = "starttls", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send a mail and show the exchange; without --server, to a server started for it on this
    /// machine.
    #[command(after_help = EXIT_CODES)]
    Send(Send),
    /// Upgrade to TLS, show what was said and by whom, and leave.
    #[command(after_help = EXIT_CODES)]
    Probe(Probe),
    /// Upgrade to TLS, then connect standard input and output, or local connections, to the server.
    #[command(after_help = EXIT_CODES)]
    Connect(Connect),
    /// Take mail, or be the TLS in front of a server of any protocol that has none.
    Serve(Serve),
    /// Find out what it takes to send mail to a domain: its hosts, DANE and MTA-STS.
    #[command(after_help = EXIT_CODES)]
    Policy(Policy),
}

#[derive(Debug, Group)]
pub(crate) struct Send {
    #[arg(long, value_name = "URL", value_parser = mail_url, help = MAIL_FORMS, group = "way")]
    pub(crate) server: Option<Url>,
    /// Send it to the hosts of the recipients' domains, protected as each domain demands
    #[arg(long, group = "way", requires = "to")]
    pub(crate) mx: bool,
    #[command(flatten)]
    pub(crate) lookup: Lookup,
    /// Whether the mail may go without TLS, or to a server that nobody vouches for
    #[arg(long, value_enum, default_value_t = Tls::Required, conflicts_with = "mx")]
    pub(crate) tls: Tls,
    /// Trust the certificates in this PEM file instead of the system's
    #[arg(long, value_name = "FILE", requires = "way")]
    pub(crate) ca: Option<PathBuf>,
    /// How to introduce this machine to the server
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    pub(crate) helo: String,
    /// User name; needs --password-file
    #[arg(long, requires_all = ["password_file", "server"])]
    pub(crate) user: Option<String>,
    /// File with the password in its first line; for XOAUTH2 with the token
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
    /// Prove who you are by this mechanism only, instead of the strongest that the server offers:
    /// SCRAM-SHA-256-PLUS, SCRAM-SHA-256, CRAM-MD5, PLAIN, LOGIN or XOAUTH2
    #[arg(long, value_name = "MECHANISM", requires = "user", value_parser = mechanism)]
    pub(crate) auth: Option<Mechanism>,
    /// Who sends, and is told of failures; otherwise sender@localhost, or what each of many mails says
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: Option<String>,
    /// Who receives, may be given several times; otherwise what each of many mails says
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to: Vec<String>,
    /// Write a header with this subject, and take FILE as plain text
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// Attach this file, may be given several times; needs --subject
    #[arg(long, value_name = "FILE", requires = "subject")]
    pub(crate) attach: Vec<PathBuf>,
    /// Give up after so many seconds, each of many mails on its own
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Draw the exchange into this file, as an SVG picture
    #[arg(long, value_name = "FILE")]
    pub(crate) ladder_svg: Option<PathBuf>,
    /// Print one JSON object, for each of many mails, instead of the exchange
    #[arg(long)]
    pub(crate) json: bool,
    /// The message, - or nothing for standard input; or many over one connection: an mbox file, a
    /// Maildir, or a directory of .eml files
    pub(crate) file: Option<PathBuf>,
}

/// How to find out what a domain demands.
#[derive(Debug, Group)]
pub(crate) struct Lookup {
    /// Ask this DNS server instead of the system's
    #[arg(long, value_name = "HOST[:PORT]", value_parser = resolver, help_heading = "Lookups")]
    pub(crate) resolver: Option<SocketAddr>,
    /// Trust the DNSKEY records in this file instead of the keys of the DNS root; needs --resolver
    #[arg(long, value_name = "FILE", requires = "resolver", help_heading = "Lookups")]
    pub(crate) trust_anchor: Option<PathBuf>,
    /// Keep MTA-STS policies in this directory
    #[arg(long, value_name = "DIR", help_heading = "Lookups")]
    pub(crate) cache: Option<PathBuf>,
    /// Whether to go by TLSA records; without it opportunistic
    #[arg(long, value_enum, help_heading = "Lookups")]
    pub(crate) dane: Option<Dane>,
    /// Do not go by MTA-STS
    #[arg(long, help_heading = "Lookups")]
    pub(crate) no_sts: bool,
    /// Only to hosts that something vouches for, over verified TLS, all the way (REQUIRETLS)
    #[arg(long, help_heading = "Lookups")]
    pub(crate) require_tls: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dane {
    /// Do not look them up
    Off,
    /// Where a host has some
    Opportunistic,
    /// Where a host has some, and the MX records that name it are signed
    SecureHosts,
    /// Send nothing where there are none
    Mandatory,
}

#[derive(Debug, Group)]
pub(crate) struct Policy {
    /// The domain
    #[arg(value_parser = domain)]
    pub(crate) domain: Domain,
    #[command(flatten)]
    pub(crate) lookup: Lookup,
    /// Trust the certificates in this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tls {
    /// Verified TLS or nothing
    Required,
    /// Whatever can be had; a password goes only to a server that is verified
    Opportunistic,
}

#[derive(Debug, Group)]
pub(crate) struct Probe {
    #[arg(help = Scheme::forms())]
    pub(crate) url: Url,
    /// Trust the certificates in this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Draw the exchange into this file, as an SVG picture
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
    /// Trust the certificates in this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Take connections in plaintext here, each for one of its own to the server; port 0 for any
    /// free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Draw what was said up to TLS into this file, as an SVG picture
    #[arg(long, value_name = "FILE", conflicts_with = "listen")]
    pub(crate) ladder_svg: Option<PathBuf>,
    /// When the input ends, close after the server was silent for so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = linger)]
    pub(crate) linger: Duration,
    /// Give up after so many seconds without TLS
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Group)]
pub(crate) struct Serve {
    /// What clients speak; with an s behind it for TLS from the start
    #[arg(value_enum)]
    pub(crate) protocol: Scheme,
    /// Address and port; port 0 for any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Certificate chain, PEM; without it, a CA and a certificate are made
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Private key of --cert, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Refuse everything but the upgrade before TLS (a submission server; a public mail exchanger
    /// must not)
    #[arg(long)]
    pub(crate) require_tls: bool,
    /// Take mail only from this user, who logs in over TLS; needs --password-file
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub(crate) user: Option<String>,
    /// File with the user's password in its first line
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
    /// Forward what clients say, decrypted, to this server in plaintext, and its answers back;
    /// without it only mail ends here, and where the dialogue goes on inside TLS a client gets as far as TLS
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["deliver", "user"])]
    pub(crate) backend: Option<String>,
    /// Put each mail into a file in this directory; without it, mails go to standard output
    #[arg(long, value_name = "DIR")]
    pub(crate) deliver: Option<PathBuf>,
    /// Draw the first connection into this file, as an SVG picture, and the others into files beside
    /// it (NAME-2.svg); with --backend, what was said up to TLS
    #[arg(long, value_name = "FILE")]
    pub(crate) ladder_svg: Option<PathBuf>,
}

/// A domain's name, in whatever script.
pub(crate) fn domain(text: &str) -> Result<Domain, String> {
    let bad = |why: &dyn std::fmt::Display| format!("{text:?} is no domain: {why}");
    let name = match url::Host::parse(text.strip_suffix('.').unwrap_or(text)) {
        Ok(url::Host::Domain(name)) => name,
        Ok(_) => return Err(bad(&"it is an address")),
        Err(error) => return Err(bad(&error)),
    };
    Domain::new(&name).map_err(|error| bad(&error))
}

fn resolver(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok((address, 53).into());
    }
    let server = if text.contains(':') { text.to_owned() } else { format!("{text}:53") };
    let mut found = server.to_socket_addrs().map_err(|error| error.to_string())?;
    found.next().ok_or_else(|| "it has no address".to_owned())
}

fn mail_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse()?;
    if url.scheme.takes_mail() {
        return Ok(url);
    }
    Err(format!("{} takes no mail; use {MAIL_FORMS}", url.scheme.name()))
}

fn mechanism(text: &str) -> Result<Mechanism, String> {
    let mut all = Mechanism::ALL.iter().copied();
    all.find(|mechanism| mechanism.name().eq_ignore_ascii_case(text)).ok_or_else(|| {
        let names: Vec<_> = Mechanism::ALL.iter().map(|mechanism| mechanism.name()).collect();
        format!("one of {}", names.join(", "))
    })
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => Err("a whole number of seconds, at least 1".to_owned()),
    }
}

fn linger(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| "a whole number of seconds".to_owned())
}
