//! DANE for SMTP (RFC 7672): signed TLSA records about the certificates of a domain's servers.

/// The place of a record's certificate in the server's chain.
///
/// The enum is exhaustive: mail uses no others (RFC 7672 §3.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Usage {
    /// `DANE-TA(2)`: a CA in the chain. The chain and a name are checked.
    TrustAnchor,
    /// `DANE-EE(3)`: the server's own certificate. Its names and dates are ignored.
    EndEntity,
}

/// The part of a certificate that a record covers.
///
/// The enum is exhaustive: RFC 6698 §2.1.2 defines no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Selector {
    /// `Cert(0)`: the whole certificate.
    Certificate,
    /// `SPKI(1)`: the public key, as SubjectPublicKeyInfo.
    PublicKey,
}

/// The comparison with a record's data.
///
/// The enum is exhaustive: RFC 6698 §2.1.3 defines no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Matching {
    /// `Full(0)`: the data itself, in DER.
    Full,
    /// `SHA2-256(1)`: its hash of 32 bytes.
    Sha256,
    /// `SHA2-512(2)`: its hash of 64 bytes.
    Sha512,
}

/// A TLSA record from the DNS (RFC 6698 §2.1), with the numbers of its wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(clippy::exhaustive_structs, reason = "the wire format has these fields and no others")]
pub struct Tlsa<'i> {
    /// The certificate usage.
    pub usage: u8,
    /// The selector.
    pub selector: u8,
    /// The matching type.
    pub matching: u8,
    /// The certificate association data.
    pub data: &'i [u8],
}

/// A usable record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Association<'i> {
    /// The place of its certificate in the server's chain.
    pub usage: Usage,
    /// The part of the certificate that counts.
    pub selector: Selector,
    /// The comparison with the data.
    pub matching: Matching,
    /// The data.
    pub data: &'i [u8],
}

impl<'i> Tlsa<'i> {
    /// The record as an association, if it is usable: of a kind that mail uses, and well-formed (RFC 6698
    /// §4.1, RFC 7672 §3.1).
    #[must_use]
    pub fn usable(&self) -> Option<Association<'i>> {
        let usage = match self.usage {
            2 => Usage::TrustAnchor,
            3 => Usage::EndEntity,
            _ => return None,
        };
        let selector = match self.selector {
            0 => Selector::Certificate,
            1 => Selector::PublicKey,
            _ => return None,
        };
        let matching = match (self.matching, self.data.len()) {
            (0, _) if is_sequence(self.data) => Matching::Full,
            (1, 32) => Matching::Sha256,
            (2, 64) => Matching::Sha512,
            _ => return None,
        };
        Some(Association { usage, selector, matching, data: self.data })
    }
}

/// Whether the data is exactly one DER SEQUENCE, as certificates and public keys are.
fn is_sequence(data: &[u8]) -> bool {
    let (length, content) = match data {
        [0x30, length @ 0..=0x7f, content @ ..] => (usize::from(*length), content),
        [0x30, 0x81, length @ 0x80..=0xff, content @ ..] => (usize::from(*length), content),
        [0x30, 0x82, high @ 1..=0xff, low, content @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), content)
        }
        _ => return false,
    };
    length == content.len() && length != 0
}

/// The records of a server, of which at least one is usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Associations<'i>(&'i [Tlsa<'i>]);

impl<'i> Associations<'i> {
    /// The records; `None` if none is usable.
    #[must_use]
    pub fn new(records: &'i [Tlsa<'i>]) -> Option<Self> {
        records.iter().any(|record| record.usable().is_some()).then_some(Self(records))
    }

    /// The records that count: a certificate that matches one of them is the server's. Of records that
    /// differ only in their hash, only the strongest count (RFC 7671 §9).
    pub fn iter(&self) -> impl Iterator<Item = Association<'i>> + use<'i> {
        let records = self.0;
        let usable = || records.iter().filter_map(Tlsa::usable);
        usable().filter(move |one| {
            one.matching == Matching::Full
                || !usable().any(|other| {
                    (other.usage, other.selector) == (one.usage, one.selector)
                        && other.matching > one.matching
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn record(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Tlsa<'_> {
        Tlsa { usage, selector, matching, data }
    }

    #[test]
    fn only_records_for_mail_are_usable() {
        for usage in 0..=255 {
            for selector in 0..=255 {
                for matching in 0..=3 {
                    let data = &[0x30; 64][..[50, 32, 64, 64][usize::from(matching)]];
                    let is = record(usage, selector, matching, data).usable().is_some();
                    let should = matches!((usage, selector, matching), (2 | 3, 0 | 1, 0..=2));
                    assert_eq!(is, should, "{usage} {selector} {matching}");
                }
            }
        }
    }

    #[test]
    fn the_data_has_to_fit_its_kind() {
        let rows: [(u8, &[u8], bool); 14] = [
            (1, &[0; 31], false),
            (1, &[0; 32], true),
            (1, &[0; 33], false),
            (2, &[0; 32], false),
            (2, &[0; 63], false),
            (2, &[0; 64], true),
            (0, b"", false),
            (0, b"\x30", false),
            (0, b"\x30\x00", false),
            (0, b"\x30\x01x", true),
            (0, b"\x30\x01xy", false),
            (0, b"\x31\x01x", false),
            (0, b"\x30\x81\x01x", false),
            (0, b"\x30\x80x\0\0", false),
        ];
        for (matching, data, usable) in rows {
            assert_eq!(record(3, 1, matching, data).usable().is_some(), usable, "{data:?}");
        }
        let mut long = [0_u8; 0x180];
        long[..4].copy_from_slice(b"\x30\x82\x01\x7c");
        assert!(record(2, 0, 0, &long).usable().is_some());
        assert!(record(2, 0, 0, &long[..0x17f]).usable().is_none());
    }

    #[test]
    fn the_strongest_hash_of_a_kind_counts() {
        let full = record(3, 1, 0, b"\x30\x01x");
        let weak = record(3, 1, 1, &[1; 32]);
        let strong = record(3, 1, 2, &[2; 64]);
        let malformed = record(3, 1, 2, &[2; 63]);
        let other = record(3, 0, 1, &[3; 32]);
        let authority = record(2, 1, 1, &[4; 32]);
        let unusable = record(1, 1, 2, &[5; 64]);
        type Rows<'t> = [(&'t [Tlsa<'t>], &'t [Tlsa<'t>]); 6];
        let rows: Rows<'_> = [
            (&[weak, strong, full], &[strong, full]),
            (&[weak, malformed], &[weak]),
            (&[weak, weak], &[weak, weak]),
            (&[weak, other, authority, unusable], &[weak, other, authority]),
            (&[strong, other, authority], &[strong, other, authority]),
            (&[unusable, full], &[full]),
        ];
        for (records, expected) in rows {
            let left = Associations::new(records).expect("usable").iter();
            assert!(left.eq(expected.iter().filter_map(Tlsa::usable)), "{records:?}");
        }
        assert_eq!(Associations::new(&[unusable, malformed]), None);
        assert_eq!(Associations::new(&[]), None);
    }
}
