//! `starttls policy`.

use std::net::IpAddr;

use serde::{Serialize, Serializer};
use starttls::mx::dane::{self, Matching, Selector, Usage};
use starttls::mx::sts::{self, Mode, RECORD_LABEL};
use starttls::mx::{ResultType, Skip, Undeliverable};
use starttls_tokio::mx::{Demand, Destination, Policy as Published, Tlsa};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::args::Policy;
use crate::mx::advice;
use crate::out::out;
use crate::outcome::{self, Failure};
use crate::service::runtime;

/// The number of displayed characters of a TLSA record: the numbers and the first half of a hash.
const MAX_RECORD: usize = 38;

/// The output of `--json`: one object, always with all keys.
#[derive(Debug, Serialize)]
struct Report<'a> {
    domain: &'a str,
    #[serde(serialize_with = "in_words")]
    undeliverable: Option<Undeliverable>,
    temporary: bool,
    policy: Option<Sts>,
    policy_error: Option<Unfetched>,
    /// The error in records that should announce a policy.
    record_error: Option<String>,
    hosts: Vec<Host>,
}

/// An MTA-STS policy.
#[derive(Debug, Serialize)]
struct Sts {
    mode: &'static str,
    id: String,
    max_age: u32,
    mx: Vec<String>,
    fetched: String,
    from: &'static str,
}

#[derive(Debug, Serialize)]
struct Unfetched {
    result: &'static str,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Host {
    name: String,
    preference: u16,
    secure: bool,
    requirement: &'static str,
    demand: String,
    why: String,
    listed: Option<bool>,
    base: Option<String>,
    names: Vec<String>,
    records: Vec<String>,
    #[serde(skip)]
    meanings: Vec<String>,
    addresses: Vec<IpAddr>,
    ttl: u32,
    /// Whether the result may change later.
    #[serde(skip)]
    is_unknown: bool,
}

fn in_words<S: Serializer>(why: &Option<Undeliverable>, serializer: S) -> Result<S::Ok, S::Error> {
    why.map(Undeliverable::as_str).serialize(serializer)
}

pub(crate) fn run(args: &Policy) -> Result<(), Failure> {
    let runtime = runtime()?;
    let _context = runtime.enter();
    let report = runtime
        .block_on(async { tokio::time::timeout(args.timeout, look(args)).await })
        .map_err(|_| Failure {
            message: "the lookups took too long; try again later, or raise --timeout".to_owned(),
            code: outcome::TEMPORARY,
        })??;
    if args.json {
        outcome::print(&report);
    } else {
        show(&report);
    }
    if report.hosts.iter().any(|host| host.requirement != "skip") {
        return Ok(());
    }
    // A host whose lookup failed has unknown requirements.
    let lookup_failed = report.hosts.iter().any(|host| host.is_unknown);
    let why = match report.undeliverable {
        Some(why) => format!("{why}. {}", advice(why)),
        None if lookup_failed => {
            format!(
                "none of its hosts may receive mail now. {}",
                advice(Undeliverable::LookupFailed)
            )
        }
        None => "none of its hosts may receive mail.".to_owned(),
    };
    let code = match report.undeliverable {
        Some(Undeliverable::LookupFailed) => outcome::TEMPORARY,
        None if lookup_failed => outcome::TEMPORARY,
        _ => 7,
    };
    Err(Failure { message: format!("no mail to {}: {why}", args.domain), code })
}

async fn look(args: &Policy) -> Result<Report<'_>, Failure> {
    let relay = args.lookup.relay(args.ca.as_deref())?;
    let mut route = relay.route(&args.domain);
    let mut hosts = Vec::new();
    let undeliverable = loop {
        match route.next().await {
            Ok(Some(host)) => hosts.push(Host::of(&host, relay.options().port())),
            Ok(None) => break None,
            Err(why) => break Some(why),
        }
    };
    let none_may = hosts.iter().all(|host| host.requirement == "skip");
    let may_come = none_may && hosts.iter().any(|host| host.is_unknown);
    Ok(Report {
        domain: args.domain.as_str(),
        undeliverable,
        temporary: may_come || undeliverable.is_some_and(Undeliverable::is_temporary),
        policy: route.policy().and_then(Sts::of),
        policy_error: route.policy_failure().map(|(result, reason)| Unfetched {
            result: ResultType::as_str(result),
            reason: reason.to_owned(),
        }),
        record_error: route.record_flaw().map(|flaw| flaw.to_string()),
        hosts,
    })
}

impl Sts {
    fn of(published: &Published) -> Option<Self> {
        let policy = sts::Policy::read(&published.text).ok()?;
        let fetched = i64::try_from(published.fetched)
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .and_then(|date| date.format(&Rfc3339).ok());
        Some(Self {
            mode: policy.mode().as_str(),
            id: published.id.as_str().to_owned(),
            max_age: policy.max_age(),
            mx: policy.patterns().map(str::to_owned).collect(),
            fetched: fetched.unwrap_or_default(),
            from: if published.is_cached { "cache" } else { "host" },
        })
    }
}

impl Host {
    fn of(host: &Destination, port: u16) -> Self {
        let mut shown = Self {
            name: host.name.to_string(),
            preference: host.preference,
            secure: host.is_secure,
            requirement: match &host.demand {
                Demand::Opportunistic => "opportunistic",
                Demand::Testing { .. } => "testing",
                Demand::Encrypted => "encrypted",
                Demand::Pkix => "pkix",
                Demand::Dane { .. } => "dane",
                Demand::Skip(_) => "skip",
            },
            demand: host.demand.to_string(),
            why: why(host, port),
            listed: None,
            base: None,
            names: Vec::new(),
            records: Vec::new(),
            meanings: Vec::new(),
            addresses: host.addresses.clone(),
            ttl: host.ttl,
            is_unknown: matches!(host.demand, Demand::Skip(Skip::LookupFailed)),
        };
        match &host.demand {
            Demand::Testing { listed } => shown.listed = Some(*listed),
            Demand::Dane { base, names, records } => {
                shown.base = Some(base.to_string());
                shown.names = names.iter().map(ToString::to_string).collect();
                shown.records = records.iter().map(ToString::to_string).collect();
                shown.meanings = records.iter().map(meaning).collect();
            }
            _ => {}
        }
        shown
    }
}

/// A record's meaning, in words.
fn meaning(record: &Tlsa) -> String {
    let Tlsa { usage, selector, matching, data, .. } = record;
    let record = dane::Tlsa { usage: *usage, selector: *selector, matching: *matching, data };
    let Some(record) = record.usable() else { return "cannot be used for mail".to_owned() };
    let whose = match record.usage {
        Usage::EndEntity => "the host's own",
        Usage::TrustAnchor => "an authority's",
    };
    let what = match record.selector {
        Selector::Certificate => "certificate",
        Selector::PublicKey => "key",
    };
    let how = match record.matching {
        Matching::Full => "as a whole",
        Matching::Sha256 => "by SHA-256",
        Matching::Sha512 => "by SHA-512",
    };
    format!("{whose} {what}, {how}")
}

fn why(host: &Destination, port: u16) -> String {
    match (&host.demand, host.sts) {
        (Demand::Skip(why), _) => why.to_string(),
        (Demand::Dane { base, .. }, _) if host.is_secure => {
            format!("the records at _{port}._tcp.{base} are signed, and so are the MX records")
        }
        (Demand::Dane { base, .. }, _) => format!(
            "the records at _{port}._tcp.{base} are signed; the MX records are not, so that nothing says \
             that this is a host of the domain"
        ),
        (Demand::Pkix, Some(Mode::Enforce)) => {
            "the domain's MTA-STS policy lists it, in mode enforce".to_owned()
        }
        (Demand::Pkix, _) => "the mail itself requires it".to_owned(),
        (Demand::Testing { listed: true }, _) => {
            "the domain's MTA-STS policy lists it, in mode testing".to_owned()
        }
        (Demand::Testing { listed: false }, _) => {
            "the domain's MTA-STS policy does not list it, but is in mode testing".to_owned()
        }
        (Demand::Encrypted, _) => "it has signed TLSA records, but none is usable".to_owned(),
        (Demand::Opportunistic, _) => "the domain has no requirement".to_owned(),
    }
}

fn show(report: &Report<'_>) {
    out!("\n  mail to {}\n", report.domain);
    if let Some(why) = report.undeliverable {
        let when = if report.temporary { "; try again later" } else { "" };
        out!("    cannot be sent: {why}{when}\n");
    }
    if let Some(Unfetched { result, reason }) = &report.policy_error {
        out!("    MTA-STS  announced, but not available: {reason} ({result})");
    }
    if let Some(flaw) = &report.record_error {
        out!("    MTA-STS  announced incorrectly at {RECORD_LABEL}.{}: {flaw}", report.domain);
    }
    match &report.policy {
        Some(policy) => {
            let Sts { mode, id, max_age, mx, fetched, from } = policy;
            out!("    MTA-STS  {mode}, for {}", mx.join(", "));
            out!("             id {id}, fetched {fetched} for {max_age} s, from the {from}\n");
        }
        None if report.undeliverable.is_none() => out!("    MTA-STS  no policy\n"),
        None => {}
    }
    for host in &report.hosts {
        let signed = if host.secure { "signed" } else { "not signed" };
        out!("    {:>5}  {}  (MX {signed})", host.preference, host.name);
        if !host.addresses.is_empty() {
            let addresses: Vec<_> = host.addresses.iter().map(ToString::to_string).collect();
            out!("           at {}", addresses.join(", "));
        }
        out!("           {}:", host.demand);
        out!("           {}", host.why);
        for (record, meaning) in host.records.iter().zip(&host.meanings) {
            let (numbers, rest) = record.split_at_checked(MAX_RECORD).unwrap_or((record, ""));
            let rest = if rest.is_empty() { "" } else { "…" };
            out!("             {numbers}{rest}  {meaning}");
        }
        if host.meanings.iter().any(|meaning| meaning.contains("authority")) {
            out!("             and one of these names: {}", host.names.join(", "));
        }
        out!("           holds for {} s\n", host.ttl);
    }
}
