extern crate std;

use std::string::String;

use super::*;

fn printed(received: &Received<'_>) -> String {
    let mut output = [0; 2048];
    let n = received.print(&mut output).expect("room");
    for room in 0..n {
        let too_small = Err(Error::OutputTooSmall { needed: n });
        assert_eq!(received.print(&mut output[..room]), too_small);
    }
    received.print(&mut output).expect("room");
    String::from_utf8(output[..n].to_vec()).expect("UTF-8")
}

fn from(hello: &str) -> Received<'_> {
    let by = Domain::new("mx.example.org").expect("a name");
    Received::new(hello, by, Date::utc(0).expect("a date"))
}

#[test]
fn a_hello_cannot_forge_anything() {
    let address = Some([192, 0, 2, 1].into());
    for hello in [
        "",
        "a b",
        "a(",
        "a;b",
        "a\r\nX: y",
        "a\\",
        "\"a\"",
        "a@b",
        "é.example",
        "[192.0.2.1",
        "[]",
        "a..b",
        "-a.example",
        "a by b",
        "a\tb",
        "a\0",
    ] {
        let text = printed(&from(hello).with_address(address));
        assert!(
            text.starts_with("Received: from [192.0.2.1]\r\n\tby mx.example.org with SMTP;\r\n")
        );
        assert!(printed(&from(hello)).starts_with("Received: from unknown\r\n\tby "));
    }
    for hello in
        ["a.example", "localhost", "[192.0.2.7]", "[IPv6:2001:db8::1]", "under_score.example"]
    {
        let text = printed(&from(hello).with_address(address));
        assert!(
            text.starts_with(&std::format!("Received: from {hello} ([192.0.2.1])\r\n")),
            "{text}"
        );
    }
}

#[test]
fn address_literals() {
    for (address, literal) in [
        ("192.0.2.1", "[192.0.2.1]"),
        ("255.10.0.99", "[255.10.0.99]"),
        ("::ffff:192.0.2.1", "[192.0.2.1]"),
        ("2001:db8::a0:1", "[IPv6:2001:db8:0:0:0:0:a0:1]"),
    ] {
        let address = address.parse().expect("an address");
        let text = printed(&from("").with_address(Some(address)));
        assert!(text.starts_with(&std::format!("Received: from {literal}\r\n")), "{text}");
        assert!(is_host(literal.as_bytes()));
    }
}

/// The registered words are those of RFC 3848 and RFC 6531 §4.3.
#[test]
fn transmission_types() {
    let mut words = std::vec::Vec::new();
    for bits in 0..32 {
        let has = |bit: u8| bits >> bit & 1 == 1;
        let protocol = Protocol {
            lmtp: has(0),
            extended: has(1),
            international: has(2),
            tls: has(3),
            authenticated: has(4),
        };
        let text = printed(&from("a").with_protocol(protocol));
        let (_, word) = text.split_once(" with ").expect("a word");
        let word = word.split(';').next().expect("its end");
        words.push(String::from(word));
    }
    words.sort();
    words.dedup();
    assert_eq!(
        words,
        [
            "ESMTP",
            "ESMTPA",
            "ESMTPS",
            "ESMTPSA",
            "LMTP",
            "LMTPA",
            "LMTPS",
            "LMTPSA",
            "SMTP",
            "UTF8LMTP",
            "UTF8LMTPA",
            "UTF8LMTPS",
            "UTF8LMTPSA",
            "UTF8SMTP",
            "UTF8SMTPA",
            "UTF8SMTPS",
            "UTF8SMTPSA",
        ]
    );
}

#[test]
fn ids_and_ciphers_are_atoms() {
    for id in ["", ".", "a..b", "a b", "a;b", "a\r\nb", "é"] {
        assert_eq!(from("a").with_id(id).err(), Some(ArgumentError::Forbidden), "{id:?}");
        assert_eq!(from("a").with_cipher(id).err(), Some(ArgumentError::Forbidden), "{id:?}");
    }
    let long = "a".repeat(79);
    assert_eq!(from("a").with_id(&long).err(), Some(ArgumentError::TooLong));
    assert!(printed(&from("a").with_id(&long[1..]).expect("an id")).contains(&long[1..]));
}

#[test]
fn the_longest_lines_fit() {
    let name = [b'a'; 255];
    let name = core::str::from_utf8(&name).expect("ASCII");
    let (local, host) = ("a".repeat(64), std::format!("{}.b", "b".repeat(187)));
    let path = std::format!("{local}@{host}");
    let path = Address::new(&path).expect("an address");
    let received =
        Received::new(name, Domain::new(name).expect("a name"), Date::utc(0).expect("a date"))
            .with_address(Some([0xffff; 8].into()))
            .with_recipient(Some(path));
    assert!(printed(&received).lines().all(|line| line.len() < 998));
    let mut output = [0; 512];
    let n = return_path(Some(path), &mut output).expect("room");
    assert_eq!(output[..n], *std::format!("Return-Path: <{}>\r\n", path.as_str()).as_bytes());
    let n = return_path(None, &mut output).expect("room");
    assert_eq!(&output[..n], b"Return-Path: <>\r\n");
    assert_eq!(return_path(None, &mut output[..16]), Err(Error::OutputTooSmall { needed: 17 }));
}
