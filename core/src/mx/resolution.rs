use super::dane::Associations;
use super::hosts::{Candidate, Hosts};
use super::options::{Dane, Options, Undeliverable};
use super::sts::{self, Id, Mode};
use super::{Answer, Cached, Domain, Host, Mx, Names, Question, Requirement, Security, Skip};
use crate::Error;

/// The age in seconds at which a stored policy is fetched again, even if the TXT record is unchanged
/// (RFC 8461 §3.3): a day.
pub const REFRESH: u64 = 86_400;

/// What a resolution needs next.
///
/// The enum is exhaustive: a loop that handles every variant is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Step<'s, 'i> {
    /// Look this up and pass the answer to the next call.
    Ask(Question<'s>),
    /// Store the policy for its domain, in place of any other. Then call again without an answer.
    Keep {
        /// The domain.
        domain: &'s Domain,
        /// The id of the TXT record that announced it.
        id: Id,
        /// The policy. Its age starts with the fetch.
        policy: sts::Policy<'i>,
    },
    /// The next best host. Try it, then call again without an answer for another one.
    Host(Host<'s, 'i>),
    /// There are no more hosts. An undelivered mail has to wait.
    End,
    /// The domain has no host for mail.
    Undeliverable(Undeliverable),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    Mx,
    Cached,
    Txt,
    Fetch(Id),
    Host,
    Address,
    /// The records of the host's alias; those of the host itself are next.
    TlsaOfAlias,
    Tlsa,
    Undeliverable(Undeliverable),
}

/// The result of a host's lookups.
enum Found<'i> {
    Skip(Skip),
    /// No records.
    Nothing,
    /// Records, none of which is usable.
    Unusable,
    Records(Associations<'i>),
}

/// The state of an MTA-STS policy.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Sts {
    mode: Mode,
    id: Id,
    /// The age in seconds.
    age: u64,
    left: u32,
}

/// Finds out what security the delivery of mail to a domain requires (RFC 7672 §2, RFC 8461 §5.1).
///
/// Call [`step`](Self::step) without an answer, then with the answer to each question. It does no I/O. It
/// keeps the best `HOSTS` of the domain's hosts, about 260 bytes each.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Resolution<const HOSTS: usize = 8> {
    domain: Domain,
    options: Options,
    state: State,
    hosts: Hosts<HOSTS>,
    /// The name that the domain is an alias of.
    expanded: Option<Domain>,
    /// The security of the MX records, or of their absence.
    mx: Security,
    mx_ttl: u32,
    /// Whether there are MX records.
    has_mx: bool,
    sts: Option<Sts>,
    host: Option<Candidate>,
    /// The secure alias target of the host.
    alias: Option<Domain>,
    ttl: u32,
}

impl<const HOSTS: usize> Resolution<HOSTS> {
    /// A resolution for the domain of the recipients or of a smart host (RFC 8461 §3.4).
    ///
    /// To ignore the MX records of a smart host, answer securely that it has none (RFC 7672 §2.2.2).
    #[must_use]
    pub const fn new(domain: Domain, options: Options) -> Self {
        Self {
            domain,
            options,
            state: State::Mx,
            hosts: Hosts::new(),
            expanded: None,
            mx: Security::Insecure,
            mx_ttl: 0,
            has_mx: false,
            sts: None,
            host: None,
            alias: None,
            ttl: 0,
        }
    }

    /// Takes the answer to the last question, if there was one, and returns what is needed next. Without an
    /// answer it repeats the question.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if the answer does not fit the question. Nothing changed.
    pub fn step<'i>(&mut self, answer: Option<Answer<'i>>) -> Result<Step<'_, 'i>, Error> {
        let mut found = None;
        if let Some(answer) = answer {
            match (self.state, answer) {
                (State::Mx, answer) => self.take_mx(answer)?,
                (State::Cached, Answer::Cached { now, entry }) => self.take_cached(now, entry),
                (State::Txt, answer) => self.take_txt(answer)?,
                (State::Fetch(id), Answer::Policy { text }) => {
                    self.state = State::Host;
                    if let Some(policy) = self.take_policy(id, text) {
                        return Ok(Step::Keep { domain: &self.domain, id, policy });
                    }
                }
                (State::Fetch(_), Answer::Failed) => self.state = State::Host,
                (State::Address, answer) => found = self.take_address(answer)?,
                (State::Tlsa | State::TlsaOfAlias, answer) => found = self.take_tlsa(answer)?,
                _ => return Err(Error::OutOfOrder),
            }
        }
        if let Some(found) = found {
            return Ok(self.tell(found));
        }
        self.ask()
    }

    fn ask<'i>(&mut self) -> Result<Step<'_, 'i>, Error> {
        if self.state == State::Host {
            self.alias = None;
            self.host = self.hosts.next();
            if self.host.is_none() {
                return Ok(Step::End);
            }
            self.ttl = self.mx_ttl;
            if !self.goes_by_dane() {
                return Ok(self.tell(Found::Nothing));
            }
            self.state = State::Address;
        }
        let host = self.host.as_ref().map_or(&self.domain, |host| &host.name);
        Ok(Step::Ask(match self.state {
            State::Mx => Question::Mx(&self.domain),
            State::Cached => Question::Cached(&self.domain),
            State::Txt => Question::Txt(&self.domain),
            State::Fetch(_) => Question::Policy(&self.domain),
            State::Address | State::Host => Question::Address(host),
            State::TlsaOfAlias => Question::Tlsa {
                port: self.options.port,
                base: self.alias.as_ref().unwrap_or(host),
            },
            State::Tlsa => Question::Tlsa { port: self.options.port, base: host },
            State::Undeliverable(why) => return Ok(Step::Undeliverable(why)),
        }))
    }

    /// Whether the sender asked for delivery even without TLS.
    const fn is_relaxed(&self) -> bool {
        self.options.tls_optional && !self.options.require_tls
    }

    fn goes_by_dane(&self) -> bool {
        !self.is_relaxed()
            && match self.options.dane {
                Dane::Off => false,
                Dane::Opportunistic | Dane::Mandatory => true,
                Dane::SecureHosts => self.mx == Security::Secure,
            }
    }

    fn take_mx(&mut self, answer: Answer<'_>) -> Result<(), Error> {
        self.state = match answer {
            // An attacker who blocks the lookup must not redirect the mail to the domain itself.
            Answer::Failed => State::Undeliverable(Undeliverable::LookupFailed),
            Answer::NoDomain => State::Undeliverable(Undeliverable::NoDomain),
            Answer::Mx { security: Security::Insecure, .. }
                if self.options.dane == Dane::Mandatory && !self.is_relaxed() =>
            {
                State::Undeliverable(Undeliverable::Insecure)
            }
            Answer::Mx { records: [Mx { name: "" | ".", .. }], .. } => {
                State::Undeliverable(Undeliverable::NullMx)
            }
            Answer::Mx { security, alias, records, ttl } => {
                self.mx = security;
                self.mx_ttl = ttl;
                self.expanded = alias.and_then(|alias| Domain::new(alias).ok());
                self.has_mx = !records.is_empty();
                if self.has_mx {
                    self.hosts.add_all(records);
                } else {
                    self.hosts.add(self.domain, 0);
                }
                if self.hosts.is_empty() {
                    State::Undeliverable(Undeliverable::NoHosts)
                } else if self.options.sts && !self.is_relaxed() {
                    State::Cached
                } else {
                    State::Host
                }
            }
            _ => return Err(Error::OutOfOrder),
        };
        Ok(())
    }

    fn take_cached(&mut self, now: u64, entry: Option<Cached<'_>>) {
        self.state = State::Txt;
        let Some(Cached { id, fetched, text }) = entry else { return };
        if let Ok(policy) = sts::Policy::read(text)
            && let Some((age, left)) = policy.age_and_left(fetched, now)
        {
            self.apply(id, &policy, age, left);
        }
    }

    fn take_txt(&mut self, answer: Answer<'_>) -> Result<(), Error> {
        let announced = match answer {
            Answer::Txt { records } => sts::announced(records),
            // A stored policy stays: an attacker who blocks the lookup must not remove it.
            Answer::Failed => None,
            _ => return Err(Error::OutOfOrder),
        };
        let is_fresh = |sts: &Sts| Some(sts.id) == announced && sts.age < REFRESH;
        self.state = match announced {
            Some(id) if !self.sts.as_ref().is_some_and(is_fresh) => State::Fetch(id),
            _ => State::Host,
        };
        Ok(())
    }

    /// A fetched policy replaces the stored one, unless it is invalid.
    fn take_policy<'i>(&mut self, id: Id, text: &'i [u8]) -> Option<sts::Policy<'i>> {
        let policy = sts::Policy::read(text).ok()?;
        self.apply(id, &policy, 0, policy.max_age());
        Some(policy)
    }

    fn apply(&mut self, id: Id, policy: &sts::Policy<'_>, age: u64, left: u32) {
        self.sts = Some(Sts { mode: policy.mode(), id, age, left });
        self.hosts.note(|host| policy.lists(host));
    }

    fn take_address<'i>(&mut self, answer: Answer<'_>) -> Result<Option<Found<'i>>, Error> {
        Ok(Some(match answer {
            // An attacker who blocks a lookup must not turn off DANE (RFC 7672 §2.1.2).
            Answer::Failed => Found::Skip(Skip::LookupFailed),
            Answer::Address { found: false, .. } => Found::Skip(Skip::NoAddress),
            // An unsigned zone cannot have secure TLSA records (RFC 7672 §2.2.2).
            Answer::Address { first: Security::Insecure, ttl, .. } => {
                self.ttl = self.ttl.min(ttl);
                Found::Nothing
            }
            Answer::Address { last, alias, ttl, .. } => {
                self.ttl = self.ttl.min(ttl);
                self.alias = match alias.filter(|_| last == Security::Secure).map(Domain::new) {
                    Some(Err(_)) => return Ok(Some(Found::Skip(Skip::LookupFailed))),
                    Some(Ok(alias)) => Some(alias),
                    None => None,
                };
                self.state = if self.alias.is_some() { State::TlsaOfAlias } else { State::Tlsa };
                return Ok(None);
            }
            _ => return Err(Error::OutOfOrder),
        }))
    }

    fn take_tlsa<'i>(&mut self, answer: Answer<'i>) -> Result<Option<Found<'i>>, Error> {
        Ok(Some(match answer {
            Answer::Failed => Found::Skip(Skip::LookupFailed),
            Answer::Tlsa { security, records, ttl } => {
                self.ttl = self.ttl.min(ttl);
                if security == Security::Insecure || records.is_empty() {
                    if self.state == State::TlsaOfAlias {
                        self.alias = None;
                        self.state = State::Tlsa;
                        return Ok(None);
                    }
                    Found::Nothing
                } else {
                    Associations::new(records).map_or(Found::Unusable, Found::Records)
                }
            }
            _ => return Err(Error::OutOfOrder),
        }))
    }

    /// Derives the host's requirement from the results.
    fn tell<'i>(&mut self, found: Found<'i>) -> Step<'_, 'i> {
        self.state = State::Host;
        let (name, preference, listed) = match &self.host {
            Some(host) => (&host.name, host.preference(), host.listed),
            None => (&self.domain, 0, false),
        };
        let sts = self.sts.as_ref().filter(|sts| sts.mode != Mode::None);
        let mode = sts.map(|sts| sts.mode);
        let is_secure = self.mx == Security::Secure;
        // Without MX records the host is the domain itself, which the sender named.
        let is_named = is_secure || !self.has_mx;
        let is_vouched = is_named || (sts.is_some() && listed);
        let is_refused = mode == Some(Mode::Enforce) && !listed;
        let required = self.options.require_tls;
        let requirement = match found {
            Found::Skip(why) => Requirement::Skip(why),
            _ if self.is_relaxed() => Requirement::Opportunistic,
            Found::Records(_) if required && !is_vouched => Requirement::Skip(Skip::Unvouched),
            // An attacker who forges MX records can have valid TLSA records for a host of its own.
            Found::Records(_) if is_refused && !is_secure => Requirement::Skip(Skip::NotListed),
            Found::Records(records) => {
                let base = self.alias.as_ref().unwrap_or(name);
                let next_hop = Some(&self.domain).filter(|_| is_named);
                let expanded = self.expanded.as_ref().filter(|_| is_secure);
                let names = Names([Some(base), next_hop, expanded]);
                Requirement::Dane { base, names, records }
            }
            _ if self.options.dane == Dane::Mandatory => Requirement::Skip(Skip::NoRecords),
            _ if is_refused => Requirement::Skip(Skip::NotListed),
            _ if required && !is_vouched => Requirement::Skip(Skip::Unvouched),
            _ if required || mode == Some(Mode::Enforce) => Requirement::Pkix,
            Found::Unusable => Requirement::Encrypted,
            Found::Nothing if mode.is_some() => Requirement::Testing { listed },
            Found::Nothing => Requirement::Opportunistic,
        };
        let ttl = sts.map_or(self.ttl, |sts| self.ttl.min(sts.left));
        Step::Host(Host { name, preference, requirement, sts: mode, is_secure, ttl })
    }
}
