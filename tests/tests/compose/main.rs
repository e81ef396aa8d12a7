//! Other parsers read composed messages as intended.

mod mails;

use std::fs::File;
use std::path::Path;
use std::process::Command;

use mail_parser::{HeaderValue, MessageParser, MessagePart, MimeHeaders as _, PartType};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;
use starttls::mail::message::{Attachment, Composer, Header, Mailbox, Progress};
use starttls::mail::{Address, Message, MessageBuf};

use mails::{Mail, Person, mail};

/// The header fields that a message may have, besides those of its caller.
const FIELDS: [&str; 10] = [
    "Date",
    "Message-ID",
    "From",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// The lines of a message without CRLF.
fn lines(message: &[u8]) -> Vec<&str> {
    let text = std::str::from_utf8(message).expect("UTF-8");
    let lines: Vec<_> = text.strip_suffix("\r\n").expect("an end").split("\r\n").collect();
    for line in &lines {
        assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
        assert!(line.len() <= 998, "{line:?}");
    }
    lines
}

/// Checks everything that does not need a parser.
fn check(mail: &Mail, message: &[u8]) {
    let lines = lines(message);
    let header = lines.iter().position(|line| line.is_empty()).expect("an end of the header");
    let mut names: Vec<&str> = Vec::new();
    for line in &lines[..header] {
        assert!(!line.trim().is_empty(), "a blank line in the header: {line:?}");
        match line.split_once(':') {
            _ if line.starts_with(' ') => assert!(!names.is_empty()),
            Some((name, _)) => names.push(name),
            None => panic!("no field: {line:?}"),
        }
    }
    let ours = mail.headers.iter().map(|(name, _)| name.as_str());
    let counted = |name: &str| names.iter().filter(|other| **other == name).count();
    for name in ours.clone() {
        assert_eq!(counted(name), ours.clone().filter(|other| *other == name).count());
    }
    let verbatim = mail.with(|message| message.is_eight_bit());
    let is_single = mail.texts().len() == 1
        && mail.files.is_empty()
        && mail.inline.is_empty()
        && mail.forwarded.is_empty();
    let present = [
        mail.date.is_some(),
        mail.id.is_some(),
        true,
        !mail.reply_to.is_empty(),
        !mail.to.is_empty(),
        !mail.cc.is_empty(),
        !mail.subject.is_empty(),
        true,
        true,
        verbatim || is_single,
    ];
    for (name, present) in FIELDS.iter().zip(present) {
        assert_eq!(counted(name), usize::from(present), "{name}");
    }
    let known = |name: &&&str| FIELDS.contains(name) || ours.clone().any(|other| other == **name);
    assert_eq!(names.iter().filter(known).count(), names.len(), "{names:?}");

    // A forwarded message is not encoded.
    let may_be = mail.eight_bit || !mail.forwarded.is_empty();
    assert!(verbatim != message.is_ascii() && (!verbatim || may_be));
    for line in &lines[..header] {
        // RFC 2047 section 2, RFC 5322 section 2.1.1.
        let limit = if line.contains("=?utf-8?") { 76 } else { 78 };
        // At a space, except the one after the name or before the rest.
        let can_be_folded = line.split(' ').count() > 2;
        assert!(line.len() <= limit || !can_be_folded, "{line:?}");
    }
    let limit = if may_be { 998 } else { 78 };
    for line in &lines[header..] {
        assert!(line.len() <= limit, "{line:?}");
    }
}

fn people(address: Option<&mail_parser::Address<'_>>) -> Vec<(Option<String>, Option<String>)> {
    let Some(address) = address else { return Vec::new() };
    address
        .iter()
        .map(|one| (one.name().map(str::to_string), one.address().map(str::to_string)))
        .collect()
}

fn expected(people: &[Person]) -> Vec<(Option<String>, Option<String>)> {
    people.iter().map(|one| (one.name.clone(), Some(one.address.clone()))).collect()
}

/// The result of mail-parser.
fn read_back(mail: &Mail, message: &[u8]) {
    let parser = MessageParser::new()
        .with_mime_headers()
        .with_date_headers()
        .with_address_headers()
        .with_message_ids()
        .default_header_text();
    let parsed = parser.parse(message).expect("a message");
    for (found, list) in [
        (parsed.from(), std::slice::from_ref(&mail.from)),
        (parsed.reply_to(), &mail.reply_to),
        (parsed.to(), &mail.to),
        (parsed.cc(), &mail.cc),
    ] {
        // It ignores quotes in an address; Python does not.
        if !list.iter().any(|person| person.address.contains('"')) {
            assert_eq!(people(found), expected(list));
        }
    }
    assert_eq!(parsed.subject().unwrap_or_default(), mail.subject);
    assert_eq!(parsed.message_id(), mail.id.as_deref());
    let date = parsed.date().map(|date| date.to_timestamp());
    assert_eq!(date, mail.date.map(|(unix, _)| unix as i64));
    for (name, text) in &mail.headers {
        let same = |(other, _): &&(String, String)| other == name;
        if mail.headers.iter().filter(same).count() == 1 && !text.contains("=?") {
            let value = parsed.header(name.as_str()).expect("the field");
            assert_eq!(value, &HeaderValue::Text(text.as_str().into()), "{name}");
        }
    }
    let texts = mail.texts();
    let mut parts = parsed.parts.iter().filter(|part| !part.is_multipart());
    for (content_type, text) in &texts {
        let part = parts.next().expect("a text");
        assert_eq!(type_of(part), *content_type);
        let found = part.text_contents().expect("a text").replace("\r\n", "\n");
        assert_eq!(&found, text, "{content_type}");
    }
    for shown in &mail.inline {
        let part = parts.next().expect("an inline part");
        read_file(part, &shown.file, "inline");
        assert_eq!(part.content_id(), Some(shown.id.as_str()));
    }
    for file in &mail.files {
        read_file(parts.next().expect("a file"), file, "attachment");
    }
    for original in &mail.forwarded {
        let part = parts.next().expect("a message");
        assert!(matches!(part.body, PartType::Message(_)), "{part:?}");
        assert_eq!(part.attachment_name(), Some(original.name.as_str()));
        let found = &message[part.raw_body_offset() as usize..part.raw_end_offset() as usize];
        assert_eq!(String::from_utf8_lossy(found), String::from_utf8_lossy(&original.octets));
    }
    assert!(parts.next().is_none());
    // The containers, from the outside.
    let containers = [
        ("mixed", !mail.files.is_empty() || !mail.forwarded.is_empty()),
        ("related", !mail.inline.is_empty()),
        ("alternative", texts.len() > 1),
    ];
    let expected = containers.iter().filter(|(_, present)| *present).map(|(name, _)| *name);
    let found = parsed.parts.iter().filter(|part| part.is_multipart());
    let found = found.map(|part| part.content_type().and_then(|found| found.subtype()));
    assert!(found.eq(expected.map(Some)));
}

fn type_of(part: &MessagePart<'_>) -> String {
    let found = part.content_type().expect("a type");
    format!("{}/{}", found.ctype(), found.subtype().unwrap_or_default())
}

fn read_file(part: &MessagePart<'_>, file: &mails::File, disposition: &str) {
    if file.content_type.starts_with("text/") {
        // It decodes text.
        assert_eq!(part.contents(), String::from_utf8_lossy(&file.octets).as_bytes());
    } else {
        assert_eq!(part.contents(), file.octets);
    }
    assert_eq!(part.attachment_name(), Some(file.name.as_str()));
    assert_eq!(part.content_disposition().map(|found| found.ctype()), Some(disposition));
    assert_eq!(Some(type_of(part).as_str()), file.content_type.split(';').next());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// The header has only our fields, lines respect their limits, and mail-parser reads the intended values.
    #[test]
    fn composed_and_read(mail in mail()) {
        let message = mail.composed();
        check(&mail, &message);
        read_back(&mail, &message);
        prop_assert_eq!(mail.with(|message| message.size()), Some(message.len()));
    }

    /// A message that owns its texts is the same one, also as data.
    #[test]
    fn owned_and_as_data(mail in mail()) {
        let (owned, known) = mail.with(|message| (MessageBuf::from(message), message.size()));
        let data = serde_json::to_string(&owned).expect("data");
        let read: MessageBuf = serde_json::from_str(&data).expect("the same data");
        prop_assert_eq!(&read, &owned);
        let view = read.view();
        let parts = view.parts();
        let message = view.message(&parts);
        prop_assert_eq!(message.size(), known);
        prop_assert_eq!(mail.compose(&message, || 4096, || usize::MAX), mail.composed());
    }

    /// I12: any value is refused or stays within its field.
    #[test]
    fn arguments_cannot_carry_fields(
        text in "(?s)[ -~\r\n\t\0\x7fé]{0,30}",
        around in prop_oneof![Just(""), Just("a\r\nBcc: b@c"), Just("a/b"), Just("a@b"), Just("X-A")],
    ) {
        let text = format!("{around}{text}");
        let ends_lines = text.contains(['\r', '\n', '\0', '\t', '\x7f']);
        let from = Address::new("a@b.example").expect("an address");
        let mailbox = Mailbox::named(&text, from);
        let file = Attachment::new("a/b", &text);
        let headers = [Header::new("X-A", &text), Header::new(&text, "a")];
        let message = Message::new(from.into(), &[]);
        let subject = message.with_subject(&text);
        prop_assert_eq!(mailbox.is_err(), ends_lines || text.is_empty());
        prop_assert_eq!(file.is_err(), ends_lines || text.is_empty());
        prop_assert_eq!(subject.is_err(), ends_lines);
        if ends_lines {
            prop_assert!(headers.iter().all(Result::is_err));
            prop_assert!(Attachment::new(&text, "a").is_err());
            prop_assert!(message.with_id(&text).is_err());
        }
        // One field for each accepted value, and no other.
        let headers: Vec<_> = headers.into_iter().flatten().collect();
        let people: Vec<_> = mailbox.into_iter().collect();
        let message = subject.unwrap_or(message).with_cc(&people).with_headers(&headers);
        let message = message.with_id(&text).unwrap_or(message);
        let (mut composer, mut output) = (message.compose(), [0; 4096]);
        let Ok(Progress::Write(n)) = composer.step(&mut output) else { unreachable!("it is short") };
        prop_assert_eq!(composer.step(&mut output), Ok(Progress::Done));
        let fields = lines(&output[..n]).into_iter().take_while(|line| !line.is_empty());
        let fields = fields.filter(|line| !line.starts_with(' ')).count();
        let expected = 4 + headers.len() + people.len()
            + usize::from(!ends_lines && !text.is_empty())
            + usize::from(Message::new(from.into(), &[]).with_id(&text).is_ok());
        prop_assert_eq!(fields, expected);
    }

    /// The result depends neither on the size of outputs nor on the cut of attachments.
    #[test]
    fn any_output_and_any_cut(
        mail in mail(),
        rooms in prop::collection::vec(1_usize..100, 1..5),
        cuts in prop::collection::vec(1_usize..9, 1..5),
    ) {
        let (mut rooms, mut cuts) = (rooms.into_iter().cycle(), cuts.into_iter().cycle());
        let next = || rooms.next().expect("without end");
        let pieces = mail.composed_with(next, || cuts.next().expect("without end"));
        prop_assert!(pieces == mail.composed());
    }
}

/// Writes arbitrary mails, after a change, with their composed form, and expects that a script reads all of
/// them back.
fn read_by(script: &str, count: usize, change: impl Fn(&mut Mail, usize)) {
    let mut runner = TestRunner::deterministic();
    let mut cases = Vec::new();
    for n in 0..count {
        let mut mail = mail().new_tree(&mut runner).expect("a mail").current();
        change(&mut mail, n);
        let message = mail.composed();
        cases.push(json!({ "mail": mail, "texts": mail.texts(), "message": message }));
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cases.json");
    serde_json::to_writer(File::create(&path).expect("a file"), &cases).expect("written");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(script);
    let output = Command::new("python3").arg(script).arg(&path).output().expect("python3");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), format!("{count} read back"));
}

/// Python's `email`, a second independent parser.
#[test]
#[ignore = "needs Python; `tests/interop/run` runs it"]
fn python_reads_the_intended_values() {
    read_by("composed.py", 1000, |_, _| ());
}

/// The parser GMime, a third one.
#[test]
#[ignore = "needs Python and notmuch; `tests/interop/run` runs it"]
fn notmuch_reads_the_parts() {
    // By their ids it tells them apart.
    read_by("notmuch.py", 300, |mail, n| mail.id = Some(format!("{n}@cases.example")));
}

/// A mail whose text the test fills in.
fn plain() -> Mail {
    Mail {
        to: vec![Person { name: None, address: "a@b.example".into() }],
        subject: "21,5 °C".into(),
        text: "All is well.".into(),
        ..Mail::empty()
    }
}

#[test]
fn a_megabyte_needs_512_octets() {
    let mut picture = vec![0; 1 << 20];
    let mut state = 1_u32;
    for octet in &mut picture {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *octet = (state >> 24) as u8;
    }
    let mut mail = plain();
    mail.files = vec![mails::File {
        content_type: "image/jpeg".into(),
        name: "gate.jpg".into(),
        octets: picture,
    }];
    let message = mail.composed_with(|| 512, || 512);
    check(&mail, &message);
    read_back(&mail, &message);
    assert!(size_of::<Composer<'_>>() < 128);
}

/// RFC 6532: the address stays as it is; everything else is encoded as usual.
#[test]
fn international_addresses_stay_unencoded() {
    let mut mail = plain();
    mail.cc =
        vec![Person { name: Some("Jürgen".into()), address: "jürgen@bücher.example".into() }];
    assert!(mail.with(|message| message.is_international() && message.is_eight_bit()));
    let message = mail.composed();
    read_back(&mail, &message);
    let text = String::from_utf8(message).expect("UTF-8");
    assert!(text.contains("\r\nCc: =?utf-8?q?J=C3=BCrgen?= <jürgen@bücher.example>\r\n"), "{text}");
}
