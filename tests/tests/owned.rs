//! Envelopes that own their texts, and as data. Messages are in `compose/main.rs`.

use serde_json::{Value, json};
use starttls::ArgumentError;
use starttls::mail::dsn::{Notify, OriginalRecipient, Recipient, Request, Return, Xtext};
use starttls::mail::{Address, AddressBuf, Envelope, EnvelopeBuf, MessageBuf};

fn address(text: &str) -> Address<'_> {
    Address::international(text).expect("an address")
}

#[test]
fn an_owned_envelope_is_the_same_envelope() {
    let to = [address("you@example.org"), address("ä@example.org")];
    let ascii = Envelope::new(None, &to[..1]).expect("one");
    let original = Xtext::new("a+2Bb@example.org").expect("encoded");
    let original = OriginalRecipient::new("rfc822", original).expect("a type");
    let each =
        [Recipient::NOTHING.with_notify(Notify::NEVER).with_original(original).expect("short")];
    let request = Request::NOTHING.with_notify(Notify::SUCCESS.and(Notify::DELAY)).with_each(&each);
    let request = request.with_returns(Return::Headers).with_id(Xtext::new("id").expect("an id"));
    let utf8 = Xtext::international("\u{fc}").expect("encoded");
    let utf8 = OriginalRecipient::new("utf-8", utf8).expect("a type");
    let abroad = [Recipient::NOTHING.with_original(utf8).expect("short")];
    for envelope in [
        ascii,
        ascii.with_size(7).with_eight_bit(),
        ascii.with_utf8().with_required_tls(),
        ascii.with_dsn(Request::NOTHING),
        ascii.with_dsn(request.expect("an id")),
        ascii.with_dsn(Request::NOTHING.with_returns(Return::Full).with_each(&abroad)),
        Envelope::new(Some(address("me@example.org")), &to).expect("two"),
    ] {
        let owned = EnvelopeBuf::from(&envelope);
        assert_eq!(owned.view().envelope(), envelope);
        let data = serde_json::to_string(&owned).expect("data");
        let read: EnvelopeBuf = serde_json::from_str(&data).expect("the same data");
        assert_eq!(read.view().envelope(), envelope, "{data}");
    }
}

#[test]
fn what_follows_from_addresses_is_not_read() {
    let data = json!({ "from": null, "to": ["ä@example.org"] });
    let read: EnvelopeBuf = serde_json::from_value(data).expect("an envelope");
    let to = [address("ä@example.org")];
    assert_eq!(read.view().envelope(), Envelope::new(None, &to).expect("one"));
}

/// I12: data from outside has no value that the constructors refuse.
#[test]
fn bad_envelopes_are_refused() {
    let good = json!({
        "from": "me@example.org",
        "to": ["you@example.org"],
        "dsn": { "id": "a", "full": true, "all": { "notify": null, "original": null }, "each": [] },
    });
    assert!(serde_json::from_value::<EnvelopeBuf>(good.clone()).is_ok());
    let reports = |address_type: &str, address: &str| json!({ "notify": null, "original": [address_type, address] });
    for (pointer, bad) in [
        ("/from", json!("me@example.org>\r\nDATA")),
        ("/from", json!("")),
        ("/to", json!([])),
        ("/to", json!(["you@example.org>"])),
        ("/dsn/id", json!("a b")),
        ("/dsn/id", json!("a\r\n")),
        ("/dsn/all", reports("rfc822", "a b")),
        ("/dsn/all", reports("rfc 822", "a")),
        ("/dsn/each", json!([reports("rfc822", "a=b")])),
        ("/dsn/each", json!([reports("rfc822", &"a".repeat(500))])),
        ("/dsn/each", json!([{ "notify": [true] }])),
        ("", json!({ "from": null, "to": ["you@example.org"], "bcc": [] })),
    ] {
        let mut data = good.clone();
        *data.pointer_mut(pointer).expect("a place") = bad;
        let refused = serde_json::from_value::<EnvelopeBuf>(data.clone());
        assert!(refused.is_err(), "{data}");
    }
}

#[test]
fn addresses() {
    let owned = AddressBuf::from(address("ä@example.org"));
    assert_eq!((owned.as_str(), &*owned.to_string()), ("ä@example.org", "ä@example.org"));
    assert_eq!(AddressBuf::new("ä@example.org"), Err(ArgumentError::NotAscii));
    assert_eq!(AddressBuf::international("a b"), Err(ArgumentError::Malformed));
    assert_eq!(AddressBuf::new(String::from("a@b")).map(String::from).as_deref(), Ok("a@b"));
    let read: AddressBuf = serde_json::from_str(r#""ä@example.org""#).expect("an address");
    assert_eq!(read, owned);
    assert!(serde_json::from_str::<AddressBuf>(r#""a@b\r\n""#).is_err());
}

/// I12, for messages.
#[test]
fn bad_messages_are_refused() {
    let calendar = "BEGIN:VCALENDAR\nMETHOD:REQUEST\n";
    let good = json!({
        "from": { "name": "a", "address": "a@b.example" },
        "to": [{ "name": null, "address": "c@d.example" }],
        "subject": "e",
        "date": [1_795_262_400, 60],
        "id": "f@g",
        "headers": [["X-A", "h"]],
        "text": "i",
        "attachments": [{ "content_type": "a/b", "name": "j", "size": null }],
        "alternatives": [
            { "content_type": "text/html", "text": "<p>" },
            { "content_type": "text/calendar", "method": "REQUEST", "text": calendar },
        ],
        "inline": [["k@l", { "content_type": "a/b", "name": "m" }]],
        "forwarded": [
            { "name": "n", "size": 1, "level": 0, "eight_bit": false, "international": false },
        ],
        "encoding": "EightBit",
    });
    assert!(serde_json::from_value::<MessageBuf>(good.clone()).is_ok());
    let inject = Value::from("a\r\nBcc: b@c");
    for (pointer, bad) in [
        ("/from/name", inject.clone()),
        ("/from/address", inject.clone()),
        ("/to/0/name", inject.clone()),
        ("/to/0/name", json!("")),
        ("/subject", inject.clone()),
        ("/date/0", json!(u64::MAX)),
        ("/date/1", json!(24 * 60)),
        ("/id", inject.clone()),
        ("/headers/0/0", inject.clone()),
        ("/headers/0/0", json!("Bcc")),
        ("/headers/0/1", inject.clone()),
        ("/attachments/0/content_type", inject.clone()),
        ("/attachments/0/content_type", json!("message/rfc822")),
        ("/attachments/0/name", inject.clone()),
        ("/alternatives/0/content_type", inject.clone()),
        ("/alternatives/1/method", json!("CANCEL")),
        ("/alternatives/1/method", inject.clone()),
        ("/alternatives/1/content_type", json!("text/html")),
        ("/alternatives/1/text", json!("BEGIN:VCALENDAR\n")),
        ("/alternatives", json!(vec![json!({ "content_type": "text/html", "text": "" }); 256])),
        ("/inline/0/0", inject.clone()),
        ("/inline/0/1/name", inject.clone()),
        ("/forwarded/0/name", inject.clone()),
        ("/encoding", json!("Binary")),
        ("/from", json!({ "name": null, "address": "a@b", "bcc": "c@d" })),
    ] {
        let mut data = good.clone();
        *data.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = bad;
        let refused = serde_json::from_value::<MessageBuf>(data.clone());
        assert!(refused.is_err(), "{pointer}: {data}");
    }
}
