use core::fmt;

use super::{is_name, trim_end, trim_start};

/// The id of a policy's version: 1 to 32 letters and digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    /// The id, padded with zeros.
    octets: [u8; 32],
}

impl Id {
    /// Checks an id, for example from a cache.
    #[must_use]
    pub fn new(id: &str) -> Option<Self> {
        Self::read(id.as_bytes())
    }

    fn read(id: &[u8]) -> Option<Self> {
        (matches!(id.len(), 1..=32) && id.iter().all(u8::is_ascii_alphanumeric)).then(|| {
            let mut octets = [0; 32];
            for (place, octet) in octets.iter_mut().zip(id) {
                *place = *octet;
            }
            Self { octets }
        })
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let id = self.octets.split(|octet| *octet == 0).next();
        core::str::from_utf8(id.unwrap_or_default()).unwrap_or_default()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Id {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.as_str());
    }
}

/// The id in the TXT records at `_mta-sts.` and the domain. The strings of each record have to be
/// concatenated. `None` if they announce no policy.
///
/// ```abnf
/// sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
/// sts-field       = sts-id / sts-extension
/// sts-field-delim = *WSP ";" *WSP
/// sts-version     = %s"v=STSv1"
/// sts-id          = %s"id=" 1*32(ALPHA / DIGIT)
/// ```
#[must_use]
pub fn announced(records: &[&[u8]]) -> Option<Id> {
    read(records).ok()
}

/// The reason why the TXT records at `_mta-sts.` and the domain announce no policy. `None` if they do, or
/// if there are none.
#[must_use]
pub fn flaw(records: &[&[u8]]) -> Option<Flaw> {
    if records.is_empty() { None } else { read(records).err() }
}

/// A defect of TXT records that should announce a policy (RFC 8461 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Flaw {
    /// No record begins with `v=STSv1;`.
    Version,
    /// Several records begin with it, so none counts.
    Several,
    /// The record has no `id`.
    NoId,
    /// The `id` is not 1 to 32 letters and digits.
    Id,
    /// A field is not of the form `NAME=VALUE`, or is empty.
    Field,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Version => "no TXT record begins with v=STSv1;",
            Self::Several => "several TXT records begin with v=STSv1, so none counts",
            Self::NoId => "the TXT record has no id",
            Self::Id => "the id of the TXT record is not 1 to 32 letters and digits",
            Self::Field => "a field of the TXT record is not of the form NAME=VALUE",
        })
    }
}

impl core::error::Error for Flaw {}

fn read(records: &[&[u8]]) -> Result<Id, Flaw> {
    let mut ours = records.iter().filter_map(|record| record.strip_prefix(b"v=STSv1"));
    let mut ours = ours.by_ref().filter(|fields| fields.trim_ascii_start().starts_with(b";"));
    let fields = match (ours.next(), ours.next()) {
        (Some(fields), None) => fields,
        (Some(_), Some(_)) => return Err(Flaw::Several),
        (None, _) => return Err(Flaw::Version),
    };
    let mut id = None;
    let mut rest = fields;
    while let [b';', field @ ..] = trim_start(rest) {
        let field = trim_start(field);
        let end = field.iter().position(|octet| *octet == b';').unwrap_or(field.len());
        let (field, after) = field.split_at_checked(end).unwrap_or_default();
        let field = trim_end(field);
        match (field, field.strip_prefix(b"id=")) {
            ([], _) if after.is_empty() => {}
            (_, Some(value)) if id.is_none() => id = Some(Id::read(value).ok_or(Flaw::Id)?),
            _ if is_extension(field) => {}
            _ => return Err(Flaw::Field),
        }
        rest = after;
    }
    if trim_start(rest).is_empty() { id.ok_or(Flaw::NoId) } else { Err(Flaw::Field) }
}

/// Whether a field is `sts-ext-name "=" sts-ext-value`. The value has no `=`.
fn is_extension(field: &[u8]) -> bool {
    let Some(equals) = field.iter().position(|octet| *octet == b'=') else { return false };
    let (name, value) = field.split_at_checked(equals).unwrap_or_default();
    let Some((b'=', value)) = value.split_first() else { return false };
    let is_value = |octet: &u8| octet.is_ascii_graphic() && *octet != b'=';
    is_name(name) && !value.is_empty() && value.iter().all(is_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_announce() {
        let rows: [(&[&str], Option<&str>); 32] = [
            (&["v=STSv1; id=20160831085700Z;"], Some("20160831085700Z")),
            (&["v=STSv1;id=1"], Some("1")),
            (&["v=STSv1 \t; \tid=1\t ; "], Some("1")),
            (&["v=STSv1; a-b_c.d=x:y!; id=1"], Some("1")),
            (&["v=STSv1; id=1; id=2"], Some("1")),
            (&["v=STSv1; id=1; id=a-b"], Some("1")),
            (&["v=STSv1; id=a-b; id=1"], None),
            (&["v=STSv1; id=1; id="], None),
            (&["v=STSv1; id=1; x="], None),
            (&["v=STSv1; id=1; x=y=z"], None),
            (&["v=spf1 -all", "v=STSv1; id=1", "v=STSv2; id=3"], Some("1")),
            (
                &["v=STSv1; id=12345678901234567890123456789012"],
                Some("12345678901234567890123456789012"),
            ),
            (&[], None),
            (&["v=STSv1; id=1", "v=STSv1; id=1"], None),
            (&["v=STSv1; id=123456789012345678901234567890123"], None),
            (&["v=STSv1"], None),
            (&["v=STSv1;"], None),
            (&["v=STSv1; x=1"], None),
            (&["v=STSv1; id="], None),
            (&["v=STSv1; id=a-b"], None),
            (&["v=STSv1; ID=1"], None),
            (&["V=STSv1; id=1"], None),
            (&["v=stsv1; id=1"], None),
            (&["v=STSv12; id=1"], None),
            (&[" v=STSv1; id=1"], None),
            (&["id=1; v=STSv1"], None),
            (&["v=STSv1; id=1; x"], None),
            (&["v=STSv1; id=1; -x=1"], None),
            (&["v=STSv1; id=1; x=a b"], None),
            (&["v=STSv1; id=1; x=\u{e4}"], None),
            (&["v=STSv1; id=1;; x=1"], None),
            (&["v=STSv1 id=1"], None),
        ];
        for (records, expected) in rows {
            let octets: heapless::Vec<&[u8], 4> =
                records.iter().map(|record| record.as_bytes()).collect();
            let id = announced(&octets);
            assert_eq!(id.as_ref().map(Id::as_str), expected, "{records:?}");
        }
    }
    #[test]
    fn defects_of_records_are_found() {
        let rows: [(&[&str], Option<Flaw>); 11] = [
            (&[], None),
            (&["v=STSv1; id=1"], None),
            (&["v=spf1 -all", "v=STSv1; id=1"], None),
            (&["v=spf1 -all"], Some(Flaw::Version)),
            (&["v=STSv1"], Some(Flaw::Version)),
            (&["V=STSv1; id=1"], Some(Flaw::Version)),
            (&["v=STSv1; id=1", "v=STSv1; id=1"], Some(Flaw::Several)),
            (&["v=STSv1; x=1"], Some(Flaw::NoId)),
            (&["v=STSv1; id=2026-11-22"], Some(Flaw::Id)),
            (&["v=STSv1; id=1; x"], Some(Flaw::Field)),
            (&["v=STSv1; id=1;; x=1"], Some(Flaw::Field)),
        ];
        for (records, expected) in rows {
            let octets: heapless::Vec<&[u8], 4> =
                records.iter().map(|record| record.as_bytes()).collect();
            assert_eq!(flaw(&octets), expected, "{records:?}");
            assert!(flaw(&octets).is_none() || announced(&octets).is_none(), "{records:?}");
        }
    }
}
