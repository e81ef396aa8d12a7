use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Deserializer, Serialize};

/// Who sends the reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sender {
    /// The organization's name.
    pub organization: String,
    /// The address of who answers for the reports. Its domain names the submitter.
    pub contact: String,
}

impl Sender {
    /// Who sends the reports: the name of the organization, and the address of who answers for them.
    #[must_use]
    pub fn new(organization: impl Into<String>, contact: impl Into<String>) -> Self {
        Self { organization: organization.into(), contact: contact.into() }
    }

    /// The submitter's domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.contact.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// What a domain is told (RFC 8460 §4.4). The fields are those of its JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Report {
    /// Who reports.
    pub organization_name: String,
    /// What time it is about.
    pub date_range: DateRange,
    /// Who answers for it.
    pub contact_info: String,
    /// Unique among the sender's reports.
    pub report_id: String,
    /// What was done by each policy.
    pub policies: Vec<PolicyReport>,
}

/// From when to when, in UTC (RFC 3339).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct DateRange {
    /// From when.
    pub start_datetime: String,
    /// To when.
    pub end_datetime: String,
}

/// What was done by a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct PolicyReport {
    /// The policy.
    pub policy: Policy,
    /// How many sessions there were.
    pub summary: Summary,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure_details: Vec<FailureDetails>,
}

/// A policy that was gone by (RFC 8460 §4.5).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Policy {
    /// `tlsa`, `sts` or `no-policy-found`.
    pub policy_type: String,
    /// Its TLSA records, or the lines of its MTA-STS policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_string: Vec<String>,
    /// Whose it is.
    pub policy_domain: String,
    /// The patterns of an MTA-STS policy: a list (RFC 8460 §4.4), though the standard's own example has
    /// one string, which is read as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub mx_host: Vec<String>,
}

/// How many sessions there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Summary {
    /// As the policy wants it.
    pub total_successful_session_count: u64,
    /// Otherwise.
    pub total_failure_session_count: u64,
}

/// What went wrong, alike in so many sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct FailureDetails {
    /// One of the [`ResultType`](starttls::mx::ResultType)s.
    pub result_type: String,
    /// The sender's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sending_mta_ip: Option<String>,
    /// The host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiving_mx_hostname: Option<String>,
    /// What the host calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiving_mx_helo: Option<String>,
    /// The host's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiving_ip: Option<String>,
    /// How many sessions.
    pub failed_session_count: u64,
    /// Where more can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_information: Option<String>,
    /// What exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_reason_code: Option<String>,
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Patterns {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Patterns::deserialize(deserializer)? {
        Patterns::One(pattern) => vec![pattern],
        Patterns::Many(patterns) => patterns,
    })
}

impl Report {
    /// The domain that it is about.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.policies.first().map_or("", |policy| &policy.policy.policy_domain)
    }

    /// The report in JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists can always be written.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The report in JSON, in gzip (RFC 8460 §5.2).
    #[must_use]
    pub fn to_gzip(&self) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let written = encoder.write_all(self.to_json().as_bytes());
        // Memory takes everything.
        written.and_then(|()| encoder.finish()).unwrap_or_default()
    }
}
