//! Plaintext mail after a failed handshake, where the policy allows it (RFC 7435 §3).

use starttls::client::{Grammar, Phase, Reply};
use starttls::mail::Opening;
use starttls::smtp::{ClientGrammar, Dialect, Domain};
use starttls::wire::Writer;
use starttls::{Client, Error as Rule, Policy};

use crate::{Doing, Error};

/// A client grammar that never requests the upgrade.
#[derive(Debug)]
pub struct Reserved<G>(G);

/// The opening of a plaintext connection.
pub type ReservedOpening<'a, D> = Opening<'a, D, Reserved<ClientGrammar<'a, D>>>;

/// The opening of a plaintext connection on which the client introduces itself as `domain`.
#[must_use]
pub fn reserved<D: Dialect>(domain: Domain<'_>) -> ReservedOpening<'_, D> {
    let grammar = Reserved(ClientGrammar::<D>::new(domain));
    Opening::with_client(Client::with_grammar(grammar, Policy::Opportunistic), domain)
}

/// The TLS error, if it was the handshake that failed.
#[must_use]
pub fn broken_handshake(error: &Error) -> Option<rustls::Error> {
    match error {
        Error::Tls(error) => Some(error.clone()),
        Error::Io { doing: Doing::Handshake, error } => {
            Some(rustls::Error::General(error.to_string()))
        }
        _ => None,
    }
}

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
