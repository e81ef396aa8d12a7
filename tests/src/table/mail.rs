//! The part of a row after the upgrade: mail.

use serde::Deserialize;

use super::Turn;
use crate::octets::Octets;

/// The part of a row after the upgrade.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The transport, in a row without an upgrade.
    pub over: Option<Over>,
    /// Client: the application's jobs, in order.
    #[serde(default)]
    pub jobs: Vec<Job>,
    /// Server: the application's decisions, in order; see `vectors/README.md`.
    #[serde(default)]
    pub decide: Vec<String>,
    /// Server: the limit of recipients of a mail.
    pub max_recipients: Option<u16>,
    /// Server: the limit of a message, in bytes.
    pub max_size: Option<usize>,
    /// Server: the limit of commands from a client.
    pub max_commands: Option<u32>,
    /// Server: whether clients can log in.
    pub authentication: Option<Demanded>,
    /// Server: the proof that a login needs.
    pub proof: Option<Proof>,
    /// Server: the user who can log in by SCRAM.
    pub scram: Option<ScramUser>,
    /// Server: whether it offers `DSN`.
    #[serde(default)]
    pub dsn: bool,
    /// Server: whether it offers `SMTPUTF8`.
    #[serde(default)]
    pub smtp_utf8: bool,
    /// Server: whether it offers `REQUIRETLS`.
    #[serde(default)]
    pub require_tls: bool,
    /// The input of each turn, and the output that follows.
    #[serde(default)]
    pub turns: Vec<Turn>,
    /// The events, without lines that are only reported.
    #[serde(default)]
    pub events: Vec<String>,
    /// The end, unless it is an error.
    pub end: Option<String>,
    /// The final error.
    pub error: Option<String>,
    /// The reply sent before closing on an error.
    #[serde(default)]
    pub farewell: Octets,
}

/// A mail to send.
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
    /// The size that the application declares, in bytes.
    pub size: Option<usize>,
    /// The application declares that the message is not ASCII.
    #[serde(default)]
    pub eight_bit: bool,
    /// The application declares that the header is not ASCII.
    #[serde(default)]
    pub utf8: bool,
    /// The mail needs `REQUIRETLS`.
    #[serde(default)]
    pub require_tls: bool,
    /// The message goes in chunks, each made in an output buffer of this size.
    pub chunks: Option<usize>,
    /// The requested delivery status notifications.
    pub dsn: Option<Dsn>,
}

/// The requested notifications about a mail.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dsn {
    /// `FULL` or `HDRS`.
    pub ret: Option<String>,
    /// The envelope id, as sent.
    pub envid: Option<String>,
    /// For all recipients, of `SUCCESS`, `FAILURE` and `DELAY`; empty for `NEVER`.
    pub notify: Option<Vec<String>>,
    /// For each recipient.
    #[serde(default)]
    pub each: Vec<DsnRecipient>,
}

/// The requested notifications about a recipient.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DsnRecipient {
    /// As for all recipients.
    pub notify: Option<Vec<String>>,
    /// The original recipient, as sent: kind and address.
    pub orcpt: Option<(String, String)>,
}

/// Whether clients log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demanded {
    /// Optionally.
    Offered,
    /// Before anything else.
    Required,
}

/// The proof of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// A password.
    Password,
    /// The client's certificate.
    Certificate,
    /// Either.
    Either,
}

/// A user of SCRAM, and what the server chooses for the exchange.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScramUser {
    /// The password, whoever the user is.
    pub password: String,
    /// The salt.
    pub salt: Octets,
    /// 18 bytes.
    pub nonce: Octets,
    /// Channel binding: 32 bytes of exported keying material.
    pub exporter: Option<Octets>,
    /// Channel binding: the hash of the server's certificate.
    pub end_point: Option<Octets>,
}

/// A job of the sending side.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Job {
    /// Introduces the client.
    Hello,
    /// Logs in.
    Authenticate {
        /// The user.
        #[serde(default)]
        user: String,
        /// The password.
        #[serde(default)]
        password: String,
        /// An OAuth token instead of a password.
        token: Option<String>,
        /// The client's certificate is the proof; the user is the authorization identity.
        #[serde(default)]
        external: bool,
        /// Only this mechanism.
        mechanism: Option<String>,
        /// Client: 18 bytes, for SCRAM.
        nonce: Option<Octets>,
        /// Channel binding: 32 bytes of exported keying material.
        exporter: Option<Octets>,
        /// Channel binding: the hash of the server's certificate.
        end_point: Option<Octets>,
    },
    /// Sends a mail.
    Send(Sent),
    /// Drops a mail.
    Reset,
    /// Says goodbye.
    Quit,
}

/// The transport of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// TLS after STARTTLS.
    Tls,
    /// Implicit TLS.
    ImplicitTls,
    /// No TLS.
    Plaintext,
}
