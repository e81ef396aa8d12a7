use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use starttls::mx::dane::Associations;
use starttls::mx::sts::{self, HOST_LABEL, Mode, RECORD_LABEL};
use starttls::mx::{
    Domain, Host, Names, Options, Question, Requirement, Resolution, ResultType, Skip, Step,
    Undeliverable,
};
use starttls_rustls::dane;
use starttls_tlsrpt::Applied;

use super::Relay;
use super::fetch;
use super::found::{Entry, Found, Tlsa, Unfetched};

/// How many hosts of a domain are looked at, the best ones.
const HOSTS: usize = 16;

/// The hosts of a domain, one after the other, from [`Relay::route`].
#[derive(Debug)]
pub struct Route<'r> {
    relay: &'r Relay,
    domain: Domain,
    resolution: Resolution<HOSTS>,
    answer: Option<Found>,
    policy: Option<Policy>,
    unfetched: Option<Unfetched>,
    addresses: Option<Vec<IpAddr>>,
    /// Those that were asked for last.
    records: Vec<Tlsa>,
}

/// The MTA-STS policy that a domain has.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// By which it was announced.
    pub id: sts::Id,
    /// The policy, as its host said it; [`sts::Policy::read`] reads it.
    pub text: Vec<u8>,
    /// When it was fetched, in seconds of Unix time.
    pub fetched: u64,
    /// Whether it was not fetched now.
    pub is_cached: bool,
}

/// A host of a domain and what it takes to send it mail: a [`Host`] that owns what it says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Destination {
    /// The host.
    pub name: Domain,
    /// Of its MX record.
    pub preference: u16,
    /// What it takes.
    pub demand: Demand,
    /// The mode of the domain's MTA-STS policy.
    pub sts: Option<Mode>,
    /// Whether the DNS vouches for it being a host of the domain.
    pub is_secure: bool,
    /// For how many seconds all of this holds.
    pub ttl: u32,
    /// Its addresses; none if it is to be [skipped](Demand::Skip).
    pub addresses: Vec<IpAddr>,
    pub(super) verifier: Option<Arc<dane::Verifier>>,
    pub(super) applied: Applied,
}

/// A [`Requirement`] that owns what it says. Exhaustive: whoever sends has to know all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one a host")]
pub enum Demand {
    /// Nothing ([`Requirement::Opportunistic`]).
    Opportunistic,
    /// Nothing, but the domain wants to hear of failures ([`Requirement::Testing`]).
    Testing {
        /// Whether the policy lists the host.
        listed: bool,
    },
    /// TLS, with whatever certificate ([`Requirement::Encrypted`]).
    Encrypted,
    /// TLS, with a certificate for the host by a trusted authority ([`Requirement::Pkix`]).
    Pkix,
    /// TLS, with a certificate that matches a record ([`Requirement::Dane`]).
    Dane {
        /// Where the records were found, the first of the names.
        base: Domain,
        /// The names, one of which the certificate has to have if the record is of an authority.
        names: Vec<Domain>,
        /// The records, those that are not usable among them.
        records: Vec<Tlsa>,
    },
    /// No mail may go there, now.
    Skip(Skip),
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Opportunistic => "TLS if it can be had, plaintext otherwise",
            Self::Testing { .. } => {
                "TLS if it can be had, plaintext otherwise; the domain wants to hear of failures"
            }
            Self::Encrypted => "TLS, with any certificate",
            Self::Pkix => "TLS, with a certificate for this host by a trusted authority",
            Self::Dane { .. } => "TLS, with a certificate that matches a TLSA record",
            Self::Skip(_) => "no mail may go there",
        })
    }
}

/// A [`Step`] without what it borrows from an answer.
#[expect(clippy::large_enum_variant, reason = "it lives for a moment")]
enum Next<'s> {
    Ask(Question<'s>),
    Keep { id: sts::Id, text: Vec<u8> },
    Host(Destination),
    End,
    Undeliverable(Undeliverable),
}

impl<'r> Route<'r> {
    pub(super) fn new(relay: &'r Relay, domain: Domain, options: Options) -> Self {
        Self {
            relay,
            domain,
            resolution: Resolution::new(domain, options),
            answer: None,
            policy: None,
            unfetched: None,
            addresses: None,
            records: Vec::new(),
        }
    }

    /// The next best host. It asks no more than it has to: nothing about a host before it is its turn.
    ///
    /// Cancel safe: the next call goes on where this one was.
    ///
    /// # Errors
    /// There is no host to send mail to.
    pub async fn next(&mut self) -> Result<Option<Destination>, Undeliverable> {
        let relay = self.relay;
        loop {
            let found = match self.step() {
                Next::Ask(question) => look_up(relay, question).await,
                Next::Keep { id, text } => {
                    self.keep(id, text).await;
                    continue;
                }
                Next::Host(mut host) => {
                    self.locate(&mut host).await;
                    return Ok(Some(host));
                }
                Next::End => return Ok(None),
                Next::Undeliverable(why) => return Err(why),
            };
            self.note(&found);
            self.answer = Some(found);
        }
    }

    /// The domain's MTA-STS policy, once a host is known, whatever its mode.
    #[must_use]
    pub const fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }

    /// Why a policy that is announced could not be had, and a report's word for it.
    #[must_use]
    pub fn policy_failure(&self) -> Option<(ResultType, &str)> {
        self.unfetched.as_ref().map(|unfetched| (unfetched.result, unfetched.reason.as_str()))
    }

    fn step(&mut self) -> Next<'_> {
        let (resolution, answer) = (&mut self.resolution, self.answer.take());
        let context = Context {
            relay: self.relay,
            domain: &self.domain,
            policy: self.policy.as_ref(),
            records: &self.records,
        };
        match answer {
            Some(answer) => answer.with(|answer| context.next(resolution.step(Some(answer)))),
            None => context.next(resolution.step(None)),
        }
    }

    fn note(&mut self, found: &Found) {
        match found {
            Found::Cached { now, entry: Some(Entry { id, fetched, text }) } => {
                let holds = sts::Policy::read(text)
                    .is_ok_and(|policy| now.saturating_sub(*fetched) < u64::from(policy.max_age()));
                let (id, text, fetched) = (*id, text.clone(), *fetched);
                self.policy = holds.then_some(Policy { id, text, fetched, is_cached: true });
            }
            Found::Policy(Err(unfetched)) => self.unfetched = Some(unfetched.clone()),
            Found::Policy(Ok(text)) => {
                self.unfetched = sts::Policy::read(text).err().map(|invalid| Unfetched {
                    result: ResultType::StsPolicyInvalid,
                    reason: invalid.to_string(),
                });
            }
            Found::Address { addresses, .. } => self.addresses = Some(addresses.clone()),
            Found::Tlsa { records, .. } => self.records.clone_from(records),
            _ => {}
        }
    }

    /// A policy that cannot be kept is gone by all the same.
    async fn keep(&mut self, id: sts::Id, text: Vec<u8>) {
        let fetched = now();
        let entry = Entry { id, fetched, text: text.clone() };
        let _ = self.relay.cache.keep(&self.domain, entry).await;
        self.policy = Some(Policy { id, text, fetched, is_cached: false });
    }

    /// Finds the addresses of a host, if that was not part of the question.
    async fn locate(&mut self, host: &mut Destination) {
        if matches!(host.demand, Demand::Skip(_)) {
            self.addresses = None;
            return;
        }
        let known = self.addresses.take();
        host.addresses = match known {
            Some(addresses) => addresses,
            None => match self.relay.dns.addresses(host.name.as_str()).await {
                Found::Address { addresses, .. } => addresses,
                _ => {
                    host.demand = Demand::Skip(Skip::LookupFailed);
                    return;
                }
            },
        };
        if host.addresses.is_empty() {
            host.demand = Demand::Skip(Skip::NoAddress);
        }
    }
}

async fn look_up(relay: &Relay, question: Question<'_>) -> Found {
    match question {
        Question::Mx(domain) => relay.dns.mx(domain).await,
        Question::Cached(domain) => {
            Found::Cached { now: now(), entry: relay.cache.find(domain).await }
        }
        Question::Txt(domain) => relay.dns.txt(&format!("{RECORD_LABEL}.{domain}")).await,
        Question::Policy(domain) => Found::Policy(policy_of(relay, domain).await),
        Question::Address(host) => relay.dns.addresses(host.as_str()).await,
        Question::Tlsa { port, base } => relay.dns.tlsa(port, base).await,
        _ => Found::Failed,
    }
}

async fn policy_of(relay: &Relay, domain: &Domain) -> Result<Vec<u8>, Unfetched> {
    if let Some(unfetched) = relay.cache.failure(domain) {
        return Err(unfetched);
    }
    let host = format!("{HOST_LABEL}.{domain}");
    let outcome = fetch::policy(&relay.dns, &relay.tls, &host, relay.policy_port).await;
    if let Err(unfetched) = &outcome {
        relay.cache.note_failure(domain, unfetched);
    }
    outcome
}

/// Seconds of Unix time.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// What is known when a host is told.
struct Context<'a> {
    relay: &'a Relay,
    domain: &'a Domain,
    policy: Option<&'a Policy>,
    records: &'a [Tlsa],
}

impl Context<'_> {
    fn next<'s>(&self, step: Result<Step<'s, '_>, starttls::Error>) -> Next<'s> {
        match step {
            Ok(Step::Ask(question)) => Next::Ask(question),
            Ok(Step::Keep { id, policy, .. }) => Next::Keep { id, text: policy.as_bytes().into() },
            Ok(Step::Host(host)) => Next::Host(self.destination(&host)),
            Ok(Step::End) => Next::End,
            Ok(Step::Undeliverable(why)) => Next::Undeliverable(why),
            // Each answer is to what was asked.
            Err(_) => Next::Undeliverable(Undeliverable::LookupFailed),
        }
    }

    fn destination(&self, host: &Host<'_, '_>) -> Destination {
        let mut verifier = None;
        let demand = match host.requirement {
            Requirement::Opportunistic => Demand::Opportunistic,
            Requirement::Testing { listed } => Demand::Testing { listed },
            Requirement::Encrypted => Demand::Encrypted,
            Requirement::Pkix => Demand::Pkix,
            Requirement::Skip(why) => Demand::Skip(why),
            Requirement::Dane { base, names, records } => {
                verifier = self.verifier(names, records);
                let names = names.iter().copied().collect();
                Demand::Dane { base: *base, names, records: self.records.to_vec() }
            }
        };
        Destination {
            name: *host.name,
            preference: host.preference,
            applied: self.applied(&demand, host.sts),
            demand,
            sts: host.sts,
            is_secure: host.is_secure,
            ttl: host.ttl,
            addresses: Vec::new(),
            verifier,
        }
    }

    fn verifier(&self, names: Names<'_>, records: Associations<'_>) -> Option<Arc<dane::Verifier>> {
        let provider = Arc::clone(self.relay.tls.rustls().crypto_provider());
        dane::Verifier::new(names, records, provider).ok().map(Arc::new)
    }

    /// What a report says that was gone by.
    fn applied(&self, demand: &Demand, mode: Option<Mode>) -> Applied {
        let domain = self.domain.as_str();
        if matches!(demand, Demand::Dane { .. } | Demand::Encrypted) {
            let records: Vec<_> = self.records.iter().map(Tlsa::borrow).collect();
            return Applied::dane(domain, &records);
        }
        let policy = self.policy.filter(|_| mode.is_some());
        match policy.and_then(|policy| sts::Policy::read(&policy.text).ok()) {
            Some(policy) => Applied::sts(domain, &policy),
            None => Applied::none(domain),
        }
    }
}
