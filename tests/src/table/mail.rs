//! What is behind the upgrade: mail.

use serde::Deserialize;

use super::Turn;
use crate::octets::Octets;

/// The part of a row behind the upgrade.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// What it runs over, in a row without an upgrade.
    pub over: Option<Over>,
    /// Client: what the application wants, in order.
    #[serde(default)]
    pub jobs: Vec<Job>,
    /// Server: what the application judges, in order; see `vectors/README.md`.
    #[serde(default)]
    pub decide: Vec<String>,
    /// Server: how many recipients a mail may have.
    pub max_recipients: Option<u16>,
    /// Server: how many octets a message may have.
    pub max_size: Option<usize>,
    /// Server: how many commands a client may send.
    pub max_commands: Option<u32>,
    /// Server: whether clients can say who they are.
    pub authentication: Option<Demanded>,
    /// Server: whether reports on delivery are offered.
    #[serde(default)]
    pub dsn: bool,
    /// Server: whether addresses in UTF-8 are.
    #[serde(default)]
    pub smtp_utf8: bool,
    /// Server: whether TLS all the way is.
    #[serde(default)]
    pub require_tls: bool,
    /// What is received and what is sent thereupon.
    #[serde(default)]
    pub turns: Vec<Turn>,
    /// What happens, but for lines that are only reported.
    #[serde(default)]
    pub events: Vec<String>,
    /// How it ends, if not in an error.
    pub end: Option<String>,
    /// The error that it ends in.
    pub error: Option<String>,
    /// What is said before closing on an error.
    #[serde(default)]
    pub farewell: Octets,
}

/// A mail to be sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// The sender; empty for none.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// The message.
    pub message: Octets,
    /// Lone CR and LF become CRLF.
    #[serde(default)]
    pub normalize: bool,
    /// How many octets the application says that it has.
    pub size: Option<usize>,
    /// The application says that it is not ASCII.
    #[serde(default)]
    pub eight_bit: bool,
    /// The application says that its header is not ASCII.
    #[serde(default)]
    pub utf8: bool,
    /// TLS is required all the way.
    #[serde(default)]
    pub require_tls: bool,
    /// The message goes in chunks, made in an output of so many octets.
    pub chunks: Option<usize>,
    /// What is asked of reports.
    pub dsn: Option<Dsn>,
}

/// What is asked of the reports on a mail.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dsn {
    /// `FULL` or `HDRS`.
    pub ret: Option<String>,
    /// The envelope id, as it is sent.
    pub envid: Option<String>,
    /// For all recipients, of `SUCCESS`, `FAILURE` and `DELAY`; empty for `NEVER`.
    pub notify: Option<Vec<String>>,
    /// For each recipient.
    #[serde(default)]
    pub each: Vec<DsnRecipient>,
}

/// What is asked of the reports on a recipient.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DsnRecipient {
    /// As for all.
    pub notify: Option<Vec<String>>,
    /// The original recipient, as it is sent: kind and address.
    pub orcpt: Option<(String, String)>,
}

/// Whether clients say who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demanded {
    /// If they like.
    Offered,
    /// Before anything else.
    Required,
}

/// A job of the sending side.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Job {
    /// Introduces the client.
    Hello,
    /// Proves who the client is.
    Authenticate {
        /// Who.
        user: String,
        /// Proof.
        #[serde(default)]
        password: String,
        /// Proof of another kind.
        token: Option<String>,
        /// This mechanism and no other.
        mechanism: Option<String>,
        /// Client: 18 octets, for SCRAM.
        nonce: Option<Octets>,
        /// What ties it to the TLS connection, 32 octets of keying material.
        exporter: Option<Octets>,
        /// What ties it to the TLS connection, the hash of the server's certificate.
        end_point: Option<Octets>,
    },
    /// Sends a mail.
    Send(Sent),
    /// Drops a mail.
    Reset,
    /// Says goodbye.
    Quit,
}

/// What mail runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// TLS that was asked for.
    Tls,
    /// TLS that came first.
    ImplicitTls,
    /// No TLS.
    Plaintext,
}
