use crate::mail::Address;
use crate::mail::message::{Mailbox, Progress};

use super::*;

/// Composes into outputs of 7 bytes, each file with these bytes.
fn composed(message: &Message<'_>, octets: &[u8]) -> Result<heapless::String<2048>, Error> {
    let (mut composer, mut output) = (message.compose(), [0; 7]);
    let mut all = heapless::Vec::<u8, 2048>::new();
    let mut put = |octets: &[u8]| all.extend_from_slice(octets).expect("room");
    loop {
        match composer.step(&mut output)? {
            Progress::Write(n) => put(&output[..n]),
            Progress::Attachment(_) => {
                let mut piece = octets;
                while !piece.is_empty() {
                    let n = composer.attach(&mut piece, &mut output)?;
                    put(&output[..n]);
                }
                composer.end_attachment()?;
            }
            Progress::Done => break,
        }
    }
    Ok(heapless::String::from_utf8(all).expect("UTF-8"))
}

fn from() -> Mailbox<'static> {
    Mailbox::new(Address::new("a@b.example").expect("valid"))
}

#[test]
fn containers_in_their_order() {
    let others =
        [Alternative::html("<p>ä"), Alternative::new("text/enriched", "").expect("a type")];
    let file = Attachment::new("a/b", "c").expect("valid").with_size(3);
    let inline = [Inline::new(file, "d@e").expect("an id")];
    let inspected = Inspected::new(b"f\r\n").expect("good lines");
    let forwarded = [Forwarded::new("g.eml", inspected).expect("a name")];
    let parts = Parts::new().with_alternatives(&others).expect("two");
    let parts = parts.with_inline(&inline).with_forwarded(&forwarded);
    let files = [file];
    let message = Message::new(from(), &[]).with_attachments(&files).with_parts(&parts);
    let message = message.with_encoding(Encoding::EightBit);
    let all = composed(&message, b"f\r\n").expect("composed");
    let expected = "From: <a@b.example>\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed;\r\n boundary=\"=_m\"\r\nContent-Transfer-Encoding: 8bit\r\n\
        \r\n--=_m\r\n\
        Content-Type: multipart/related;\r\n type=\"multipart/alternative\";\r\n boundary=\"=_r\"\r\n\
        Content-Transfer-Encoding: 8bit\r\n\
        \r\n--=_r\r\n\
        Content-Type: multipart/alternative;\r\n boundary=\"=_a\"\r\nContent-Transfer-Encoding: 8bit\r\n\
        \r\n--=_a\r\n\
        Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>ä\r\n\
        \r\n--=_a\r\n\
        Content-Type: text/enriched; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
        \r\n--=_a--\r\n\
        \r\n--=_r\r\n\
        Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <d@e>\r\n\
        Content-Disposition: inline;\r\n filename=\"c\"\r\n\r\nZg0K\
        \r\n--=_r--\r\n\
        \r\n--=_m\r\n\
        Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\
        Content-Disposition: attachment;\r\n filename=\"c\"\r\n\r\nZg0K\
        \r\n--=_m\r\n\
        Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\
        Content-Disposition: attachment;\r\n filename=\"g.eml\"\r\n\r\nf\r\n\
        \r\n--=_m--\r\n";
    assert_eq!(all, expected);
    assert_eq!((message.size(), message.files()), (Some(expected.len()), 3));
    assert!(message.is_eight_bit() && !message.is_international());
}

#[test]
fn a_single_part_has_no_container() {
    let message = Message::new(from(), &[]);
    let html = [Alternative::html("a")];
    let parts = Parts::new().with_alternatives(&html).expect("one");
    let all = composed(&message.with_parts(&parts), b"").expect("composed");
    let body = "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\
        Content-Transfer-Encoding: 7bit\r\n\r\na\r\n";
    assert!(all.ends_with(body), "{all}");
    let (none, with_text) = (Parts::default(), message.with_text("ä"));
    let all = composed(&with_text.with_parts(&none), b"");
    assert_eq!(all, composed(&with_text, b""));
    let many = [html[0]; 256];
    assert!(Parts::new().with_alternatives(&many[1..]).is_ok());
    let error = Parts::new().with_alternatives(&many).err();
    assert_eq!(error, Some(ArgumentError::TooLong));
}

/// I12: the bytes of a forwarded message cannot end its part, whatever was inspected.
#[test]
fn another_message_than_the_inspected_one() {
    for (inspected, sent) in [
        ("a", "--=_m"),
        ("a\r\n", "a\r\n--=_"),
        ("--=_m\r\n--=_8", "\r\n--=_9"),
        ("--=_9", "--=_10m"),
        ("--=_65532", "--=_65533"),
        ("a", "ä"),
        ("a", "a\0"),
        ("a", "a\n--=_m"),
        ("a", "a\r--=_m"),
        ("a", "a\r\r\n"),
    ] {
        let found = Inspected::new(inspected.as_bytes()).expect("good lines");
        let forwarded = [Forwarded::new("a", found).expect("a name")];
        let parts = Parts::new().with_forwarded(&forwarded);
        let message = Message::new(from(), &[]).with_parts(&parts);
        let size = composed(&message, inspected.as_bytes()).expect("composed").len();
        assert_eq!(message.size(), Some(size), "{inspected:?}");
        let refused = composed(&message, sent.as_bytes());
        assert_eq!(refused, Err(Error::NotForwardable), "{inspected:?} {sent:?}");
    }
}

#[test]
fn a_header_that_is_not_ascii() {
    let found = Inspected::new("Subject: ä\r\n".as_bytes()).expect("good lines");
    let forwarded = [Forwarded::new("a", found).expect("a name")];
    let parts = Parts::new().with_forwarded(&forwarded);
    let message = Message::new(from(), &[]).with_parts(&parts);
    assert!(message.is_international() && message.is_eight_bit());
    let all = composed(&message, "Subject: ä\r\n".as_bytes()).expect("composed");
    assert!(
        all.contains("\r\nContent-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n")
    );
}
