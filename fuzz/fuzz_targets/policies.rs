//! Answers of the DNS and of policy hosts: none weakens a requirement below its minimum.

#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use starttls::mx::sts::{self, Mode};
use starttls::mx::{
    Answer, Cached, Dane, Domain, Mx, Options, Question, Requirement, Resolution, Security, Step,
    Tlsa, tls_optional,
};

#[derive(Arbitrary, Debug)]
struct World<'a> {
    choices: [u8; 16],
    text: &'a str,
    kept: &'a [u8],
    data: &'a [u8],
    record: &'a [u8],
}

impl World<'_> {
    fn bit(&self, n: usize) -> bool {
        self.choices[n % 16] >> (n / 16 % 8) & 1 != 0
    }

    fn security(&self, n: usize) -> Security {
        if self.bit(n) { Security::Secure } else { Security::Insecure }
    }
}

fuzz_target!(|octets: &[u8]| {
    field(octets);
    if let Ok(world) = World::arbitrary(&mut Unstructured::new(octets)) {
        domain(world.text);
        policy(world.kept);
        announced(&[world.record, world.data]);
        resolve(&world);
    }
});

fn domain(text: &str) {
    if let Ok(domain) = Domain::new(text) {
        let name = domain.as_str();
        assert!(text.trim_end_matches('.').eq_ignore_ascii_case(name));
        assert_eq!(Domain::new(name).map(|again| again == domain), Ok(true));
        assert!(name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len())));
    }
}

/// The record read as text, line by line.
fn policy(octets: &[u8]) {
    let Ok(policy) = sts::Policy::read(octets) else { return };
    let text = std::str::from_utf8(octets).expect("text");
    let value = |wanted: &str| {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(key, _)| *key == wanted)
            .map(|(_, value)| value.trim())
            .collect::<Vec<_>>()
    };
    assert_eq!(value("version").first(), Some(&"STSv1"));
    assert_eq!(value("mode").first(), Some(&policy.mode().as_str()));
    let age: u64 = value("max_age")[0].parse().expect("a number");
    assert_eq!(u64::from(policy.max_age()), age.min(31_557_600));
    assert_eq!(policy.patterns().collect::<Vec<_>>(), value("mx"));
    assert!(policy.mode() == Mode::None || policy.patterns().count() > 0);
    for pattern in policy.patterns() {
        let host = Domain::new(&pattern.replacen('*', "a", 1)).expect("a name");
        assert!(policy.lists(&host), "{pattern}");
    }
}

fn announced(records: &[&[u8]]) {
    if let Some(id) = sts::announced(records) {
        let ours = records.iter().filter(|record| record.starts_with(b"v=STSv1")).count();
        assert!(ours >= 1 && (1..=32).contains(&id.as_str().len()));
        assert!(id.as_str().bytes().all(|octet| octet.is_ascii_alphanumeric()));
    }
}

/// The first field of that name in a message, unfolded.
fn field(message: &[u8]) {
    if tls_optional(message) {
        let text = String::from_utf8_lossy(message).to_ascii_lowercase().replace("\n\r\n", "\n\n");
        let head = text.split("\n\n").next().expect("one");
        let value = head
            .replace("\n ", "  ")
            .replace("\n\t", "  ")
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.trim_end() == "tls-required")
            .map(|(_, value)| value.trim().to_owned());
        assert_eq!(value.as_deref(), Some("no"));
        assert!(!tls_optional(&[b"TLS-Required: No\n", message].concat()));
        assert!(!tls_optional(&[b"\n", message].concat()));
    } else if tls_optional(&[message, b"\nTLS-Required: No"].concat()) {
        assert!(tls_optional(&[b"TLS-Required: No\n", message].concat()));
    }
}

fn resolve(world: &World<'_>) {
    let names = world.text.split_whitespace();
    let mx: Vec<_> = names
        .zip(world.choices)
        .map(|(name, preference)| Mx { preference: preference.into(), name })
        .collect();
    let tlsa: Vec<_> = world
        .choices
        .chunks(3)
        .take(usize::from(world.choices[0] % 4))
        .map(|kind| Tlsa {
            usage: kind[0] % 5,
            selector: kind[1 % kind.len()] % 3,
            matching: kind[2 % kind.len()] % 4,
            data: if world.bit(13) { &[0x30; 32] } else { world.data },
        })
        .collect();
    let mode = ["enforce", "testing", "none"][usize::from(world.choices[2] % 3)];
    let pattern = world.text.split_whitespace().last().unwrap_or("mx.example.org");
    let proper = format!("version: STSv1\nmode: {mode}\nmx: {pattern}\nmax_age: 1000\n");
    let kept = if world.bit(11) { proper.as_bytes() } else { world.kept };
    let fetched = if world.bit(12) { proper.as_bytes() } else { world.data };
    let usable = tlsa.iter().any(|record| record.usable().is_some());
    let dane = [Dane::Off, Dane::Opportunistic, Dane::SecureHosts, Dane::Mandatory]
        [usize::from(world.choices[1] % 4)];
    let options = Options::default()
        .with_dane(dane)
        .with_sts(!world.bit(2))
        .with_require_tls(world.bit(3))
        .with_tls_optional(world.bit(4));
    let relaxed = options.tls_optional() && !options.require_tls();
    let domain = Domain::new("example.org").expect("a name");
    let mut resolution = Resolution::<4>::new(domain, options);
    let (mut answer, mut steps, mut hosts) = (None, 0, 0);
    // The last answer to a question about TLSA records.
    let mut records = None;
    // The MTA-STS policy in force.
    let mut policy = None;
    loop {
        steps += 1;
        assert!(steps < 100, "it ends");
        answer = match resolution.step(answer).expect("the answer matches the question") {
            Step::Ask(question) => Some(match question {
                _ if world.bit(16 + steps) && world.bit(48 + steps) && may_fail(&question) => {
                    records = None;
                    Answer::Failed
                }
                Question::Mx(_) => Answer::Mx {
                    security: world.security(5),
                    alias: world.text.lines().next(),
                    records: &mx,
                    ttl: 60,
                },
                Question::Cached(_) => {
                    let entry = sts::Id::new("1")
                        .filter(|_| world.bit(6))
                        .map(|id| Cached::new(id, 900, kept));
                    policy = entry
                        .and_then(|entry| sts::Policy::read(entry.text).ok())
                        .filter(|policy| policy.max_age() > 100);
                    Answer::Cached { now: 1000, entry }
                }
                Question::Txt(_) => Answer::Txt { records: &[b"v=STSv1; id=2"] },
                Question::Policy(_) => Answer::Policy { text: fetched },
                Question::Address(_) => {
                    records = None;
                    Answer::Address {
                        first: world.security(7 + steps),
                        last: world.security(8 + steps),
                        alias: world.text.lines().last(),
                        found: world.choices[9] % 8 != 0,
                        ttl: 60,
                    }
                }
                Question::Tlsa { .. } => {
                    let security = world.security(10 + steps);
                    records = Some(security == Security::Secure && !tlsa.is_empty());
                    Answer::Tlsa { security, records: &tlsa, ttl: 60 }
                }
                _ => panic!("{question}"),
            }),
            Step::Keep { policy: new, .. } => {
                assert_eq!(new.as_bytes(), fetched);
                policy = Some(new);
                None
            }
            Step::Host(host) => {
                hosts += 1;
                let verified =
                    matches!(host.requirement, Requirement::Pkix | Requirement::Dane { .. });
                let skipped = matches!(host.requirement, Requirement::Skip(_));
                let strict = verified || skipped;
                let mode = policy.map(|policy| policy.mode()).filter(|mode| *mode != Mode::None);
                assert_eq!(host.sts, mode);
                if !relaxed {
                    if let (Some(policy), Some(Mode::Enforce)) = (policy, mode) {
                        assert!(strict, "{host:?}");
                        let is_forged = !host.is_secure && !policy.lists(host.name);
                        assert!(skipped || !is_forged, "{host:?}");
                    }
                    assert!(!options.require_tls() || strict, "{host:?}");
                    if records == Some(true) {
                        let encrypted = matches!(host.requirement, Requirement::Encrypted);
                        assert!(strict || (encrypted && !usable), "{host:?}");
                    }
                    if dane == Dane::Mandatory {
                        let dane = matches!(host.requirement, Requirement::Dane { .. });
                        assert!((dane && host.is_secure) || skipped, "{host:?}");
                    }
                }
                if let Requirement::Dane { names, records, .. } = host.requirement {
                    assert!(usable && names.iter().count() >= 1 && records.iter().count() >= 1);
                }
                records = None;
                None
            }
            Step::End => {
                assert!((1..=4).contains(&hosts));
                break;
            }
            Step::Undeliverable(_) => {
                assert_eq!(hosts, 0);
                break;
            }
        };
    }
}

/// The cache always answers.
const fn may_fail(question: &Question<'_>) -> bool {
    !matches!(question, Question::Cached(_))
}
