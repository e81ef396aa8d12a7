//! Reports, compared with the standard's own example.

mod others;
mod schema;

use std::io::{ErrorKind, Read as _};

use flate2::read::GzDecoder;
use mail_parser::{MessageParser, MimeHeaders as _};
use serde_json::{Value, json};
use starttls::mx::{ResultType, Tlsa, sts, tls_optional};
use starttls_tlsrpt::{Applied, Collector, Failure, Report, Sender, Session};

/// RFC 8460, appendix B.
const EXAMPLE: &str = r#"{
  "organization-name": "Company-X",
  "date-range": {
    "start-datetime": "2016-04-01T00:00:00Z",
    "end-datetime": "2016-04-01T23:59:59Z"
  },
  "contact-info": "sts-reporting@company-x.example",
  "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
  "policies": [{
    "policy": {
      "policy-type": "sts",
      "policy-string": ["version: STSv1","mode: testing",
            "mx: *.mail.company-y.example","max_age: 86400"],
      "policy-domain": "company-y.example",
      "mx-host": "*.mail.company-y.example"
    },
    "summary": {
      "total-successful-session-count": 5326,
      "total-failure-session-count": 303
    },
    "failure-details": [{
      "result-type": "certificate-expired",
      "sending-mta-ip": "2001:db8:abcd:0012::1",
      "receiving-mx-hostname": "mx1.mail.company-y.example",
      "failed-session-count": 100
    }, {
      "result-type": "starttls-not-supported",
      "sending-mta-ip": "2001:db8:abcd:0013::1",
      "receiving-mx-hostname": "mx2.mail.company-y.example",
      "receiving-ip": "203.0.113.56",
      "failed-session-count": 200,
      "additional-information": "https://reports.company-x.example/report_info"
    }, {
      "result-type": "validation-failure",
      "sending-mta-ip": "198.51.100.62",
      "receiving-ip": "203.0.113.58",
      "receiving-mx-hostname": "mx-backup.mail.company-y.example",
      "failed-session-count": 3,
      "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"
    }]
  }]
}"#;

const START: u64 = 1_459_468_800;
const END: u64 = START + 86_399;

fn sender() -> Sender {
    Sender::new("Company-X", "sts-reporting@company-x.example")
}

fn session(sender: &str, mx: &str, receiver: Option<&str>) -> Session {
    Session {
        sender: Some(sender.parse().expect("an address")),
        mx: Some(mx.into()),
        helo: None,
        receiver: receiver.map(|ip| ip.parse().expect("an address")),
    }
}

/// The sessions of the example, counted.
fn counted() -> Report {
    let text =
        b"version: STSv1\r\nmode: testing\r\nmx: *.mail.company-y.example\r\nmax_age: 86400\r\n";
    let policy = Applied::sts("company-y.example", &sts::Policy::read(text).expect("a policy"));
    let mut collector = Collector::default();
    assert!(collector.is_empty());
    for _ in 0..5326 {
        collector.succeeded(&policy);
    }
    let kinds = [
        (
            100,
            session("2001:db8:abcd:0012::1", "mx1.mail.company-y.example", None),
            Failure::new(ResultType::CertificateExpired),
        ),
        (
            200,
            session("2001:db8:abcd:0013::1", "mx2.mail.company-y.example", Some("203.0.113.56")),
            Failure::new(ResultType::StarttlsNotSupported)
                .with_more("https://reports.company-x.example/report_info"),
        ),
        (
            3,
            session("198.51.100.62", "mx-backup.mail.company-y.example", Some("203.0.113.58")),
            Failure::new(ResultType::ValidationFailure)
                .with_reason("X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"),
        ),
    ];
    for (count, session, failure) in kinds {
        for _ in 0..count {
            collector.failed(&policy, &session, failure.clone());
        }
    }
    let mut reports = collector.reports(&sender(), START, END);
    assert!(collector.is_empty());
    assert_eq!(reports.len(), 1);
    reports.remove(0)
}

/// A value without the freedoms of the format: the order of failures, the form of addresses, a single
/// pattern.
fn plain(report: &Report) -> Value {
    let mut value: Value = serde_json::from_str(&report.to_json()).expect("JSON");
    value["report-id"] = Value::Null;
    let details = &mut value["policies"][0]["failure-details"];
    let list = details.as_array_mut().expect("a list");
    list.sort_by_key(|detail| detail["failed-session-count"].as_u64());
    for detail in list {
        let address = detail["sending-mta-ip"].as_str().expect("an address");
        let address: std::net::IpAddr = address.parse().expect("an address");
        detail["sending-mta-ip"] = json!(address.to_string());
    }
    value
}

#[test]
fn the_standards_example() {
    let example: Report = serde_json::from_str(EXAMPLE).expect("the example");
    assert_eq!(plain(&counted()), plain(&example));
    assert_eq!(serde_json::from_str::<Report>(&counted().to_json()).expect("ours"), counted());
    let value: Value = serde_json::from_str(&counted().to_json()).expect("JSON");
    assert_eq!(value["policies"][0]["policy"]["mx-host"], json!(["*.mail.company-y.example"]));
    assert_eq!(schema::check(&counted().to_json()), Ok(()));
}

/// All fields with all values.
#[test]
fn every_report_matches_the_schema() {
    let (data, other) = ([0x0f; 32], [0xff; 64]);
    let first = Tlsa { usage: 3, selector: 1, matching: 1, data: &data };
    let second = Tlsa { usage: 255, selector: 9, matching: 0, data: &other };
    let text = "version: STSv1\nmode: enforce\nmx: a.example\n\nmx: *.b.example\nmax_age: 1\nx: \u{fc}\"\n";
    let policy = sts::Policy::read(text.as_bytes()).expect("a policy");
    let policies = [
        Applied::none("a.example"),
        Applied::dane("a.example", &[first, second]),
        Applied::sts("a.example", &policy),
    ];
    let addresses = ["192.0.2.1", "2001:db8::1:0:0:1", "::ffff:192.0.2.2", "::1"];
    let mut collector = Collector::default();
    for policy in &policies {
        collector.succeeded(policy);
        for result in ResultType::ALL {
            for address in addresses {
                let mut session = session(address, "mx.a.example", Some(address));
                session.helo = Some("mx\u{1b}[31m\"\\\0\u{1f4e7}".into());
                let failure = Failure::new(result).with_reason("\u{fc}\n".repeat(400));
                collector.failed(policy, &session, failure.with_more("https://a.example/?b=c"));
                collector.failed(policy, &Session::default(), Failure::new(result));
            }
        }
    }
    // Records in another order are the same policy.
    collector.succeeded(&Applied::dane("a.example", &[second, first]));
    let [report] = &collector.reports(&sender(), START, END)[..] else { panic!("one domain") };
    assert_eq!(schema::check(&report.to_json()), Ok(()));
    assert_eq!(report.policies.len(), policies.len());
    for policy in &report.policies {
        // Each result with each address, and all without.
        assert_eq!(policy.failure_details.len(), 11 * (addresses.len() + 1));
    }
    assert!(report.to_json().contains(r#""receiving-ip": "192.0.2.2""#));
}

#[test]
fn violations_of_the_schema_are_found() {
    type Break = fn(&mut Value);
    let breaks: [Break; 12] = [
        |report| report["x"] = json!(1),
        |report| report["policies"] = json!({}),
        |report| report["policies"] = json!([]),
        |report| report["contact-info"] = json!("no address"),
        |report| report["date-range"]["end-datetime"] = json!("2016-04-01"),
        |report| report["policies"][0]["policy"]["policy-type"] = json!("dane"),
        |report| report["policies"][0]["policy"]["mx-host"] = json!("*.a.example"),
        |report| report["policies"][0]["summary"]["total-failure-session-count"] = json!(1),
        |report| report["policies"][0]["failure-details"][0]["result-type"] = json!("expired"),
        |report| report["policies"][0]["failure-details"][0]["failed-session-count"] = json!("1"),
        |report| report["policies"][0]["failure-details"][0]["sending-mta-ip"] = json!("::00"),
        |report| report["policies"][0]["failure-details"][0]["failure-reason-code"] = Value::Null,
    ];
    for (n, spoil) in breaks.into_iter().enumerate() {
        let mut report: Value = serde_json::from_str(&counted().to_json()).expect("JSON");
        spoil(&mut report);
        assert!(schema::check(&report.to_string()).is_err(), "{n}");
    }
}

#[test]
fn policies_of_each_kind() {
    let data = [0xab; 32];
    let records = [Tlsa { usage: 3, selector: 1, matching: 1, data: &data }];
    let mut collector = Collector::default();
    collector.succeeded(&Applied::dane("a.example", &records));
    collector.succeeded(&Applied::none("a.example"));
    collector.succeeded(&Applied::none("b.example"));
    let reports = collector.reports(&sender(), START, END);
    assert_eq!(reports.iter().map(Report::domain).collect::<Vec<_>>(), ["a.example", "b.example"]);
    let value: Value = serde_json::from_str(&reports[0].to_json()).expect("JSON");
    let policies = value["policies"].as_array().expect("a list");
    let policy = |kind: &str| {
        &policies.iter().find(|one| one["policy"]["policy-type"] == kind).expect("it")["policy"]
    };
    assert_eq!(policy("tlsa")["policy-string"], json!([format!("3 1 1 {}", "AB".repeat(32))]));
    assert_eq!(policy("no-policy-found")["policy-domain"], json!("a.example"));
    assert!(policy("no-policy-found").get("policy-string").is_none());
    assert_eq!(policies[0]["summary"]["total-successful-session-count"], json!(1));
}

/// A domain with ever new failures cannot fill the memory.
#[test]
fn kinds_are_bounded_and_sessions_are_counted() {
    let policy = Applied::none("example.org");
    let mut collector = Collector::default();
    for n in 0..1500 {
        let failure = Failure::new(ResultType::ValidationFailure).with_reason(n.to_string());
        collector.failed(&policy, &Session::default(), failure);
    }
    let reports = collector.reports(&sender(), START, END);
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!(report.policies[0].failure_details.len(), 1000);
    assert_eq!(report.policies[0].summary.total_failure_session_count, 1500);
    assert_eq!(schema::check(&report.to_json()), Ok(()));
}

/// Nor can a domain with ever new policies.
#[test]
fn policies_are_bounded_and_sessions_are_counted() {
    let mut collector = Collector::default();
    for n in 0..500 {
        let text = format!("version: STSv1\nmode: none\nmax_age: {n}");
        let policy = sts::Policy::read(text.as_bytes()).expect("a policy");
        collector.succeeded(&Applied::sts("example.org", &policy));
    }
    let reports = collector.reports(&sender(), START, END);
    let [report] = &reports[..] else { panic!("{reports:?}") };
    let counts = report.policies.iter().map(|one| one.summary.total_successful_session_count);
    assert_eq!((report.policies.len(), counts.sum()), (51, 500));
    assert_eq!(schema::check(&report.to_json()), Ok(()));
}

/// A domain chooses the recipient of its reports, but cannot inject header fields.
#[test]
fn no_header_field_is_injected() {
    let mails = |report: &Report, sender: &Sender, to: &str| report.mail(sender, to, END);
    let report = counted();
    for to in ["", "a", "a@b\r\nBcc: c@d", "a@b, c@d", "a@b>", "a@b\n"] {
        let error = mails(&report, &sender(), to).expect_err(to);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{to}");
    }
    let forged = Sender::new("Company-X", "a@b\r\nBcc: c@d");
    assert!(mails(&report, &forged, "tlsrpt@company-y.example").is_err());
    for (place, text) in [("report-id", "a@b\nBcc: c@d"), ("policy-domain", "a\nBcc: c@d")] {
        let mut value: Value = serde_json::from_str(&report.to_json()).expect("JSON");
        match place {
            "report-id" => value[place] = json!(text),
            _ => value["policies"][0]["policy"][place] = json!(text),
        }
        let report: Report = serde_json::from_value(value).expect("a report");
        assert!(mails(&report, &sender(), "tlsrpt@company-y.example").is_err(), "{place}");
    }
}

/// A Message-ID has an `@` between dot-atoms (RFC 5322 §3.6.4), whatever the report's id is.
#[test]
fn every_mail_has_an_id() {
    let (long, longer) = ("(".repeat(200), "a".repeat(201));
    for (id, expected) in [
        ("1.b.example@a.example", Some("1.b.example@a.example".to_owned())),
        ("5065427c-23d3", Some("5065427c-23d3@company-x.example".to_owned())),
        ("a%40b", Some("a%2540b@company-x.example".to_owned())),
        ("a@b@c", Some("a%40b%40c@company-x.example".to_owned())),
        ("a@", Some("a%40@company-x.example".to_owned())),
        ("@", Some("%40@company-x.example".to_owned())),
        (".a..b@c", Some("%2Ea%2E%2Eb%40c@company-x.example".to_owned())),
        ("<a>", Some("%3Ca%3E@company-x.example".to_owned())),
        ("a@b> <c@d", Some("a%40b%3E%20%3Cc%40d@company-x.example".to_owned())),
        ("a (b)", Some("a%20%28b%29@company-x.example".to_owned())),
        ("\"a\"@[b]", Some("%22a%22%40%5Bb%5D@company-x.example".to_owned())),
        (&long, Some("%28".repeat(200) + "@company-x.example")),
        (&longer, None),
        ("", None),
        ("a\r\nBcc: c@d", None),
        ("a\t", None),
        ("a\u{fc}", None),
    ] {
        let mut report = counted();
        report.report_id = id.to_owned();
        let mail = report.mail(&sender(), "tlsrpt@company-y.example", END).ok();
        assert_eq!(mail.is_some(), expected.is_some(), "{id:?}");
        let (Some(mail), Some(expected)) = (mail, expected) else { continue };
        let text = String::from_utf8(mail.clone()).expect("ASCII");
        assert!(text.contains(&format!("Message-ID: <{expected}>\r\n")), "{id:?}: {text}");
        assert!(text.split("\r\n").all(|line| line.len() <= 998), "{id:?}: {text}");
        let mail = MessageParser::default().parse(&mail).expect("a mail");
        assert_eq!(mail.message_id(), Some(expected.as_str()), "{id:?}");
        let subject = mail.subject().expect("a subject");
        assert!(subject.ends_with(&format!(" Report-ID: <{expected}>")), "{id:?}: {subject}");
    }
}

/// A domain outside ASCII gets reports too.
#[test]
fn a_domain_of_another_script() {
    let mut collector = Collector::default();
    collector.succeeded(&Applied::none("b\u{fc}cher.example"));
    let [report] = &collector.reports(&sender(), START, END)[..] else { panic!("one domain") };
    let mail = report.mail(&sender(), "tlsrpt@xn--bcher-kva.example", END).expect("a mail");
    let mail = MessageParser::default().parse(&mail).expect("a mail");
    let expected = format!("{START}.xn--bcher-kva.example@company-x.example");
    assert_eq!(mail.message_id(), Some(expected.as_str()));
}

#[test]
fn the_mail() {
    let report = counted();
    let name = format!("company-x.example!company-y.example!{START}!{END}.json.gz");
    assert_eq!(report.file_name(&sender()), name);
    let mail = report.mail(&sender(), "tlsrpt@company-y.example", END).expect("a mail");
    assert!(tls_optional(&mail), "the mail is sent whatever keeps mail from the domain");
    let mail = MessageParser::default().parse(&mail).expect("a mail");
    let kind = mail.content_type().expect("a type");
    assert_eq!((kind.ctype(), kind.subtype()), ("multipart", Some("report")));
    assert_eq!(kind.attribute("report-type"), Some("tlsrpt"));
    let subject = format!(
        "Report Domain: company-y.example Submitter: company-x.example Report-ID: <{}>",
        report.report_id
    );
    assert_eq!(mail.subject(), Some(subject.as_str()));
    for (field, expected) in
        [("TLS-Report-Domain", "company-y.example"), ("TLS-Report-Submitter", "company-x.example")]
    {
        let value = mail.header_raw(field).expect(field);
        assert_eq!(value.trim(), expected);
    }
    let attachment = mail.attachments().next().expect("the report");
    let kind = attachment.content_type().expect("a type");
    assert_eq!((kind.ctype(), kind.subtype()), ("application", Some("tlsrpt+gzip")));
    assert_eq!(attachment.attachment_name(), Some(name.as_str()));
    let mut json = String::new();
    GzDecoder::new(attachment.contents()).read_to_string(&mut json).expect("gzip");
    assert_eq!(json, report.to_json());
}
