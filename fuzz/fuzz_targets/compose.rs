//! Composed messages: no field can end or add a line, and the result depends neither on output sizes nor on cuts.

#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use starttls::mail::message::{
    Alternative, Attachment, Date, Encoding, Forwarded, Header, Inline, Inspected, Mailbox, Parts,
    Progress,
};
use starttls::mail::{Address, Message};

#[derive(Arbitrary, Debug)]
struct Mail<'a> {
    names: [Option<&'a str>; 3],
    addresses: [&'a str; 3],
    subject: &'a str,
    date: Option<(u64, i16)>,
    id: &'a str,
    header: (&'a str, &'a str),
    text: &'a str,
    file: Option<(&'a str, &'a str, &'a [u8])>,
    alternatives: [Option<(&'a str, &'a str)>; 2],
    inline: Option<(&'a str, &'a [u8])>,
    forwarded: Option<&'a str>,
    encoding: u8,
    room: u8,
    cut: u8,
}

fuzz_target!(|octets: &[u8]| {
    let Ok(mail) = Mail::arbitrary(&mut Unstructured::new(octets)) else { return };
    let plain = Address::new("a@b.example").expect("valid");
    let mailbox = |n: usize| {
        let address = Address::international(mail.addresses[n]).unwrap_or(plain);
        let name = mail.names[n].and_then(|name| Mailbox::named(name, address).ok());
        name.unwrap_or(Mailbox::new(address))
    };
    let people = [mailbox(1), mailbox(2)];
    let headers = Header::new(mail.header.0, mail.header.1).map_or(vec![], |header| vec![header]);
    let file = mail.file.and_then(|(content_type, name, octets)| {
        let attachment = Attachment::new(content_type, name)
            .or_else(|_| Attachment::new("application/octet-stream", name));
        Some((attachment.ok()?.with_size(octets.len()), octets))
    });
    let attachments = file.map_or(vec![], |(attachment, _)| vec![attachment]);
    let alternatives: Vec<_> = mail
        .alternatives
        .into_iter()
        .flatten()
        .map(|(content_type, text)| {
            let other =
                Alternative::new(content_type, text).or_else(|_| Alternative::calendar(text));
            other.unwrap_or(Alternative::html(text))
        })
        .collect();
    let logo = Attachment::new("image/png", "logo.png").expect("valid");
    let inline = mail.inline.map(|(id, octets)| {
        let file = logo.with_size(octets.len());
        (Inline::new(file, id).or_else(|_| Inline::new(file, "a@b")).expect("valid"), octets)
    });
    let inline_parts: Vec<_> = inline.iter().map(|(inline, _)| *inline).collect();
    // Mostly with good lines, which arbitrary bytes do not have.
    let original = mail.forwarded.map(|text| text.replace(['\r', '\0'], "").replace('\n', "\r\n"));
    let forwarded: Vec<_> = original
        .iter()
        .filter_map(|original| {
            Forwarded::new("original.eml", Inspected::new(original.as_bytes()).ok()?).ok()
        })
        .collect();
    let parts = Parts::new().with_alternatives(&alternatives).expect("two");
    let parts = parts.with_inline(&inline_parts).with_forwarded(&forwarded);
    let mut message = Message::new(mailbox(0), &people)
        .with_cc(&people[..1])
        .with_headers(&headers)
        .with_text(mail.text)
        .with_attachments(&attachments)
        .with_encoding(match mail.encoding % 3 {
            0 => Encoding::SevenBit,
            1 => Encoding::EightBit,
            _ => Encoding::QuotedPrintable,
        });
    if !(alternatives.is_empty() && inline.is_none() && forwarded.is_empty()) {
        message = message.with_parts(&parts);
    }
    message = message.with_subject(mail.subject).unwrap_or(message);
    message = message.with_id(mail.id).unwrap_or(message);
    if let Some(date) = mail.date.and_then(|(unix, offset)| Date::new(unix, offset).ok()) {
        message = message.with_date(date);
    }

    let mut data: Vec<&[u8]> = Vec::new();
    data.extend(inline.map(|(_, octets)| octets));
    data.extend(file.map(|(_, octets)| octets));
    data.extend(
        original.iter().filter(|_| !forwarded.is_empty()).map(|original| original.as_bytes()),
    );
    assert_eq!(message.files(), data.len());
    let data = &data[..];
    let composed = compose(&message, data, 4096, usize::MAX);
    assert_eq!(message.size(), Some(composed.len()));
    let pieces = compose(&message, data, usize::from(mail.room).max(1), mail.cut.max(1).into());
    assert!(pieces == composed, "it depends on the cut");
    assert!(message.is_eight_bit() || composed.is_ascii());
    check(&composed, mail.header.0);
});

fn compose(message: &Message<'_>, data: &[&[u8]], room: usize, cut: usize) -> Vec<u8> {
    let (mut composer, mut all, mut output) = (message.compose(), Vec::new(), vec![0; room]);
    loop {
        match composer.step(&mut output).expect("room") {
            Progress::Write(n) => all.extend_from_slice(&output[..n]),
            Progress::Attachment(index) => {
                for mut piece in data[index].chunks(cut) {
                    while !piece.is_empty() {
                        let n = composer.attach(&mut piece, &mut output).expect("asked");
                        all.extend_from_slice(&output[..n]);
                    }
                }
                composer.end_attachment().expect("asked");
            }
            Progress::Done => return all,
        }
    }
}

/// Lines respect their limits and end with CRLF; every field is ours or was given.
fn check(message: &[u8], header: &str) {
    const FIELDS: [&str; 9] = [
        "Date",
        "Message-ID",
        "From",
        "To",
        "Cc",
        "Subject",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    ];
    let text = std::str::from_utf8(message).expect("UTF-8");
    let mut lines = text.strip_suffix("\r\n").expect("an end").split("\r\n");
    let mut fields: Vec<&str> = Vec::new();
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        assert!(!line.contains(['\r', '\n', '\0']) && line.len() <= 998, "{line:?}");
        assert!(!line.trim_matches(' ').is_empty(), "a blank line in the header");
        if !line.starts_with(' ') {
            fields.push(line.split_once(':').expect("a field").0);
        }
    }
    for field in &fields {
        assert!(FIELDS.contains(field) || *field == header, "{field:?}");
        assert_eq!(fields.iter().filter(|other| *other == field).count(), 1, "{field} twice");
    }
    assert!(lines.all(|line| !line.contains(['\r', '\n', '\0']) && line.len() <= 998));
}
