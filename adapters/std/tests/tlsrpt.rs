//! Reports, against the standard's own example.
#![cfg(feature = "tlsrpt")]

use std::io::Read as _;

use flate2::read::GzDecoder;
use mail_parser::{MessageParser, MimeHeaders as _};
use serde_json::{Value, json};
use starttls::policy::{ResultType, Tlsa, sts};
use starttls_std::tlsrpt::{Applied, Collector, Failure, Report, Sender, Session};

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

/// What the example tells, counted.
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

/// A value without what may be written in several ways: the order of failures, the form of addresses
/// and of a single pattern.
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

/// Who fails in ever new ways fills no memory.
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
}

#[test]
fn the_mail() {
    let report = counted();
    let name = format!("company-x.example!company-y.example!{START}!{END}.json.gz");
    assert_eq!(report.file_name(&sender()), name);
    let mail = report.mail(&sender(), "tlsrpt@company-y.example", END).expect("a mail");
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
