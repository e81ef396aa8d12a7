//! Certificate chains against TLSA records: every usage, selector and matching type.
#![cfg(feature = "dane")]

use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, DnValue,
    GeneralSubtree, IsCa, KeyPair, NameConstraints, PublicKeyData as _, date_time_ymd,
};
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, DnsName, ServerName, UnixTime};
use rustls::{CertificateError, Error};
use sha2::{Digest as _, Sha256, Sha512};
use starttls::mx::dane::Usage;
use starttls::mx::{
    Answer, Domain, Mx, Options, Question, Requirement, Resolution, Security, Step, Tlsa,
};
use starttls_rustls::dane::Verifier;

struct Chain {
    root: Certified,
    intermediate: Certified,
    leaf: Certified,
}

struct Certified {
    der: CertificateDer<'static>,
    key: Vec<u8>,
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Root, intermediate and leaf. The leaf has these names and is valid until that year.
fn chain(names: &[&str], until: i32) -> Chain {
    let names: Vec<_> = names.iter().map(|name| name.to_string()).collect();
    let mut leaf = CertificateParams::new(names).expect("names");
    leaf.not_after = date_time_ymd(until, 1, 1);
    issue(authority("root"), authority("intermediate"), leaf)
}

fn issue(root: CertificateParams, between: CertificateParams, leaf: CertificateParams) -> Chain {
    let root =
        CertifiedIssuer::self_signed(root, KeyPair::generate().expect("a key")).expect("a root");
    let intermediate =
        CertifiedIssuer::signed_by(between, KeyPair::generate().expect("a key"), &root)
            .expect("an intermediate");
    let key = KeyPair::generate().expect("a key");
    let leaf = leaf.signed_by(&key, &intermediate).expect("a leaf");
    let key_of = |issuer: &CertifiedIssuer<'_, KeyPair>| issuer.key().subject_public_key_info();
    Chain {
        root: Certified { key: key_of(&root), der: root.der().clone() },
        intermediate: Certified { key: key_of(&intermediate), der: intermediate.der().clone() },
        leaf: Certified { key: key.subject_public_key_info(), der: leaf.der().clone() },
    }
}

impl Certified {
    fn data(&self, selector: u8, matching: u8) -> Vec<u8> {
        let selected = match selector {
            0 => self.der.as_ref(),
            _ => &self.key,
        };
        match matching {
            0 => selected.into(),
            1 => Sha256::digest(selected).to_vec(),
            _ => Sha512::digest(selected).to_vec(),
        }
    }
}

struct Records(Vec<(u8, u8, u8, Vec<u8>)>);

impl Records {
    fn of(usage: u8, selector: u8, matching: u8, certified: &Certified) -> Self {
        Self(vec![(usage, selector, matching, certified.data(selector, matching))])
    }
}

/// The verdict on a chain at a host with these records, in the year 2026.
fn verdict(records: &Records, presented: &[&Certified]) -> Result<Usage, Error> {
    let tlsa: Vec<_> = records
        .0
        .iter()
        .map(|(usage, selector, matching, data)| Tlsa {
            usage: *usage,
            selector: *selector,
            matching: *matching,
            data,
        })
        .collect();
    let domain = Domain::new("example.org").expect("a name");
    let mut resolution = Resolution::<1>::new(domain, Options::default().with_sts(false));
    let mut answer = None;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = loop {
        answer = match resolution.step(answer).expect("an answer to the question") {
            Step::Ask(Question::Mx(_)) => Some(Answer::Mx {
                security: Security::Secure,
                alias: None,
                records: &[Mx { preference: 1, name: "mx.example.net" }],
                ttl: 1,
            }),
            Step::Ask(Question::Address(_)) => Some(Answer::Address {
                first: Security::Secure,
                last: Security::Secure,
                alias: None,
                found: true,
                ttl: 1,
            }),
            Step::Ask(_) => {
                Some(Answer::Tlsa { security: Security::Secure, records: &tlsa, ttl: 1 })
            }
            Step::Host(host) => match host.requirement {
                Requirement::Dane { names, records, .. } => {
                    break Verifier::new(names, records, provider).expect("a name");
                }
                other => panic!("{other:?}"),
            },
            step => panic!("{step:?}"),
        };
    };
    assert_eq!(verifier.server_name(), &ServerName::try_from("mx.example.net").expect("a name"));
    let der: Vec<CertificateDer<'_>> =
        presented.iter().map(|certified| certified.der.clone()).collect();
    let (leaf, intermediates) = der.split_first().expect("a leaf");
    // 2026-07-01.
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_782_864_000));
    let outcome =
        verifier.verify_server_cert(leaf, intermediates, verifier.server_name(), &[], now);
    assert_eq!(outcome.is_ok(), verifier.verified_by().is_some());
    outcome.map(|_| verifier.verified_by().expect("by a record"))
}

const NO_MATCH: Result<Usage, Error> =
    Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));

fn all() -> impl Iterator<Item = (u8, u8)> {
    (0..=1).flat_map(|selector| (0..=2).map(move |matching| (selector, matching)))
}

/// RFC 7672 §3.1.1: neither names nor dates matter.
#[test]
fn end_entity() {
    let wrong = chain(&["other.example"], 2020);
    let right = chain(&["mx.example.net"], 2030);
    for (selector, matching) in all() {
        let Chain { root, intermediate, leaf } = &wrong;
        let records = Records::of(3, selector, matching, leaf);
        for presented in [&[leaf][..], &[leaf, intermediate], &[leaf, intermediate, root]] {
            assert_eq!(verdict(&records, presented), Ok(Usage::EndEntity));
        }
        let Chain { root, intermediate, leaf } = &right;
        assert_eq!(verdict(&records, &[leaf, intermediate, root]), NO_MATCH);
        // A CA of the chain is not the server.
        for authority in [intermediate, root] {
            let records = Records::of(3, selector, matching, authority);
            assert_eq!(verdict(&records, &[leaf, intermediate, root]), NO_MATCH);
        }
    }
}

/// RFC 7672 §3.1.2: the chain, its dates and a name are checked.
#[test]
fn trust_anchor() {
    let right = chain(&["mx.example.net"], 2030);
    let Chain { root, intermediate, leaf } = &right;
    let whole = [leaf, intermediate, root];
    for (selector, matching) in all() {
        let by_root = Records::of(2, selector, matching, root);
        let by_intermediate = Records::of(2, selector, matching, intermediate);
        let by_leaf = Records::of(2, selector, matching, leaf);
        assert_eq!(verdict(&by_root, &whole), Ok(Usage::TrustAnchor));
        assert_eq!(verdict(&by_intermediate, &whole), Ok(Usage::TrustAnchor));
        assert_eq!(verdict(&by_intermediate, &[leaf, intermediate]), Ok(Usage::TrustAnchor));
        // A leaf is no CA, even if the record contains the whole certificate.
        assert!(verdict(&by_leaf, &whole).is_err());

        // A CA that the server does not send is known only if the record contains its whole certificate or
        // key.
        let expected = if matching == 0 { Ok(Usage::TrustAnchor) } else { NO_MATCH };
        assert_eq!(verdict(&by_root, &[leaf, intermediate]), expected);

        let other = chain(&["mx.example.net"], 2030);
        let strange = [&other.leaf, &other.intermediate, &other.root];
        // The same name with another key.
        let forged = Err(Error::InvalidCertificate(CertificateError::BadSignature));
        let expected = if matching == 0 { forged.clone() } else { NO_MATCH };
        assert_eq!(verdict(&by_root, &strange), expected);
        // The CA is in the chain, but did not issue the leaf.
        assert_eq!(verdict(&by_root, &[&other.leaf, &other.intermediate, root]), forged);
    }
}

/// RFC 7672 §3.2.2, §3.2.3.
#[test]
fn names_of_a_trust_anchor() {
    let rows = [
        ("mx.example.net", true),
        ("example.org", true),
        ("*.example.net", true),
        ("*.example.org", false),
        ("mx*.example.net", false),
        ("other.example.net", false),
        ("a.mx.example.net", false),
    ];
    for (name, expected) in rows {
        let Chain { root, intermediate, leaf } = &chain(&[name], 2030);
        let outcome = verdict(&Records::of(2, 0, 1, root), &[leaf, intermediate, root]);
        assert_eq!(outcome.is_ok(), expected, "{name}: {outcome:?}");
    }
}

/// A leaf with these Common Names and alternative names.
fn commonly_named(common: &[DnValue], names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| name.to_string()).collect();
    let mut leaf = CertificateParams::new(names).expect("names");
    leaf.distinguished_name = DistinguishedName::new();
    // rcgen refuses a second entry of the same type, so the second uses the type's numbers.
    let types = [DnType::CommonName, DnType::CustomDnType(vec![2, 5, 4, 3])];
    for (kind, name) in types.into_iter().zip(common) {
        leaf.distinguished_name.push(kind, name.clone());
    }
    leaf.distinguished_name.push(DnType::OrganizationName, "mx.example.net");
    leaf
}

/// RFC 7672 §3.2.3: a Common Name counts only if there is no DNS name; wildcards work as in DNS names.
#[test]
fn common_names_of_a_trust_anchor() {
    use DnValue::{BmpString, Ia5String, PrintableString, TeletexString, Utf8String};
    let utf8 = |name: &str| Utf8String(name.into());
    let right: &[_] = &[utf8("mx.example.net")];
    let rows: [(&[DnValue], &[&str], bool); 22] = [
        (right, &[], true),
        (&[utf8("MX.Example.Net")], &[], true),
        (&[utf8("example.org")], &[], true),
        (&[PrintableString("mx.example.net".try_into().expect("printable"))], &[], true),
        (&[Ia5String("mx.example.net".try_into().expect("ASCII"))], &[], true),
        (&[TeletexString("mx.example.net".try_into().expect("letters"))], &[], true),
        (&[BmpString("mx.example.net".try_into().expect("letters"))], &[], false),
        (&[utf8("The mail server"), utf8("mx.example.net")], &[], true),
        (&[utf8("mx.example.net"), utf8("The mail server")], &[], true),
        (&[utf8("*.example.net")], &[], true),
        (&[utf8("*.example.org")], &[], false),
        (&[utf8("mx*.example.net")], &[], false),
        (&[utf8("*.net")], &[], false),
        (&[utf8("*.org")], &[], false),
        (&[utf8("*")], &[], false),
        (&[utf8("a.mx.example.net")], &[], false),
        (&[utf8("mx.example.net\0.example.com")], &[], false),
        // No Common Name, only the organization.
        (&[], &[], false),
        // An IP address is no DNS name.
        (right, &["192.0.2.1"], true),
        (right, &["other.example"], false),
        (right, &["192.0.2.1", "mx*.example.net"], false),
        (&[utf8("other.example")], &["mx.example.net"], true),
    ];
    for (common, names, expected) in rows {
        let leaf = commonly_named(common, names);
        let Chain { root, intermediate, leaf } =
            &issue(authority("root"), authority("intermediate"), leaf);
        let outcome = verdict(&Records::of(2, 0, 1, root), &[leaf, intermediate, root]);
        assert_eq!(outcome.is_ok(), expected, "{common:?} {names:?}: {outcome:?}");
    }
}

/// RFC 5280 §4.2.1.10: a CA with name constraints cannot bypass them by a Common Name.
#[test]
fn common_names_of_a_limited_authority() {
    let limited = |name| {
        let mut params = authority(name);
        let permitted_subtrees = vec![GeneralSubtree::DnsName("example.net".into())];
        params.name_constraints =
            Some(NameConstraints { permitted_subtrees, excluded_subtrees: vec![] });
        params
    };
    let leaf = |names: &[&str]| commonly_named(&["mx.example.net".into()], names);
    let rows = [
        (authority("root"), limited("intermediate")),
        (limited("root"), authority("intermediate")),
    ];
    for (root, intermediate) in rows {
        let named = issue(root.clone(), intermediate.clone(), leaf(&["mx.example.net"]));
        let Chain { root: anchor, intermediate: between, leaf: end } = &named;
        let outcome = verdict(&Records::of(2, 0, 1, anchor), &[end, between, anchor]);
        assert_eq!(outcome, Ok(Usage::TrustAnchor));
        let Chain { root, intermediate, leaf } = &issue(root, intermediate, leaf(&[]));
        let outcome = verdict(&Records::of(2, 0, 1, root), &[leaf, intermediate, root]);
        assert!(outcome.is_err());
        let outcome = verdict(&Records::of(2, 0, 0, root), &[leaf, intermediate]);
        assert!(outcome.is_err());
    }
}

#[test]
fn dates_of_a_trust_anchor() {
    let Chain { root, intermediate, leaf } = &chain(&["mx.example.net"], 2020);
    let outcome = verdict(&Records::of(2, 0, 1, root), &[leaf, intermediate, root]);
    assert!(
        matches!(
            outcome,
            Err(Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. }
            ))
        ),
        "{outcome:?}"
    );
}

/// RFC 7672 §4: the old key or the next one. RFC 7671 §9: the weaker digest alone does not suffice.
#[test]
fn several_records() {
    let (old, new) = (chain(&["mx.example.net"], 2030), chain(&["mx.example.net"], 2030));
    let both = Records(vec![(3, 1, 1, old.leaf.data(1, 1)), (3, 1, 1, new.leaf.data(1, 1))]);
    for Chain { intermediate, leaf, .. } in [&old, &new] {
        assert_eq!(verdict(&both, &[leaf, intermediate]), Ok(Usage::EndEntity));
    }
    let weak = Records(vec![(3, 1, 1, old.leaf.data(1, 1)), (3, 1, 2, new.leaf.data(1, 2))]);
    assert_eq!(verdict(&weak, &[&old.leaf, &old.intermediate]), NO_MATCH);
    assert_eq!(verdict(&weak, &[&new.leaf, &new.intermediate]), Ok(Usage::EndEntity));
    // The CA's record verifies the server although the record of its own certificate does not match.
    let mixed = Records(vec![(3, 1, 1, old.leaf.data(1, 1)), (2, 0, 1, new.root.data(0, 1))]);
    let presented = [&new.leaf, &new.intermediate, &new.root];
    assert_eq!(verdict(&mixed, &presented), Ok(Usage::TrustAnchor));
}

/// RFC 7672 §3.1.2: the dates and the path length of the CA's own certificate.
#[test]
fn limits_of_a_trust_anchor() {
    type Row = (CertificateParams, Result<Usage, CertificateError>);
    let limited = |length| {
        let mut params = authority("root");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
        params
    };
    let dated = |from, until| {
        let mut params = authority("root");
        (params.not_before, params.not_after) =
            (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        params
    };
    let mut no_authority = authority("root");
    no_authority.is_ca = IsCa::ExplicitNoCa;
    // A version 3 certificate without the CA flag is no CA's.
    let mut silent = authority("root");
    silent.is_ca = IsCa::NoCa;
    let rows: [Row; 8] = [
        (authority("root"), Ok(Usage::TrustAnchor)),
        (limited(1), Ok(Usage::TrustAnchor)),
        (limited(0), Err(CertificateError::UnknownIssuer)),
        (dated(2020, 2030), Ok(Usage::TrustAnchor)),
        (dated(2020, 2026), Err(CertificateError::Expired)),
        (dated(2027, 2030), Err(CertificateError::NotValidYet)),
        (no_authority, Err(CertificateError::InvalidPurpose)),
        (silent, Err(CertificateError::InvalidPurpose)),
    ];
    for (root, expected) in rows {
        let leaf = CertificateParams::new(["mx.example.net".into()]).expect("a name");
        let Chain { root, intermediate, leaf } = &issue(root, authority("intermediate"), leaf);
        let expected = expected.map_err(Error::InvalidCertificate);
        for (selector, matching) in all() {
            let records = Records::of(2, selector, matching, root);
            assert_eq!(verdict(&records, &[leaf, intermediate, root]), expected);
            // In another order. The order does not tell which certificate issued which.
            assert_eq!(verdict(&records, &[leaf, root, intermediate]), expected);
        }
        assert_eq!(verdict(&Records::of(2, 0, 0, root), &[leaf, intermediate]), expected);
        // The intermediate is a trust anchor itself.
        let records = Records::of(2, 1, 1, intermediate);
        assert_eq!(verdict(&records, &[leaf, intermediate]), Ok(Usage::TrustAnchor));
    }
}

/// A host whose name cannot be in a certificate is never verified.
#[test]
fn names_of_hosts_are_names_of_certificates() {
    let octets = ['a', '1', '-', '_', '.'];
    let mut names = vec![String::new()];
    for length in 0..6 {
        for at in names.len() - octets.len().pow(length)..names.len() {
            let name = names[at].clone();
            names.extend(octets.map(|octet| format!("{name}{octet}")));
        }
    }
    let hosts: Vec<_> = names.iter().filter_map(|name| Domain::new(name).ok()).collect();
    assert!(hosts.len() > 1000);
    for host in hosts {
        assert!(DnsName::try_from(host.as_str()).is_ok(), "{host}");
    }
}
