use std::collections::BTreeMap;
use std::net::IpAddr;

use starttls::mx::dane::Tlsa;
use starttls::mx::{ResultType, sts};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::mail::a_labels;
use super::{DateRange, FailureDetails, Policy, PolicyReport, Report, Sender, Summary};

/// The maximum number of failure kinds kept for a policy. Sessions with further kinds are only counted.
pub(super) const MAX_KINDS: usize = 1000;

/// The maximum number of policies kept for a domain. Further ones are counted without their text.
const MAX_POLICIES: usize = 50;

/// The maximum number of counted domains. Sessions with further domains are not counted.
const MAX_DOMAINS: usize = 100_000;

/// The maximum length of a failure's reason, in characters.
const MAX_REASON: usize = 500;

/// The policy that applied to a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Applied(Policy);

impl Applied {
    /// No policy.
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

    /// A policy of the same type without its text.
    fn without_text(&self) -> Self {
        let Policy { policy_type, policy_domain, .. } = &self.0;
        Self::of(policy_type, policy_domain, Vec::new(), Vec::new())
    }
}

/// The two ends of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Session {
    /// The sender's address.
    pub sender: Option<IpAddr>,
    /// The host's name from its MX record.
    pub mx: Option<String>,
    /// The name by which the host introduces itself.
    pub helo: Option<String>,
    /// The host's address.
    pub receiver: Option<IpAddr>,
}

/// A failure of a session.
///
/// ```
/// use starttls::mx::ResultType;
/// use starttls_tlsrpt::{Applied, Collector, Failure, Session};
///
/// let mut collector = Collector::default();
/// let mut session = Session::default();
/// session.mx = Some("mx.example.org".to_owned());
/// let failure = Failure::new(ResultType::StarttlsNotSupported).with_reason("no STARTTLS");
/// collector.failed(&Applied::none("example.org"), &session, failure);
/// assert!(!collector.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    result: ResultType,
    reason: Option<String>,
    more: Option<String>,
}

impl Failure {
    /// A failure with this result type.
    #[must_use]
    pub const fn new(result: ResultType) -> Self {
        Self { result, reason: None, more: None }
    }

    /// Adds the reason in a few words. Only the first 500 characters are kept.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into().chars().take(MAX_REASON).collect());
        self
    }

    /// Adds a URI with more information.
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

/// Counts sessions by domain and policy.
///
/// It keeps at most 100,000 domains, fifty policies of each domain, and a thousand kinds of failures of each
/// policy.
///
/// ```
/// use starttls_tlsrpt::{Applied, Collector, Sender};
///
/// let mut collector = Collector::default();
/// collector.succeeded(&Applied::none("example.org"));
/// let sender = Sender::new("Example", "tls@example.com");
/// let reports = collector.reports(&sender, 1_700_006_400, 1_700_092_800);
/// assert_eq!(reports.len(), 1);
/// assert!(collector.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Collector {
    domains: BTreeMap<String, BTreeMap<Applied, Counts>>,
    uncounted: u64,
}

impl Collector {
    /// Counts a session that met the policy. Without a policy, one that used TLS.
    pub fn succeeded(&mut self, policy: &Applied) {
        if let Some(counts) = self.counts(policy) {
            counts.summary.total_successful_session_count += 1;
        }
    }

    /// Counts a session that did not meet the policy.
    pub fn failed(&mut self, policy: &Applied, session: &Session, failure: Failure) {
        let Some(counts) = self.counts(policy) else { return };
        counts.summary.total_failure_session_count += 1;
        let kind = (failure, session.clone());
        if counts.failures.len() < MAX_KINDS || counts.failures.contains_key(&kind) {
            *counts.failures.entry(kind).or_default() += 1;
        }
    }

    fn counts(&mut self, policy: &Applied) -> Option<&mut Counts> {
        let domain = &policy.0.policy_domain;
        if self.domains.len() >= MAX_DOMAINS && !self.domains.contains_key(domain) {
            self.uncounted += 1;
            return None;
        }
        let policies = self.domains.entry(domain.clone()).or_default();
        let is_kept = policies.len() < MAX_POLICIES || policies.contains_key(policy);
        Some(
            policies
                .entry(if is_kept { policy.clone() } else { policy.without_text() })
                .or_default(),
        )
    }

    /// The number of sessions since the last reports that were not counted, because there are too many
    /// domains.
    #[must_use]
    pub const fn uncounted(&self) -> u64 {
        self.uncounted
    }

    /// Whether there is nothing to report.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// A report for each domain, and clears the counters.
    ///
    /// `start` and `end` are in seconds of Unix time and span a whole day in UTC (RFC 8460 §4.1).
    #[must_use]
    pub fn reports(&mut self, sender: &Sender, start: u64, end: u64) -> Vec<Report> {
        let submitter = a_labels(sender.domain()).unwrap_or_else(|| sender.domain().to_owned());
        let Self { domains, .. } = std::mem::take(self);
        let reports = domains.into_iter().map(|(domain, policies)| Report {
            organization_name: sender.organization.clone(),
            date_range: DateRange { start_datetime: date(start), end_datetime: date(end) },
            contact_info: sender.contact.clone(),
            // In ASCII, as in the mail's Message-ID.
            report_id: format!(
                "{start}.{}@{submitter}",
                a_labels(&domain).as_deref().unwrap_or(&domain)
            ),
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

/// A dual-stack socket shows an IPv4 address as an IPv6 address.
fn address(ip: IpAddr) -> String {
    ip.to_canonical().to_string()
}

fn date(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|date| date.format(&Rfc3339).ok())
        // Fails after the year 9999.
        .unwrap_or_default()
}

/// Seconds of Unix time.
pub(super) fn seconds(date: &str) -> Option<i64> {
    OffsetDateTime::parse(date, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_limited() {
        let mut collector = Collector::default();
        for n in 0..MAX_DOMAINS + 3 {
            collector.succeeded(&Applied::none(format!("d{n}.example")));
        }
        collector.succeeded(&Applied::none("d0.example"));
        assert_eq!(collector.uncounted(), 3);
        let sender = Sender::new("us", "tls@example.org");
        assert_eq!(collector.reports(&sender, 0, 1).len(), MAX_DOMAINS);
        assert!(collector.is_empty() && collector.uncounted() == 0);
    }
}
