use std::fmt;
use std::net::IpAddr;

use starttls::mx::{self, Answer, Cached, ResultType, Security, sts};

/// An [`Answer`] that owns its data.
#[derive(Clone, Debug)]
pub(super) enum Found {
    Failed,
    NoDomain,
    Mx {
        security: Security,
        alias: Option<String>,
        records: Vec<Mx>,
        ttl: u32,
    },
    Cached {
        now: u64,
        entry: Option<Entry>,
    },
    Txt(Vec<Vec<u8>>),
    Policy(Result<Vec<u8>, Unfetched>),
    Address {
        first: Security,
        last: Security,
        alias: Option<String>,
        ttl: u32,
        addresses: Vec<IpAddr>,
    },
    Tlsa {
        security: Security,
        records: Vec<Tlsa>,
        ttl: u32,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Mx {
    pub(super) preference: u16,
    pub(super) name: String,
}

/// An MTA-STS policy in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The id of the record that announced it.
    pub(super) id: sts::Id,
    /// When it was fetched, in seconds of Unix time.
    pub(super) fetched: u64,
    pub(super) text: Vec<u8>,
}

/// Why there is no policy, in the words of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfetched {
    pub(super) result: ResultType,
    pub(super) reason: String,
}

/// A TLSA record. Displayed as in a zone file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tlsa {
    /// The certificate usage.
    pub usage: u8,
    /// The selector.
    pub selector: u8,
    /// The matching type.
    pub matching: u8,
    /// The certificate association data.
    pub data: Vec<u8>,
}

impl Tlsa {
    pub(super) fn borrow(&self) -> mx::Tlsa<'_> {
        let Self { usage, selector, matching, data } = self;
        mx::Tlsa { usage: *usage, selector: *selector, matching: *matching, data }
    }
}

impl fmt::Display for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        self.data.iter().try_for_each(|octet| write!(f, "{octet:02X}"))
    }
}

impl Found {
    /// Calls `then` with the answer.
    pub(super) fn with<T>(&self, then: impl FnOnce(Answer<'_>) -> T) -> T {
        match self {
            Self::Failed | Self::Policy(Err(_)) => then(Answer::Failed),
            Self::NoDomain => then(Answer::NoDomain),
            Self::Mx { security, alias, records, ttl } => {
                let records: Vec<_> = records
                    .iter()
                    .map(|mx| mx::Mx { preference: mx.preference, name: &mx.name })
                    .collect();
                let alias = alias.as_deref();
                then(Answer::Mx { security: *security, alias, records: &records, ttl: *ttl })
            }
            Self::Cached { now, entry } => {
                let entry =
                    entry.as_ref().map(|kept| Cached::new(kept.id, kept.fetched, &kept.text));
                then(Answer::Cached { now: *now, entry })
            }
            Self::Txt(records) => {
                let records: Vec<_> = records.iter().map(Vec::as_slice).collect();
                then(Answer::Txt { records: &records })
            }
            Self::Policy(Ok(text)) => then(Answer::Policy { text }),
            Self::Address { first, last, alias, ttl, addresses } => then(Answer::Address {
                first: *first,
                last: *last,
                alias: alias.as_deref(),
                found: !addresses.is_empty(),
                ttl: *ttl,
            }),
            Self::Tlsa { security, records, ttl } => {
                let records: Vec<_> = records.iter().map(Tlsa::borrow).collect();
                then(Answer::Tlsa { security: *security, records: &records, ttl: *ttl })
            }
        }
    }
}
