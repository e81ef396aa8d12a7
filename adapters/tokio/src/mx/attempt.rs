use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ClientConfig;
use rustls::client::Resumption;
use starttls::client::{Grammar, Phase, Reply};
use starttls::mail::{Envelope, Opening};
use starttls::smtp::{ClientGrammar, Dialect as _, Domain, Smtp};
use starttls::wire::Writer;
use starttls::{Client, Error as Rule, Policy, Verification};
use starttls_common::{Doing, Link, Runtime, handshake, starts_tls};
use tokio::io::{AsyncRead, ReadBuf};

use super::{Demand, Destination, Protection, Relay};
use crate::socket::connect_within;
use crate::{ClientTls, Connection, Driver, Error, Observer, Prompt, Receipt, Tokio};

/// What became of an attempt to send a mail to an address.
pub(super) struct Tried {
    pub(super) outcome: Result<(Receipt, Protection), Error>,
    /// How the mail was to be protected, once that was settled.
    pub(super) protection: Option<Protection>,
    /// Why nobody vouches for the host, or why there is no TLS with it, where either may be.
    pub(super) flaw: Option<rustls::Error>,
    /// Our address.
    pub(super) sender: Option<IpAddr>,
    pub(super) receiver: IpAddr,
}

impl Relay {
    pub(super) async fn attempt(
        &self,
        host: &Destination,
        address: SocketAddr,
        envelope: &Envelope<'_>,
        message: &mut (impl AsyncRead + Unpin),
        observer: &mut (dyn Observer + Send),
    ) -> Tried {
        let mut tried = Tried {
            outcome: Err(Rule::NotOffered.into()),
            protection: None,
            flaw: None,
            sender: None,
            receiver: address.ip(),
        };
        let mut witness = Witness { observer, flaw: None };
        let way = Way { relay: self, host, address };
        let mut outcome = way.send(true, envelope, message, &mut witness, &mut tried).await;
        // A handshake that fails must not keep mail that may go in plaintext from arriving (RFC 7435 §3).
        if may_fail(&host.demand)
            && tried.protection.is_none()
            && let Err(error) = &outcome
            && let Some(flaw) = broken_handshake(error)
        {
            witness.flaw = Some(flaw);
            outcome = way.send(false, envelope, message, &mut witness, &mut tried).await;
        }
        tried.flaw = witness.flaw;
        tried.outcome = outcome;
        tried
    }
}

const fn may_fail(demand: &Demand) -> bool {
    matches!(demand, Demand::Opportunistic | Demand::Testing { .. })
}

fn broken_handshake(error: &Error) -> Option<rustls::Error> {
    match error {
        Error::Tls(error) => Some(error.clone()),
        Error::Io { doing: Doing::Handshake, error } => {
            Some(rustls::Error::General(error.to_string()))
        }
        _ => None,
    }
}

/// To one address of a host.
struct Way<'a> {
    relay: &'a Relay,
    host: &'a Destination,
    address: SocketAddr,
}

impl Way<'_> {
    async fn send(
        &self,
        upgrades: bool,
        envelope: &Envelope<'_>,
        message: &mut (impl AsyncRead + Unpin),
        witness: &mut Witness<'_>,
        tried: &mut Tried,
    ) -> Result<(Receipt, Protection), Error> {
        let relay = self.relay;
        let domain = Domain::new(&relay.domain).map_err(Error::argument("the client's name"))?;
        witness.observer.connecting(self.host.name.as_str(), self.address);
        let mut link = Link::new(relay.timeouts, <Tokio as Runtime<Prompt>>::now(), witness);
        let stream = connect_within(self.address, &mut link).await?;
        tried.sender = stream.get_ref().local_addr().ok().map(|address| address.ip());
        let driver = Driver::over(stream, link);
        let mut connection = if upgrades {
            let (tls, policy, name) = self.tls()?;
            let opening = Opening::<Smtp>::new(domain, policy);
            self.open(driver, opening, &tls, policy, name, tried).await?
        } else {
            let grammar = Reserved(ClientGrammar::<Smtp>::new(domain));
            let policy = Policy::Opportunistic;
            let client = Client::with_grammar(grammar, policy);
            let opening = Opening::<Smtp, _>::with_client(client, domain);
            let name = self.host.name.as_str();
            self.open(driver, opening, &relay.tls, policy, name, tried).await?
        };
        let outcome = connection.send(envelope, message).await;
        // What became of the mail is known: an error while saying goodbye changes nothing.
        let _ = connection.quit().await;
        let protection = tried.protection.ok_or(Error::from(Rule::OutOfOrder))?;
        Ok((outcome?, protection))
    }

    /// Opens the connection, once it is protected as the domain demands.
    async fn open<'o, G: Grammar>(
        &self,
        mut driver: Driver<'o, Prompt>,
        mut opening: Opening<'_, Smtp, G>,
        tls: &ClientTls,
        policy: Policy,
        name: &str,
        tried: &mut Tried,
    ) -> Result<Connection<'o>, Error> {
        let line_ends = self.relay.line_ends;
        if !starts_tls(&mut driver, &mut opening).await? {
            tried.protection = Some(self.protection(None)?);
            return Connection::plaintext(driver, opening, line_ends).await;
        }
        let alpn = Smtp::PROTOCOL.alpn;
        let secured = handshake(driver, tls, name, alpn, policy).await?;
        tried.protection = Some(self.protection(Some(secured.verification))?);
        opening.encrypted(secured.verification, None)?;
        Connection::encrypted(secured.stream, opening, line_ends).await
    }

    /// Whom to trust, whether TLS has to be verified, and the name in SNI.
    fn tls(&self) -> Result<(ClientTls, Policy, &str), Error> {
        let (tls, host) = (&self.relay.tls, self.host);
        let name = host.name.as_str();
        Ok(match &host.demand {
            Demand::Opportunistic | Demand::Testing { .. } | Demand::Encrypted => {
                (tls.clone(), Policy::Opportunistic, name)
            }
            Demand::Pkix => (tls.clone(), Policy::Required, name),
            Demand::Dane { base, .. } => {
                let verifier = host.verifier.clone().ok_or_else(|| Error::Argument {
                    what: "the host's name",
                    why: format!("{base} cannot be verified"),
                })?;
                let mut config = ClientConfig::clone(&tls.rustls());
                // A session that others began was not verified by these records.
                config.resumption = Resumption::disabled();
                config.dangerous().set_certificate_verifier(verifier);
                (ClientTls::from_config(Arc::new(config)), Policy::Required, base.as_str())
            }
            Demand::Skip(_) => return Err(Rule::OutOfOrder.into()),
        })
    }

    /// What the way is protected by, over TLS or without, if that is enough.
    fn protection(&self, tls: Option<Verification>) -> Result<Protection, Error> {
        let Some(verification) = tls else {
            return match &self.host.demand {
                demand if may_fail(demand) => Ok(Protection::Plaintext),
                _ => Err(Rule::NotOffered.into()),
            };
        };
        let verified_by = self.host.verifier.as_ref().and_then(|verifier| verifier.verified_by());
        match (&self.host.demand, verified_by) {
            (Demand::Dane { .. }, Some(usage)) => Ok(Protection::Dane(usage)),
            (Demand::Dane { .. }, None) => Err(Rule::Unverified.into()),
            _ if verification == Verification::Verified => Ok(Protection::Pkix),
            _ => Ok(Protection::Encrypted),
        }
    }
}

/// Sees why a certificate does not verify, on behalf of the domain.
struct Witness<'o> {
    observer: &'o mut (dyn Observer + Send),
    flaw: Option<rustls::Error>,
}

impl Observer for Witness<'_> {
    fn sent(&mut self, octets: &[u8]) {
        self.observer.sent(octets);
    }

    fn withheld(&mut self, octets: usize) {
        self.observer.withheld(octets);
    }

    fn received(&mut self, octets: &[u8]) {
        self.observer.received(octets);
    }

    fn credential(&mut self, octets: usize) {
        self.observer.credential(octets);
    }

    fn secured(&mut self, tls: &rustls::CommonState, problem: Option<&rustls::Error>) {
        self.flaw = problem.cloned();
        self.observer.secured(tls, problem);
    }
}

/// A client that asks for no upgrade.
#[derive(Debug)]
struct Reserved<G>(G);

impl<G: Grammar> Grammar for Reserved<G> {
    type Framing = G::Framing;

    const PROTOCOL: starttls::Protocol = G::PROTOCOL;
    const MAX_OUTPUT: usize = G::MAX_OUTPUT;
    const FIRST: Phase = G::FIRST;
    const HAS_FALLBACK: bool = G::HAS_FALLBACK;

    fn reply(&mut self, phase: Phase, frame: &[u8]) -> Result<Reply, Rule> {
        self.0.reply(phase, frame)
    }

    fn offers_upgrade(&self) -> bool {
        false
    }

    fn request(&self, phase: Phase, out: &mut Writer<'_>) {
        self.0.request(phase, out);
    }

    fn wait(&self, phase: Phase) -> std::time::Duration {
        self.0.wait(phase)
    }
}

/// A message of which is known whether anything was read.
pub(super) struct Attended<R> {
    message: R,
    begun: bool,
}

impl<R> Attended<R> {
    pub(super) const fn new(message: R) -> Self {
        Self { message, begun: false }
    }

    pub(super) const fn is_begun(&self) -> bool {
        self.begun
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Attended<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.begun = true;
        Pin::new(&mut self.message).poll_read(cx, buffer)
    }
}
