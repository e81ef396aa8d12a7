//! The format of a report (RFC 8460 §4.4, §4.5).

use std::net::IpAddr;

use serde_json::{Map, Value};
use starttls::mail::Address;
use starttls::mx::Domain;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

/// RFC 8460 §4.3.
const RESULT_TYPES: [&str; 11] = [
    "starttls-not-supported",
    "certificate-host-mismatch",
    "certificate-expired",
    "certificate-not-trusted",
    "validation-failure",
    "tlsa-invalid",
    "dnssec-invalid",
    "dane-required",
    "sts-policy-fetch-error",
    "sts-policy-invalid",
    "sts-webpki-invalid",
];

/// The largest number that every JSON reader supports (RFC 7493 §2.2).
const MAX_NUMBER: u64 = (1 << 53) - 1;

type Check = Result<(), String>;

/// The first violation in a report.
pub(crate) fn check(text: &str) -> Check {
    let report: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let names = ["organization-name", "date-range", "contact-info", "report-id", "policies"];
    let report = object(&report, &names, &[])?;
    string(&report["organization-name"], |name| !name.is_empty())?;
    string(&report["contact-info"], |contact| Address::new(contact).is_ok())?;
    string(&report["report-id"], |id| !id.is_empty())?;
    let dates = object(&report["date-range"], &["start-datetime", "end-datetime"], &[])?;
    for date in dates.values() {
        let is_utc = |date: &str| date.ends_with('Z');
        string(date, |date| OffsetDateTime::parse(date, &Rfc3339).is_ok() && is_utc(date))?;
    }
    all(&report["policies"], policy)
}

fn policy(policy: &Value) -> Check {
    let policy = object(policy, &["policy", "summary"], &["failure-details"])?;
    applied(&policy["policy"])?;
    let names = ["total-successful-session-count", "total-failure-session-count"];
    let summary = object(&policy["summary"], &names, &[])?;
    let (_, failures) = (number(&summary[names[0]])?, number(&summary[names[1]])?);
    let Some(details) = policy.get("failure-details") else { return Ok(()) };
    all(details, failure)?;
    let counts = details.as_array().into_iter().flatten();
    let sum: u64 = counts.filter_map(|one| one["failed-session-count"].as_u64()).sum();
    if sum <= failures { Ok(()) } else { Err(format!("{sum} failures of {failures}")) }
}

fn applied(policy: &Value) -> Check {
    let names = ["policy-type", "policy-domain"];
    let policy = match policy["policy-type"].as_str() {
        Some("sts") => {
            let policy = object(policy, &names, &["policy-string", "mx-host"])?;
            let is_pattern =
                |host: &str| Domain::new(host.strip_prefix("*.").unwrap_or(host)).is_ok();
            strings(policy.get("mx-host"), is_pattern)?;
            strings(policy.get("policy-string"), |line| line.contains(':'))?;
            policy
        }
        Some("tlsa") => {
            let policy = object(policy, &names, &["policy-string"])?;
            strings(policy.get("policy-string"), is_record)?;
            policy
        }
        Some("no-policy-found") => object(policy, &names, &[])?,
        _ => return Err(format!("{policy}")),
    };
    string(&policy["policy-domain"], |domain| Domain::new(domain).is_ok())
}

/// RFC 6698 §2.2: three numbers and hexadecimal digits.
fn is_record(text: &str) -> bool {
    let [numbers @ .., data] = &text.split(' ').collect::<Vec<_>>()[..] else { return false };
    numbers.len() == 3
        && numbers.iter().all(|number| number.parse::<u8>().is_ok_and(|n| n.to_string() == *number))
        && data.len() % 2 == 0
        && data.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'A'..=b'F'))
}

fn failure(failure: &Value) -> Check {
    let names = ["result-type", "failed-session-count"];
    let others = [
        "sending-mta-ip",
        "receiving-mx-hostname",
        "receiving-mx-helo",
        "receiving-ip",
        "additional-information",
        "failure-reason-code",
    ];
    let failure = object(failure, &names, &others)?;
    string(&failure["result-type"], |kind| RESULT_TYPES.contains(&kind))?;
    if number(&failure["failed-session-count"])? == 0 {
        return Err("a failure of no session".into());
    }
    let has = |name: &str, is: fn(&str) -> bool| {
        failure.get(name).map_or(Ok(()), |value| string(value, is))
    };
    has("sending-mta-ip", is_address)?;
    has("receiving-ip", is_address)?;
    has("receiving-mx-hostname", |host| Domain::new(host).is_ok())?;
    has("receiving-mx-helo", |_| true)?;
    has("additional-information", |uri| Url::parse(uri).is_ok())?;
    has("failure-reason-code", |reason| reason.chars().count() <= 500)
}

/// RFC 5952; IPv4 addresses in their own form.
fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().to_string() == text)
}

fn object<'v>(
    value: &'v Value,
    names: &[&str],
    others: &[&str],
) -> Result<&'v Map<String, Value>, String> {
    let object = value.as_object().ok_or_else(|| format!("no object: {value}"))?;
    if let Some(name) = names.iter().find(|name| !object.contains_key(**name)) {
        return Err(format!("without {name}"));
    }
    let is_known =
        |name: &&String| names.contains(&name.as_str()) || others.contains(&name.as_str());
    object.keys().find(|name| !is_known(name)).map_or(Ok(object), |name| Err(format!("{name}?")))
}

fn all(value: &Value, check: fn(&Value) -> Check) -> Check {
    let list = value.as_array().filter(|list| !list.is_empty());
    list.ok_or_else(|| format!("no list: {value}"))?.iter().try_for_each(check)
}

fn strings(value: Option<&Value>, is: fn(&str) -> bool) -> Check {
    let Some(value) = value else { return Ok(()) };
    let list = value.as_array().filter(|list| !list.is_empty());
    list.ok_or_else(|| format!("no list: {value}"))?.iter().try_for_each(|one| string(one, is))
}

fn string(value: &Value, is: impl Fn(&str) -> bool) -> Check {
    if value.as_str().is_some_and(is) { Ok(()) } else { Err(format!("{value}?")) }
}

fn number(value: &Value) -> Result<u64, String> {
    value.as_u64().filter(|number| *number <= MAX_NUMBER).ok_or_else(|| format!("{value}?"))
}
