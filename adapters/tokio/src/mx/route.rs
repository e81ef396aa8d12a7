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

/// The maximum number of hosts, the most preferred ones.
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
    flaw: Option<sts::Flaw>,
    addresses: Option<Vec<IpAddr>>,
    /// The records of the last lookup.
    records: Vec<Tlsa>,
    /// A policy that is not cached yet, and a host whose addresses are not known yet. They are kept here so
    /// that a dropped call loses neither.
    unkept: Option<Entry>,
    unlocated: Option<Destination>,
}

/// The MTA-STS policy of a domain.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// The id of the record that announced it.
    pub id: sts::Id,
    /// The text of the policy. [`sts::Policy::read`] parses it.
    pub text: Vec<u8>,
    /// When it was fetched, in seconds of Unix time.
    pub fetched: u64,
    /// Whether it comes from the cache.
    pub is_cached: bool,
}

/// A host of a domain and its requirements: a [`Host`] that owns its data.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Destination {
    /// The host's name.
    pub name: Domain,
    /// The preference of its MX record.
    pub preference: u16,
    /// The requirements for mail to the host.
    pub demand: Demand,
    /// The mode of the domain's MTA-STS policy.
    pub sts: Option<Mode>,
    /// Whether DNSSEC confirms that the host belongs to the domain.
    pub is_secure: bool,
    /// How long all of this is valid, in seconds.
    pub ttl: u32,
    /// The addresses. Empty if the host is [skipped](Demand::Skip).
    pub addresses: Vec<IpAddr>,
    pub(super) verifier: Option<Arc<dane::Verifier>>,
    pub(super) applied: Applied,
}

/// A [`Requirement`] that owns its data.
///
/// The enum is exhaustive: a sender has to handle each variant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one a host")]
pub enum Demand {
    /// TLS if available, plaintext otherwise ([`Requirement::Opportunistic`]).
    Opportunistic,
    /// As `Opportunistic`, but the domain requests reports of failures ([`Requirement::Testing`]).
    Testing {
        /// Whether the policy lists the host.
        listed: bool,
    },
    /// TLS with any certificate ([`Requirement::Encrypted`]).
    Encrypted,
    /// TLS with a certificate for the host from a trusted authority ([`Requirement::Pkix`]).
    Pkix,
    /// TLS with a certificate that matches a record ([`Requirement::Dane`]).
    Dane {
        /// The base domain of the records: the first of the names.
        base: Domain,
        /// The names, one of which the certificate has to contain if a record is of a CA.
        names: Vec<Domain>,
        /// The records, including unusable ones.
        records: Vec<Tlsa>,
    },
    /// No mail may be sent to the host now, for this reason.
    Skip(Skip),
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Opportunistic => "TLS if available, plaintext otherwise",
            Self::Testing { .. } => {
                "TLS if available, plaintext otherwise; the domain requests reports of failures"
            }
            Self::Encrypted => "TLS, with any certificate",
            Self::Pkix => "TLS, with a certificate for this host from a trusted authority",
            Self::Dane { .. } => "TLS, with a certificate that matches a TLSA record",
            Self::Skip(_) => "no mail may go there",
        })
    }
}

/// A [`Step`] that owns its data.
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
            flaw: None,
            addresses: None,
            records: Vec::new(),
            unkept: None,
            unlocated: None,
        }
    }

    /// The next most preferred host. Nothing is looked up about a host before its turn.
    ///
    /// This method is cancel safe: the next call continues.
    ///
    /// # Errors
    /// The domain has no host for mail.
    pub async fn next(&mut self) -> Result<Option<Destination>, Undeliverable> {
        let relay = self.relay;
        loop {
            self.keep().await;
            if let Some(host) = self.locate().await {
                return Ok(Some(host));
            }
            let found = match self.step() {
                Next::Ask(question) => look_up(relay, question).await,
                Next::Keep { id, text } => {
                    let fetched = now();
                    self.unkept = Some(Entry { id, fetched, text: text.clone() });
                    self.policy = Some(Policy { id, text, fetched, is_cached: false });
                    continue;
                }
                Next::Host(host) => {
                    self.unlocated = Some(host);
                    continue;
                }
                Next::End => return Ok(None),
                Next::Undeliverable(why) => return Err(why),
            };
            self.note(&found);
            self.answer = Some(found);
        }
    }

    /// The domain's MTA-STS policy in any mode, once a host is known.
    #[must_use]
    pub const fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }

    /// Why an announced policy could not be used, and the result type for a report.
    #[must_use]
    pub fn policy_failure(&self) -> Option<(ResultType, &str)> {
        self.unfetched.as_ref().map(|unfetched| (unfetched.result, unfetched.reason.as_str()))
    }

    /// The error in TXT records at `_mta-sts.` and the domain that announce no valid policy.
    #[must_use]
    pub const fn record_flaw(&self) -> Option<sts::Flaw> {
        self.flaw
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
                    .is_ok_and(|policy| policy.age_and_left(*fetched, *now).is_some());
                let (id, text, fetched) = (*id, text.clone(), *fetched);
                self.policy = holds.then_some(Policy { id, text, fetched, is_cached: true });
            }
            // This is the only lookup of TXT records.
            Found::Txt(records) => {
                let records: Vec<_> = records.iter().map(Vec::as_slice).collect();
                self.flaw = sts::flaw(&records);
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

    /// Caches the policy. If that fails, the policy still applies to this mail.
    async fn keep(&mut self) {
        if let Some(entry) = &self.unkept {
            let _ = self.relay.cache.keep(&self.domain, entry.clone()).await;
            self.unkept = None;
        }
    }

    /// Looks up the addresses of a host, if there is one and they are not known yet.
    async fn locate(&mut self) -> Option<Destination> {
        let host = self.unlocated.as_ref()?;
        if !matches!(host.demand, Demand::Skip(_)) && self.addresses.is_none() {
            let Found::Address { addresses, .. } =
                self.relay.dns.addresses(host.name.as_str()).await
            else {
                let mut host = self.unlocated.take()?;
                host.demand = Demand::Skip(Skip::LookupFailed);
                return Some(host);
            };
            self.addresses = Some(addresses);
        }
        let (mut host, addresses) = (self.unlocated.take()?, self.addresses.take());
        if !matches!(host.demand, Demand::Skip(_)) {
            host.addresses = addresses.unwrap_or_default();
            if host.addresses.is_empty() {
                host.demand = Demand::Skip(Skip::NoAddress);
            }
        }
        Some(host)
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
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The facts known when a host is returned.
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
            // The answer always fits the question here.
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

    /// The policy that applied, for a report.
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
