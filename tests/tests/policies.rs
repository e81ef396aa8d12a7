//! The duties of senders, from the tables in `policies/`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use starttls::mx::{
    Answer, Cached, Dane, Domain, Mx, Options, Question, Requirement, Resolution, Security, Step,
    Tlsa, sts,
};

/// The current time, to which the age of cached policies refers.
const NOW: u64 = 1_800_000_000;
const TTL: u32 = 3600;

#[derive(Debug, Deserialize)]
struct Table {
    row: Vec<Row>,
}

/// The answers, and the expected result; see `policies/README.md`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    source: String,
    rules: Vec<String>,
    #[serde(default)]
    options: Wanted,
    #[serde(default = "one_host")]
    mx: Lookup<MxAnswer>,
    cached: Option<Kept>,
    #[serde(default = "nothing")]
    txt: Lookup<Vec<String>>,
    #[serde(default = "failed")]
    policy: Lookup<Text>,
    #[serde(default)]
    address: BTreeMap<String, Lookup<AddressAnswer>>,
    #[serde(default)]
    tlsa: BTreeMap<String, Lookup<TlsaAnswer>>,
    asks: Option<Vec<String>>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    end: Option<String>,
    keeps: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    port: Option<u16>,
    dane: Option<String>,
    sts: Option<bool>,
    require_tls: bool,
    tls_optional: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Lookup<T> {
    Not(Failure),
    Found(T),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Failure {
    Failed,
    NoDomain,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    id: String,
    /// Negative if a clock that was ahead fetched it.
    age: i64,
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MxAnswer {
    #[serde(default)]
    insecure: bool,
    alias: Option<String>,
    records: Vec<String>,
    ttl: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AddressAnswer {
    /// Concerns the zone of the host.
    insecure: bool,
    /// Concerns the zone of its addresses.
    insecure_end: bool,
    alias: Option<String>,
    none: bool,
    ttl: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsaAnswer {
    #[serde(default)]
    insecure: bool,
    records: Vec<String>,
    ttl: Option<u32>,
}

fn one_host() -> Lookup<MxAnswer> {
    Lookup::Found(MxAnswer {
        insecure: false,
        alias: None,
        records: vec!["10 mx.example.org".into()],
        ttl: None,
    })
}

fn nothing() -> Lookup<Vec<String>> {
    Lookup::Found(Vec::new())
}

fn failed() -> Lookup<Text> {
    Lookup::Not(Failure::Failed)
}

const fn security(insecure: bool) -> Security {
    if insecure { Security::Insecure } else { Security::Secure }
}

impl Row {
    fn options(&self) -> Options {
        let wanted = &self.options;
        let dane = match wanted.dane.as_deref() {
            None => Dane::default(),
            Some("off") => Dane::Off,
            Some("secure-hosts") => Dane::SecureHosts,
            Some("mandatory") => Dane::Mandatory,
            Some(other) => panic!("{}: {other}?", self.id),
        };
        Options::default()
            .with_port(wanted.port.unwrap_or(25))
            .with_dane(dane)
            .with_sts(wanted.sts.unwrap_or(true))
            .with_require_tls(wanted.require_tls)
            .with_tls_optional(wanted.tls_optional)
    }
}

/// The answers to all lookups.
struct World<'r> {
    row: &'r Row,
    mx: Vec<Mx<'r>>,
    txt: Vec<&'r [u8]>,
    tlsa: BTreeMap<&'r str, Vec<Tlsa<'r>>>,
}

impl<'r> World<'r> {
    fn new(row: &'r Row) -> Self {
        let mx = match &row.mx {
            Lookup::Found(found) => found.records.iter().map(|record| {
                let (preference, name) = record.split_once(' ').expect("a preference and a name");
                Mx { preference: preference.parse().expect("a number"), name }
            }),
            Lookup::Not(_) => return Self { row, mx: vec![], txt: vec![], tlsa: BTreeMap::new() },
        };
        let txt = match &row.txt {
            Lookup::Found(records) => records.iter().map(String::as_bytes).collect(),
            Lookup::Not(_) => vec![],
        };
        let tlsa = row.tlsa.iter().filter_map(|(base, answer)| match answer {
            Lookup::Found(found) => {
                Some((base.as_str(), found.records.iter().map(|text| tlsa(text)).collect()))
            }
            Lookup::Not(_) => None,
        });
        Self { row, mx: mx.collect(), txt, tlsa: tlsa.collect() }
    }

    fn answer<'a>(&'a self, question: &Question<'_>) -> Answer<'a> {
        match question {
            Question::Mx(_) => match &self.row.mx {
                Lookup::Not(Failure::Failed) => Answer::Failed,
                Lookup::Not(Failure::NoDomain) => Answer::NoDomain,
                Lookup::Found(MxAnswer { insecure, alias, ttl, .. }) => Answer::Mx {
                    security: security(*insecure),
                    alias: alias.as_deref(),
                    records: &self.mx,
                    ttl: ttl.unwrap_or(TTL),
                },
            },
            Question::Cached(_) => {
                let entry = self.row.cached.as_ref().map(|kept| {
                    Cached::new(
                        sts::Id::new(&kept.id).expect("an id"),
                        NOW.checked_add_signed(-kept.age).expect("a time"),
                        kept.text.as_bytes(),
                    )
                });
                Answer::Cached { now: NOW, entry }
            }
            Question::Txt(_) => match self.row.txt {
                Lookup::Not(_) => Answer::Failed,
                Lookup::Found(_) => Answer::Txt { records: &self.txt },
            },
            Question::Policy(_) => match &self.row.policy {
                Lookup::Not(_) => Answer::Failed,
                Lookup::Found(Text { text }) => Answer::Policy { text: text.as_bytes() },
            },
            Question::Address(host) => {
                let default = AddressAnswer::default();
                let found = match self.row.address.get(host.as_str()) {
                    Some(Lookup::Not(_)) => return Answer::Failed,
                    Some(Lookup::Found(found)) => found,
                    None => &default,
                };
                Answer::Address {
                    first: security(found.insecure),
                    last: security(found.insecure || found.insecure_end),
                    alias: self.row.address.get(host.as_str()).and_then(|answer| match answer {
                        Lookup::Found(found) => found.alias.as_deref(),
                        Lookup::Not(_) => None,
                    }),
                    found: !found.none,
                    ttl: found.ttl.unwrap_or(TTL),
                }
            }
            Question::Tlsa { base, .. } => match self.row.tlsa.get(base.as_str()) {
                None => Answer::Tlsa { security: Security::Secure, records: &[], ttl: TTL },
                Some(Lookup::Not(_)) => Answer::Failed,
                Some(Lookup::Found(found)) => Answer::Tlsa {
                    security: security(found.insecure),
                    records: &self.tlsa[base.as_str()],
                    ttl: found.ttl.unwrap_or(TTL),
                },
            },
            _ => panic!("{question}?"),
        }
    }
}

/// `3 1 1` with data of the right size, or of the size in a fourth number.
fn tlsa(text: &str) -> Tlsa<'static> {
    let numbers: Vec<usize> = text.split(' ').map(|n| n.parse().expect("a number")).collect();
    let [usage, selector, matching, ref length @ ..] = numbers[..] else { panic!("{text}") };
    let octet = |number: usize| u8::try_from(number).expect("a byte");
    let length = length.first().copied().unwrap_or([50, 32, 64][matching.min(2)]);
    // 0x30 0x30 and so on is a SEQUENCE of 48 bytes.
    Tlsa {
        usage: octet(usage),
        selector: octet(selector),
        matching: octet(matching),
        data: &[0x30; 64][..length],
    }
}

fn check(row: &Row) {
    let world = World::new(row);
    let domain = Domain::new("example.org").expect("a name");
    let mut resolution = Resolution::<4>::new(domain, row.options());
    let (mut asked, mut hosts, mut kept) = (Vec::new(), Vec::new(), None);
    let mut answer = None;
    let end = loop {
        answer = match resolution.step(answer).expect("the answer matches the question") {
            Step::Ask(question) => {
                asked.push(question.to_string());
                Some(world.answer(&question))
            }
            Step::Keep { domain, id, policy } => {
                assert_eq!(domain.as_str(), "example.org");
                kept = Some(format!("{} {}", id.as_str(), policy.mode().as_str()));
                None
            }
            Step::Host(host) => {
                let mut shown = format!("{} {}", host.name, show(&host.requirement));
                if !host.is_secure {
                    shown += ", insecure";
                }
                if let Some(mode) = host.sts {
                    shown += &format!(", sts {}", mode.as_str());
                }
                if host.ttl != TTL {
                    shown += &format!(", ttl {}", host.ttl);
                }
                hosts.push(shown);
                None
            }
            Step::End => break None,
            Step::Undeliverable(why) => break Some(format!("{why:?}")),
        };
    };
    assert_eq!(hosts, row.hosts, "{}", row.id);
    assert_eq!(end, row.end, "{}", row.id);
    assert_eq!(kept, row.keeps, "{}", row.id);
    if let Some(asks) = &row.asks {
        assert_eq!(&asked, asks, "{}", row.id);
    }
}

fn show(requirement: &Requirement<'_, '_>) -> String {
    match requirement {
        Requirement::Opportunistic => "opportunistic".into(),
        Requirement::Testing { listed: true } => "testing".into(),
        Requirement::Testing { listed: false } => "testing, not listed".into(),
        Requirement::Encrypted => "encrypted".into(),
        Requirement::Pkix => "pkix".into(),
        Requirement::Skip(why) => format!("skip {why:?}"),
        Requirement::Dane { base, names, records } => {
            let names: Vec<_> = names.iter().map(Domain::as_str).collect();
            assert_eq!(names.first(), Some(&base.as_str()));
            format!("dane {} x{}", names.join(" "), records.iter().count())
        }
    }
}

fn rows() -> Vec<Row> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the tables")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 3);
    files
        .iter()
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).expect("a table");
            let table: Table =
                toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            table.row
        })
        .collect()
}

#[test]
fn every_row() {
    let rows = rows();
    let mut seen = BTreeSet::new();
    for row in &rows {
        assert!(row.source.contains('§') && !row.rules.is_empty(), "{}: why?", row.id);
        assert!(seen.insert(&row.id), "{} twice", row.id);
        check(row);
    }
}

/// An answer that does not match the question changes nothing.
#[test]
fn only_the_matching_answer_counts() {
    let answers = [
        Answer::NoDomain,
        Answer::Mx { security: Security::Secure, alias: None, records: &[], ttl: 0 },
        Answer::Cached { now: 0, entry: None },
        Answer::Txt { records: &[] },
        Answer::Policy { text: b"" },
        Answer::Address {
            first: Security::Secure,
            last: Security::Secure,
            alias: None,
            found: true,
            ttl: 0,
        },
        Answer::Tlsa { security: Security::Secure, records: &[], ttl: 0 },
    ];
    for row in rows() {
        let world = World::new(&row);
        let domain = Domain::new("example.org").expect("a name");
        let mut resolution = Resolution::<4>::new(domain, row.options());
        let mut answer = None;
        loop {
            answer = match resolution.step(answer).expect("the answer matches the question") {
                Step::Ask(question) => {
                    let right = world.answer(&question);
                    let text = question.to_string();
                    let expected = match text.split(' ').next() {
                        Some("MX") => 1,
                        Some("cached") => 2,
                        Some("TXT") => 3,
                        Some("addresses") => 5,
                        Some("TLSA") => 6,
                        _ => 4,
                    };
                    for (place, wrong) in answers.into_iter().enumerate() {
                        // "No such domain" is an answer about MX records, too.
                        if place.max(1) != expected || (place == 0 && expected != 1) {
                            assert!(resolution.step(Some(wrong)).is_err(), "{}: {text}", row.id);
                        }
                    }
                    let again = match resolution.step(None).expect("no answer") {
                        Step::Ask(question) => question.to_string(),
                        step => panic!("{}: {step:?}", row.id),
                    };
                    assert_eq!(again, text, "{}", row.id);
                    Some(right)
                }
                Step::Keep { .. } | Step::Host(_) => None,
                Step::End | Step::Undeliverable(_) => break,
            };
        }
    }
}
