//! A report about TLS (RFC 8460) on its whole way: composed, sent, received and read.

use std::io::Read as _;

use flate2::read::GzDecoder;
use mail_parser::{MessageParser, MimeHeaders as _};
use starttls::mail::{Address, Envelope};
use starttls::mx::ResultType;
use starttls::smtp::Smtp;
use starttls_tokio::mx::tlsrpt::{Applied, Collector, Failure, Report, Sender, Session};

use crate::common::Identity;
use crate::mail::serve;

#[tokio::test]
async fn a_report_arrives_as_it_was_composed() {
    let mut collector = Collector::default();
    let policy = Applied::none("b.test");
    for n in 0..100 {
        let failure =
            Failure::new(ResultType::ValidationFailure).with_reason(format!("{n}\r\n.\r\n"));
        collector.failed(&policy, &Session::default(), failure);
    }
    let sender = Sender::new("A", "tls@a.test");
    let mut reports = collector.reports(&sender, 0, 86_400);
    // The second time in the format of other senders.
    reports.extend(reports.first().cloned());
    reports[1].report_id = "5065427c-23d3-47ca-b6e0-946ea0e8c4be".into();
    for (report, id) in
        reports.iter().zip(["0.b.test@a.test", "5065427c-23d3-47ca-b6e0-946ea0e8c4be@a.test"])
    {
        let composed = report.mail(&sender, "reports@b.test", 86_400).expect("a mail");
        let identity = Identity::new();
        let (port, kept, task) = serve::<Smtp>(identity.inbox()).await;
        let to = [Address::new("reports@b.test").expect("an address")];
        let from = Address::new(&sender.contact).expect("an address");
        let envelope = Envelope::new(Some(from), &to).expect("recipients");
        let receipt = identity.mailer(port).send(&envelope, &composed[..]).await.expect("sent");
        assert!(receipt.is_complete());
        task.await.expect("no panic").expect("a clean end");
        let [mail] = &kept.mails()[..] else { panic!("one mail") };
        assert!(mail.peer.is_encrypted());
        assert_eq!(mail.message, composed, "every byte arrives");

        let read = MessageParser::default().parse(&mail.message).expect("a mail");
        assert_eq!(read.message_id(), Some(id));
        let attachment = read.attachments().next().expect("the report");
        let kind = attachment.content_type().expect("a type");
        assert_eq!((kind.ctype(), kind.subtype()), ("application", Some("tlsrpt+gzip")));
        let mut json = String::new();
        GzDecoder::new(attachment.contents()).read_to_string(&mut json).expect("gzip");
        assert_eq!(json, report.to_json());
        let read: Report = serde_json::from_str(&json).expect("a report");
        assert_eq!(&read, report);
    }
}
