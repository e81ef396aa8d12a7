//! Reports in the format of other senders, and the format that receivers expect.

use mail_parser::MessageParser;
use serde_json::{Value, json};
use starttls_tlsrpt::{Applied, Collector, Report, Sender};

/// Members that are null, missing, or one string instead of a list.
const LENIENT: &str = r#"{
  "organization-name": null,
  "date-range": {
    "start-datetime": "2026-04-01T00:00:00Z",
    "end-datetime": "2026-04-01T23:59:59Z"
  },
  "contact-info": null,
  "report-id": "133522e1+a.example",
  "policies": [{
    "policy": {
      "policy-type": "no-policy-found",
      "policy-string": null,
      "policy-domain": "a.example",
      "mx-host": null
    },
    "summary": { "total-successful-session-count": 5 },
    "failure-details": null
  }, {
    "policy": { "policy-type": "sts", "policy-string": "version: STSv1", "mx-host": [null, "a.example"] },
    "summary": null,
    "failure-details": [{
      "result-type": "validation-failure",
      "sending-mta-ip": null,
      "receiving-mx-hostname": null,
      "receiving-mx-helo": null,
      "receiving-ip": null,
      "failed-session-count": null,
      "additional-information": null,
      "failure-reason-code": null
    }, {}]
  }]
}"#;

#[test]
fn null_and_missing_members_are_equal() {
    let report: Report = serde_json::from_str(LENIENT).expect("a report");
    assert_eq!((&report.organization_name[..], &report.contact_info[..]), ("", ""));
    assert_eq!(report.domain(), "a.example");
    let [none, sts] = &report.policies[..] else { panic!("{report:?}") };
    assert!(none.policy.policy_string.is_empty() && none.policy.mx_host.is_empty());
    assert!(none.failure_details.is_empty());
    let summary = none.summary;
    let counts = (summary.total_successful_session_count, summary.total_failure_session_count);
    assert_eq!(counts, (5, 0));
    assert_eq!(sts.policy.policy_string, ["version: STSv1"]);
    assert_eq!(sts.policy.mx_host, ["a.example"]);
    assert_eq!(sts.failure_details.len(), 2);
    assert_eq!(sts.failure_details[0].failed_session_count, 0);
    assert_eq!(sts.failure_details[0].receiving_ip, None);
    // No member is written as null.
    assert!(!report.to_json().contains("null"));
}

/// Each member of a report, once left out and once null.
#[test]
fn required_members_of_a_report() {
    let mut collector = Collector::default();
    collector.succeeded(&Applied::none("a.example"));
    let reports = collector.reports(&Sender::new("A", "a@b.example"), 0, 86_399);
    let whole = serde_json::to_value(&reports[0]).expect("JSON");
    let members = [
        ("", "organization-name", false),
        ("", "contact-info", false),
        ("", "report-id", false),
        ("", "date-range", true),
        ("", "policies", true),
        ("/date-range", "start-datetime", true),
        ("/policies/0", "policy", true),
        ("/policies/0", "summary", false),
        ("/policies/0/policy", "policy-type", false),
        ("/policies/0/policy", "policy-domain", false),
        ("/policies/0/summary", "total-failure-session-count", false),
    ];
    for (place, member, is_needed) in members {
        for missing in [true, false] {
            let mut value = whole.clone();
            let object = value.pointer_mut(place).and_then(Value::as_object_mut).expect(place);
            let known = if missing {
                object.remove(member)
            } else {
                object.insert(member.into(), json!(null))
            };
            assert!(known.is_some(), "{member}");
            let read = serde_json::from_value::<Report>(value);
            assert_eq!(read.is_err(), is_needed, "{member}: {read:?}");
        }
    }
}

/// Receivers search for the words of the subject, and for an id in angle brackets.
#[test]
fn the_subject_is_not_encoded() {
    let long = format!("{}.{}.example", "a".repeat(60), "b".repeat(60));
    for (domain, contact, submitter) in [
        ("a.example", "tls@b.example", "b.example".to_owned()),
        (&long[..], "tls@b.example", "b.example".to_owned()),
        (&long[..], &format!("tls@{long}")[..], long.clone()),
        ("a.example", "tls@b\u{fc}cher.example", "xn--bcher-kva.example".to_owned()),
    ] {
        let mut collector = Collector::default();
        collector.succeeded(&Applied::none(domain));
        let sender = Sender::new("A", contact);
        let mut report = collector.reports(&sender, 0, 86_399).remove(0);
        report.report_id = format!("735ff.e317+bf22029@{submitter}");
        let mail = report.mail(&sender, "tlsrpt@a.example", 86_400).expect("a mail");
        let mail = String::from_utf8(mail).expect("text");
        let start = mail.find("Subject: ").expect("a subject");
        let end = mail[start..].match_indices("\r\n").map(|(n, _)| start + n);
        let mut end = end.filter(|end| !mail[end + 2..].starts_with(['\t', ' ']));
        let subject = &mail[start..end.next().expect("an end")];
        assert!(!subject.contains("=?"), "{subject}");
        assert!(subject.split("\r\n").all(|line| line.len() < 250), "{subject}");
        let words: Vec<_> = subject.split_ascii_whitespace().collect();
        let id = format!("<{}>", report.report_id);
        let expected =
            ["Subject:", "Report", "Domain:", domain, "Submitter:", &submitter, "Report-ID:", &id];
        assert_eq!(words, expected);
        let parsed = MessageParser::default().parse(&mail).expect("a mail");
        assert_eq!(parsed.subject(), Some(&expected[1..].join(" ")[..]));
    }
    let mut collector = Collector::default();
    collector.succeeded(&Applied::none("a.example"));
    let sender = Sender::new("A", "tls@b.example");
    let mut report = collector.reports(&sender, 0, 86_399).remove(0);
    for bad in ["", "\u{fc}", "a\tb"] {
        report.report_id = bad.to_owned();
        assert!(report.mail(&sender, "tlsrpt@a.example", 86_400).is_err(), "{bad:?}");
    }
}
