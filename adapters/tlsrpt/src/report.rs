use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Deserializer, Serialize};

/// The sender of reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sender {
    /// The organization's name.
    pub organization: String,
    /// The contact's mail address. Its domain names the submitter.
    pub contact: String,
}

impl Sender {
    /// A sender, by the organization's name and the contact's mail address.
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

/// A report to a domain (RFC 8460 §4.4). The fields are those of the JSON.
///
/// Reports of other senders are read leniently: missing or null members are empty or 0. Only the date range,
/// the list of policies, and the policy of each entry are required.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Report {
    /// The name of the reporting organization.
    #[serde(default, deserialize_with = "or_default")]
    pub organization_name: String,
    /// The time span of the report.
    pub date_range: DateRange,
    /// The contact for questions.
    #[serde(default, deserialize_with = "or_default")]
    pub contact_info: String,
    /// The id, unique among the sender's reports.
    #[serde(default, deserialize_with = "or_default")]
    pub report_id: String,
    /// The sessions under each policy.
    pub policies: Vec<PolicyReport>,
}

/// A time span in UTC (RFC 3339).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct DateRange {
    /// The start.
    pub start_datetime: String,
    /// The end.
    pub end_datetime: String,
}

/// The sessions under one policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct PolicyReport {
    /// The policy.
    pub policy: Policy,
    /// The number of sessions.
    #[serde(default, deserialize_with = "or_default")]
    pub summary: Summary,
    /// The failures.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub failure_details: Vec<FailureDetails>,
}

/// A policy that applied (RFC 8460 §4.5).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Policy {
    /// `tlsa`, `sts` or `no-policy-found`.
    #[serde(default, deserialize_with = "or_default")]
    pub policy_type: String,
    /// The TLSA records, or the lines of the MTA-STS policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub policy_string: Vec<String>,
    /// The domain of the policy.
    #[serde(default, deserialize_with = "or_default")]
    pub policy_domain: String,
    /// The MX patterns of an MTA-STS policy: a list (RFC 8460 §4.4). A single string, as in the standard's
    /// own example, is read too.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub mx_host: Vec<String>,
}

/// The number of sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Summary {
    /// Sessions that met the policy.
    #[serde(default, deserialize_with = "or_default")]
    pub total_successful_session_count: u64,
    /// Sessions that did not.
    #[serde(default, deserialize_with = "or_default")]
    pub total_failure_session_count: u64,
}

/// Sessions that failed in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct FailureDetails {
    /// One of the [`ResultType`](starttls::mx::ResultType)s.
    #[serde(default, deserialize_with = "or_default")]
    pub result_type: String,
    /// The sender's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sending_mta_ip: Option<String>,
    /// The host's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiving_mx_hostname: Option<String>,
    /// The name by which the host introduces itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiving_mx_helo: Option<String>,
    /// The host's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiving_ip: Option<String>,
    /// The number of sessions.
    #[serde(default, deserialize_with = "or_default")]
    pub failed_session_count: u64,
    /// A URI with more information.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_information: Option<String>,
    /// The reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_reason_code: Option<String>,
}

/// Reads null like a missing member: senders use both for an empty value.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Strings {
        One(String),
        Many(Vec<Option<String>>),
    }
    Ok(match Option::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Strings::One(string)) => vec![string],
        Some(Strings::Many(strings)) => strings.into_iter().flatten().collect(),
    })
}

impl Report {
    /// The domain of the report.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.policies.first().map_or("", |policy| &policy.policy.policy_domain)
    }

    /// The report in JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists always serialize.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The report in JSON, compressed by gzip (RFC 8460 §5.2).
    #[must_use]
    pub fn to_gzip(&self) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let written = encoder.write_all(self.to_json().as_bytes());
        // Writing to memory always succeeds.
        written.and_then(|()| encoder.finish()).unwrap_or_default()
    }
}
