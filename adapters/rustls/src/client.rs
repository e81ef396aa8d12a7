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
pub type Client<G> = Connection<starttls::Client<G>>;

/// Whom a client trusts, and by which cryptography: both are the caller's.
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
    /// Whom the verifier of `config` does not let pass fails the handshake, and whom it lets pass
    /// counts as [`Verification::Verified`]: it must not let pass anybody.
    #[must_use]
    pub const fn new(config: Arc<ClientConfig>) -> Self {
        Self { config, verifier: None }
    }

    /// The handshake ends with any certificate, and `verifier`, in the place of the configuration's
    /// own, says whether the peer is [`Verification::Verified`]. For [`Policy::Opportunistic`]:
    /// where TLS is required, who is not verified fails all the same. No session is resumed.
    #[must_use]
    pub fn lenient(config: Arc<ClientConfig>, verifier: Arc<dyn ServerCertVerifier>) -> Self {
        Self { config, verifier: Some(verifier) }
    }

    /// The configuration for one connection, and who judges its certificate if not the handshake.
    fn config(&self, alpn: Option<&[u8]>) -> (Arc<ClientConfig>, Option<Arc<Judging>>) {
        if self.verifier.is_none() && alpn.is_none() {
            return (Arc::clone(&self.config), None);
        }
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols.extend(alpn.map(<[u8]>::to_vec));
        let judging = self.verifier.as_ref().map(|verifier| {
            let judging = Arc::new(Judging::new(Arc::clone(verifier)));
            // A session that began with a stranger must not be resumed by who is strict.
            config.resumption = Resumption::disabled();
            config.dangerous().set_certificate_verifier(Arc::clone(&judging) as _);
            judging
        });
        (Arc::new(config), judging)
    }
}

impl<G: Grammar> Client<G> {
    /// A connection that begins in plaintext, with `client`. `name` is whom the certificate must be
    /// for: what the caller asked for, never what the server said.
    #[must_use]
    pub fn new(client: starttls::Client<G>, tls: &ClientTls, name: ServerName<'static>) -> Self {
        Self::opening(client, ClientSetup::new::<G>(tls, name))
    }

    /// A connection whose plaintext is a machine's of the caller's, by [`step_with`](Connection::step_with): a
    /// [`mail::Opening`](starttls::mail::Opening), which lives on inside TLS. There
    /// [`start_tls`](Connection::start_tls) begins the handshake. The policy is the machine's, and so is the
    /// verdict about the [`Tls::verification`] of [`Event::Established`](crate::Event::Established).
    #[must_use]
    pub fn plaintext(tls: &ClientTls, name: ServerName<'static>) -> Self {
        Self::plain(Pledge::Implicit(Policy::Opportunistic), ClientSetup::new::<G>(tls, name))
    }

    /// A connection that begins with TLS, on a port of its own (RFC 8314 §3).
    #[must_use]
    pub fn implicit(policy: Policy, tls: &ClientTls, name: ServerName<'static>) -> Self {
        Self::shaking(Pledge::Implicit(policy), ClientSetup::new::<G>(tls, name))
    }
}

/// What a client's handshake begins with.
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
        _: &CommonState,
    ) -> Result<Tls, starttls::Error> {
        let verification =
            setup.judging.as_deref().map_or(Verification::Verified, Judging::verdict);
        match pledge {
            Pledge::Upgrade(upgrade) => upgrade.established(verification),
            Pledge::Implicit(policy) => Tls::implicit(policy, verification),
        }
    }
}
