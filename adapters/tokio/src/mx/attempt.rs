use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use starttls::client::Grammar;
use starttls::mail::{Envelope, Opening};
use starttls::smtp::{Dialect as _, Domain, Smtp};
use starttls::{Error as Rule, Policy, Verification};
use starttls_common::{
    Link, Runtime, address_literal, broken_handshake, handshake, reserved, starts_tls,
};
use tokio::io::AsyncRead;

use super::message::Message;
use super::{Demand, Destination, Protection, Relay};
use crate::socket::connect_within;
use crate::{ClientTls, Connection, Driver, Error, Observer, Prompt, Receipt, Tokio};

/// The result of an attempt to send a mail to one address.
pub(super) struct Tried {
    pub(super) outcome: Result<(Receipt, Protection), Error>,
    /// The protection of the mail, once it is known.
    pub(super) protection: Option<Protection>,
    /// Why the host is not verified, or why it has no TLS, where the domain allows that.
    pub(super) flaw: Option<rustls::Error>,
    /// The local address.
    pub(super) sender: Option<IpAddr>,
    pub(super) receiver: IpAddr,
}

impl Relay {
    pub(super) async fn attempt(
        &self,
        host: &Destination,
        address: SocketAddr,
        envelope: &Envelope<'_>,
        message: &mut Message<'_, impl AsyncRead + Unpin>,
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
        // Mail that may be sent in plaintext has to arrive although a handshake fails (RFC 7435 §3).
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

/// One address of a host.
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
        message: &mut Message<'_, impl AsyncRead + Unpin>,
        witness: &mut Witness<'_>,
        tried: &mut Tried,
    ) -> Result<(Receipt, Protection), Error> {
        let relay = self.relay;
        let named = relay.domain.as_deref();
        let argument = Error::argument("the client's name");
        named.map(Domain::new).transpose().map_err(&argument)?;
        witness.observer.connecting(self.host.name.as_str(), self.address);
        let mut link = Link::new(relay.timeouts, <Tokio as Runtime<Prompt>>::now(), witness);
        let stream = connect_within(self.address, &mut link).await?;
        tried.sender = stream.local_address();
        let literal = address_literal(tried.sender);
        let domain = Domain::new(named.unwrap_or(&literal)).map_err(argument)?;
        let driver = Driver::over(stream, link);
        let mut connection = if upgrades {
            let (tls, policy, name) = self.tls()?;
            let opening = Opening::<Smtp>::new(domain, policy);
            self.open(driver, opening, &tls, policy, name, tried).await?
        } else {
            let (opening, policy) = (reserved::<Smtp>(domain), Policy::Opportunistic);
            let name = self.host.name.as_str();
            self.open(driver, opening, &relay.tls, policy, name, tried).await?
        };
        let outcome = message.send(&mut connection, envelope).await;
        // The mail's fate is already known, so an error of `QUIT` changes nothing.
        let _ = connection.quit().await;
        let protection = tried.protection.ok_or(Error::from(Rule::OutOfOrder))?;
        Ok((outcome?, protection))
    }

    /// Opens the connection with the protection that the domain demands.
    async fn open<'o, G: Grammar>(
        &self,
        mut driver: Driver<'o, Prompt>,
        mut opening: Opening<'_, Smtp, G>,
        tls: &ClientTls,
        policy: Policy,
        name: &str,
        tried: &mut Tried,
    ) -> Result<Connection<'o, Smtp, Prompt>, Error> {
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

    /// The trust, the policy and the SNI.
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
                // A session from another host's connection was not verified by these records.
                config.resumption = Resumption::disabled();
                config.dangerous().set_certificate_verifier(verifier);
                (ClientTls::from_config(Arc::new(config)), Policy::Required, base.as_str())
            }
            Demand::Skip(_) => return Err(Rule::OutOfOrder.into()),
        })
    }

    /// The protection of the connection. An error if the domain demands more.
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

/// Records for the domain's report why a certificate does not verify.
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
