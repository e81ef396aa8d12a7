use std::collections::BTreeMap;
use std::net::IpAddr;

use starttls::mx::dane::Tlsa;
use starttls::mx::{ResultType, sts};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{DateRange, FailureDetails, Policy, PolicyReport, Report, Sender, Summary};

/// The most kinds of failures that are kept apart for a policy; further ones are counted only.
pub(super) const MAX_KINDS: usize = 1000;

/// The most policies that are kept apart for a domain; further ones are counted without their text.
const MAX_POLICIES: usize = 50;

/// The longest reason of a failure that is kept, in characters.
const MAX_REASON: usize = 500;

/// The policy that a session went by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Applied(Policy);

impl Applied {
    /// There is none.
    #[must_use]
    pub fn none(domain: impl Into<String>) -> Self {
        Self::of("no-policy-found", domain, Vec::new(), Vec::new())
    }

    /// TLSA records, usable or not, in any order.
    #[must_use]
    pub fn dane(domain: impl Into<String>, records: &[Tlsa<'_>]) -> Self {
        let records = records.iter().map(|record| {
            let data: String = record.data.iter().map(|octet| format!("{octet:02X}")).collect();
            format!("{} {} {} {data}", record.usage, record.selector, record.matching)
        });
        let mut records: Vec<_> = records.collect();
        records.sort();
        Self::of("tlsa", domain, records, Vec::new())
    }

    /// An MTA-STS policy.
    #[must_use]
    pub fn sts(domain: impl Into<String>, policy: &sts::Policy<'_>) -> Self {
        let text = String::from_utf8_lossy(policy.as_bytes());
        let lines = text.lines().map(|line| line.trim().to_owned());
        let lines = lines.filter(|line| !line.is_empty()).collect();
        let patterns = policy.patterns().map(str::to_owned).collect();
        Self::of("sts", domain, lines, patterns)
    }

    fn of(kind: &str, domain: impl Into<String>, lines: Vec<String>, mx: Vec<String>) -> Self {
        Self(Policy {
            policy_type: kind.into(),
            policy_string: lines,
            policy_domain: domain.into(),
            mx_host: mx,
        })
    }

    /// One of its kind.
    fn without_text(&self) -> Self {
        let Policy { policy_type, policy_domain, .. } = &self.0;
        Self::of(policy_type, policy_domain, Vec::new(), Vec::new())
    }
}

/// Between whom a session was.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Session {
    /// The sender's address.
    pub sender: Option<IpAddr>,
    /// The host's name, as its MX record has it.
    pub mx: Option<String>,
    /// What the host calls itself.
    pub helo: Option<String>,
    /// The host's address.
    pub receiver: Option<IpAddr>,
}

/// What went wrong in a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    result: ResultType,
    reason: Option<String>,
    more: Option<String>,
}

impl Failure {
    /// A failure of a kind.
    #[must_use]
    pub const fn new(result: ResultType) -> Self {
        Self { result, reason: None, more: None }
    }

    /// What exactly, in a few words: of more than 500 characters the first.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into().chars().take(MAX_REASON).collect());
        self
    }

    /// A URI where more can be read.
    #[must_use]
    pub fn with_more(mut self, uri: impl Into<String>) -> Self {
        self.more = Some(uri.into());
        self
    }
}

#[derive(Debug, Default)]
struct Counts {
    summary: Summary,
    failures: BTreeMap<(Failure, Session), u64>,
}

/// Counts sessions by domain and policy. It keeps no more than fifty policies of a domain, and a thousand
/// kinds of failures for each.
#[derive(Debug, Default)]
pub struct Collector(BTreeMap<String, BTreeMap<Applied, Counts>>);

impl Collector {
    /// A session was as the policy wants it; without a policy, it had TLS.
    pub fn succeeded(&mut self, policy: &Applied) {
        self.counts(policy).summary.total_successful_session_count += 1;
    }

    /// A session was not.
    pub fn failed(&mut self, policy: &Applied, session: &Session, failure: Failure) {
        let counts = self.counts(policy);
        counts.summary.total_failure_session_count += 1;
        let kind = (failure, session.clone());
        if counts.failures.len() < MAX_KINDS || counts.failures.contains_key(&kind) {
            *counts.failures.entry(kind).or_default() += 1;
        }
    }

    fn counts(&mut self, policy: &Applied) -> &mut Counts {
        let policies = self.0.entry(policy.0.policy_domain.clone()).or_default();
        let is_kept = policies.len() < MAX_POLICIES || policies.contains_key(policy);
        policies.entry(if is_kept { policy.clone() } else { policy.without_text() }).or_default()
    }

    /// Whether there is nothing to report.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A report for each domain about the time from `start` to `end`, in seconds of Unix time: a whole
    /// day in UTC (RFC 8460 §4.1). What was counted is forgotten.
    #[must_use]
    pub fn reports(&mut self, sender: &Sender, start: u64, end: u64) -> Vec<Report> {
        let reports = std::mem::take(&mut self.0).into_iter().map(|(domain, policies)| Report {
            organization_name: sender.organization.clone(),
            date_range: DateRange { start_datetime: date(start), end_datetime: date(end) },
            contact_info: sender.contact.clone(),
            report_id: format!("{start}.{domain}@{}", sender.domain()),
            policies: policies.into_iter().map(told).collect(),
        });
        reports.collect()
    }
}

fn told((Applied(policy), counts): (Applied, Counts)) -> PolicyReport {
    let details = counts.failures.into_iter().map(|((failure, session), count)| FailureDetails {
        result_type: failure.result.as_str().into(),
        sending_mta_ip: session.sender.map(address),
        receiving_mx_hostname: session.mx,
        receiving_mx_helo: session.helo,
        receiving_ip: session.receiver.map(address),
        failed_session_count: count,
        additional_information: failure.more,
        failure_reason_code: failure.reason,
    });
    PolicyReport { policy, summary: counts.summary, failure_details: details.collect() }
}

/// A socket for both families has IPv4 addresses in the form of IPv6.
fn address(ip: IpAddr) -> String {
    ip.to_canonical().to_string()
}

fn date(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|date| date.format(&Rfc3339).ok())
        // Beyond the year 9999.
        .unwrap_or_default()
}

/// Seconds of Unix time.
pub(super) fn seconds(date: &str) -> Option<i64> {
    OffsetDateTime::parse(date, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}
