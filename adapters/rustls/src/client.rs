use alloc::sync::Arc;
use core::fmt;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, CommonState};
use starttls::client::{Event, Grammar, Upgrade};
use starttls::{Plaintext, Policy, Tls, Verification};

use crate::Connection;
use crate::engine::Meaning;
use crate::engine::sealed::{self, Begun};
use crate::records::ClientSide;
use crate::verify::Judging;

/// A client's connection.
///
/// ```
/// use std::sync::Arc;
///
/// use rustls::pki_types::ServerName;
/// use rustls::{ClientConfig, RootCertStore};
/// use starttls::{Policy, smtp};
/// use starttls_rustls::{Client, ClientTls, Step};
///
/// let provider = Arc::new(rustls::crypto::ring::default_provider());
/// let config = ClientConfig::builder_with_provider(provider)
///     .with_safe_default_protocol_versions()?
///     .with_root_certificates(RootCertStore::empty()) // of your system's CAs
///     .with_no_client_auth();
/// let tls = ClientTls::new(Arc::new(config));
/// let client = smtp::Client::new(smtp::Domain::new("client.example.org")?, Policy::Required);
/// let mut connection = Client::new(client, &tls, ServerName::try_from("mail.example.org")?);
///
/// // The greeting arrives, and EHLO is ready to be sent.
/// let greeting = b"220 mail.example.org ESMTP\r\n";
/// connection.receive_buffer()[..greeting.len()].copy_from_slice(greeting);
/// connection.received(greeting.len());
/// while let Step::Event(_) = connection.step()? {}
/// assert_eq!(connection.to_send(), b"EHLO client.example.org\r\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Client<G> = Connection<starttls::Client<G>>;

/// A client's TLS: the caller's configuration of rustls.
///
/// ```
/// use std::sync::Arc;
/// use starttls_rustls::ClientTls;
///
/// fn tls(config: rustls::ClientConfig) -> ClientTls {
///     ClientTls::new(Arc::new(config))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    verifier: Option<Arc<dyn ServerCertVerifier>>,
}

#[cfg(feature = "defmt")]
impl defmt::Format for ClientTls {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "ClientTls(..)");
    }
}

impl ClientTls {
    /// A TLS whose handshake succeeds only if the verifier of `config` accepts the certificate.
    ///
    /// Every accepted peer counts as [`Verification::Verified`], so the verifier must not accept every
    /// certificate.
    #[must_use]
    pub const fn new(config: Arc<ClientConfig>) -> Self {
        Self { config, verifier: None }
    }

    /// A TLS whose handshake succeeds with any certificate, for [`Policy::Opportunistic`].
    ///
    /// `verifier`, instead of the configuration's, decides whether the peer is [`Verification::Verified`]. A
    /// policy that requires TLS still rejects an unverified peer. No session is resumed.
    #[must_use]
    pub fn lenient(config: Arc<ClientConfig>, verifier: Arc<dyn ServerCertVerifier>) -> Self {
        Self { config, verifier: Some(verifier) }
    }

    /// The configuration of one connection, and the judge of its certificate if the handshake accepts any.
    fn config(&self, alpn: Option<&[u8]>) -> (Arc<ClientConfig>, Option<Arc<Judging>>) {
        if self.verifier.is_none() && alpn.is_none() {
            return (Arc::clone(&self.config), None);
        }
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols.extend(alpn.map(<[u8]>::to_vec));
        let judging = self.verifier.as_ref().map(|verifier| {
            let judging = Arc::new(Judging::new(Arc::clone(verifier)));
            // An opportunistic session has an unverified peer. A strict connection that resumed it would skip
            // verification.
            config.resumption = Resumption::disabled();
            config.dangerous().set_certificate_verifier(Arc::clone(&judging) as _);
            judging
        });
        (Arc::new(config), judging)
    }
}

impl<G: Grammar> Client<G> {
    /// A connection that starts in plaintext, with the machine `client`.
    ///
    /// `name` is the name that the certificate has to contain: the one that the caller asked for, never one
    /// that the server sent.
    #[must_use]
    pub fn new(client: starttls::Client<G>, tls: &ClientTls, name: ServerName<'static>) -> Self {
        Self::opening(client, ClientSetup::new::<G>(tls, name))
    }

    /// A connection whose plaintext and tunnel are both driven by a machine of the caller, with
    /// [`step_with`](Connection::step_with).
    ///
    /// Start the handshake with [`start_tls`](Connection::start_tls) when the machine asks for it. For a
    /// [`mail::Opening`](starttls::mail::Opening), `step_opening` does both. The machine has the policy, and
    /// it has to judge the [`Tls::verification`] of [`Event::Established`](crate::Event::Established).
    #[must_use]
    pub fn plaintext(tls: &ClientTls, name: ServerName<'static>) -> Self {
        Self::plain(Pledge::Implicit(Policy::Opportunistic), ClientSetup::new::<G>(tls, name))
    }

    /// A connection on a port where TLS comes first (RFC 8314 §3).
    ///
    /// If the protocol [demands](starttls::Protocol::demands_alpn) ALPN, a server that does not choose its id
    /// is rejected.
    #[must_use]
    pub fn implicit(policy: Policy, tls: &ClientTls, name: ServerName<'static>) -> Self {
        Self::shaking(Pledge::Implicit(policy), ClientSetup::new::<G>(tls, name))
    }
}

/// What a client's handshake starts with.
pub struct ClientSetup {
    config: Arc<ClientConfig>,
    judging: Option<Arc<Judging>>,
    name: ServerName<'static>,
}

impl ClientSetup {
    fn new<G: Grammar>(tls: &ClientTls, name: ServerName<'static>) -> Self {
        let (config, judging) = tls.config(G::PROTOCOL.alpn);
        Self { config, judging, name }
    }
}

impl fmt::Debug for ClientSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSetup").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub enum Pledge {
    Upgrade(Upgrade),
    Implicit(Policy),
}

impl<G: Grammar> sealed::Engine for starttls::Client<G> {
    type Side = ClientSide;
    type Setup = ClientSetup;
    type Pledge = Pledge;

    fn meaning(event: &Event<'_>) -> Meaning {
        match event {
            Event::UpgradeReady => Meaning::Upgrade,
            Event::Plaintext(_) => Meaning::Plaintext,
            _ => Meaning::Nothing,
        }
    }

    fn into_upgrade(self, unread: &[u8]) -> Result<Pledge, starttls::Error> {
        self.into_upgrade(unread).map(Pledge::Upgrade)
    }

    fn into_plaintext(self, unread: &[u8]) -> Result<Plaintext, starttls::Error> {
        self.into_plaintext(unread)
    }

    fn begin(setup: &ClientSetup) -> Result<Begun<ClientSide>, rustls::Error> {
        let config = Arc::clone(&setup.config);
        let fragment = config.max_fragment_size;
        let connection = UnbufferedClientConnection::new(config, setup.name.clone())?;
        Ok((connection, fragment))
    }

    fn established(
        pledge: Pledge,
        setup: &ClientSetup,
        tls: &CommonState,
    ) -> Result<Tls, starttls::Error> {
        let demanded = G::PROTOCOL.alpn.filter(|_| G::PROTOCOL.demands_alpn());
        if matches!(pledge, Pledge::Implicit(_))
            && demanded.is_some_and(|id| tls.alpn_protocol() != Some(id))
        {
            return Err(starttls::Error::Foreign);
        }
        let verification =
            setup.judging.as_deref().map_or(Verification::Verified, Judging::verdict);
        match pledge {
            Pledge::Upgrade(upgrade) => upgrade.established(verification),
            Pledge::Implicit(policy) => Tls::implicit(policy, verification),
        }
    }
}
