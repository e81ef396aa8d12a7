//! The result of a DNS lookup, and its DNSSEC security.

use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use starttls::mx::Security;

/// How many aliases are followed.
pub(super) const MAX_ALIASES: usize = 8;

/// Why there is no record. `ttl` is in seconds.
pub(super) enum Nothing {
    Failed,
    /// The answer as a whole is bogus. Each of its aliases may still be secure by itself.
    Bogus,
    NoName {
        ttl: u32,
    },
    NoRecords {
        security: Security,
        ttl: u32,
    },
}

pub(super) fn nothing(code: ResponseCode, security: Security, authorities: &[Record]) -> Nothing {
    // RFC 2308 §5. Without a SOA record a negative answer is not cached.
    let ttl = authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.minimum.min(record.ttl)),
        _ => None,
    });
    let ttl = ttl.unwrap_or_default();
    match code {
        ResponseCode::NXDomain => Nothing::NoName { ttl },
        _ => Nothing::NoRecords { security, ttl },
    }
}

/// The records found so far, aliases first.
pub(super) struct Answered {
    name: Name,
    kind: RecordType,
    records: Vec<Record>,
}

impl Answered {
    pub(super) const fn new(name: Name, kind: RecordType) -> Self {
        Self { name, kind, records: Vec::new() }
    }

    /// Adds the records that follow from `end`. Returns whether they include the wanted ones.
    pub(super) fn go_on(&mut self, end: &mut Name, records: &[Record]) -> Result<bool, Nothing> {
        let start = end.clone();
        for _ in 0..=MAX_ALIASES {
            let own = |kind| {
                let here = end.clone();
                let of_it =
                    move |record: &&Record| record.name == here && record.record_type() == kind;
                records.iter().filter(of_it).cloned()
            };
            let found: Vec<_> = own(self.kind).collect();
            if !found.is_empty() {
                self.take(found)?;
                return Ok(true);
            }
            let Some(alias) = own(RecordType::CNAME).next() else { break };
            let RData::CNAME(target) = &alias.data else { break };
            *end = target.0.clone();
            self.take(vec![alias])?;
        }
        if *end == start { Err(Nothing::Failed) } else { Ok(false) }
    }

    fn take(&mut self, records: Vec<Record>) -> Result<(), Nothing> {
        if records.iter().any(|record| security(record.proof).is_none()) {
            return Err(Nothing::Failed);
        }
        self.records.extend(records);
        Ok(())
    }

    pub(super) fn security(&self) -> Security {
        self.records.iter().fold(Security::Secure, |all, record| weaker(all, of(record)))
    }

    /// The security of the records of the name itself.
    pub(super) fn first(&self) -> Security {
        let own = self.records.iter().filter(|record| record.name == self.name);
        own.map(of).reduce(weaker).unwrap_or(Security::Insecure)
    }

    pub(super) fn alias(&self) -> Option<String> {
        let end = self.records.iter().find(|record| record.record_type() == self.kind)?;
        (end.name != self.name).then(|| text(&end.name))
    }

    pub(super) fn ttl(&self) -> u32 {
        self.records.iter().map(|record| record.ttl).min().unwrap_or_default()
    }

    pub(super) fn records<T>(&self, read: impl Fn(&RData) -> Option<T>) -> impl Iterator<Item = T> {
        self.records.iter().filter_map(move |record| read(&record.data))
    }
}

/// `None` if the records must not be used.
pub(super) const fn security(proof: Proof) -> Option<Security> {
    match proof {
        Proof::Secure => Some(Security::Secure),
        Proof::Insecure => Some(Security::Insecure),
        Proof::Bogus | Proof::Indeterminate => None,
    }
}

fn of(record: &Record) -> Security {
    security(record.proof).unwrap_or(Security::Insecure)
}

pub(super) const fn weaker(one: Security, other: Security) -> Security {
    match (one, other) {
        (Security::Secure, Security::Secure) => Security::Secure,
        _ => Security::Insecure,
    }
}

pub(super) fn text(name: &Name) -> String {
    name.to_ascii()
}
