//! Answers as real servers give them.

use starttls::Protocol;

use super::super::{ALL, Answer, Ask, Peer, known};
use super::{NAME, Talk};

const AD: &[u8] = b"\x30\x84\0\0\0\x28\x02\x01\x01\x78\x84\0\0\0\x1f\x0a\x01\0\x04\0\x04\0\x8a\x16\
                    1.3.6.1.4.1.1466.20037";
const MARIADB: &[u8] = b"\x63\0\0\0\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\0\x1f\0\0\0abcdefgh\0\
    \xfe\xff\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0mysql_native_password\0";
const PROSODY: &[u8] = b"<?xml version='1.0'?><stream:stream xml:lang='en' version='1.0' \
    xmlns:stream='http://etherx.jabber.org/streams' id='1' from='a' xmlns='jabber:client'>\
    <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
    </stream:features>";

#[test]
fn answers() {
    use Answer::{Later, More, No, Strange, Yes};
    use Ask::{Greeting, Hello, Inside, Login, Upgrade};
    let rows: &[(Protocol, Ask, &[u8], Answer)] = &[
        (Protocol::POP3, Hello, b"+OK\r\nSTLS\r\n.\r\n", Yes),
        (Protocol::POP3, Hello, b"-ERR Unknown\r\n", No),
        (Protocol::POP3, Login, b"+\r\n", More),
        (Protocol::POP3, Upgrade, b"-ERR [SYS/TEMP] x\r\n", Later),
        (Protocol::FTP, Greeting, b"120 Wait\r\n220-a\r\n b\r\n220 c\r\n", Yes),
        (Protocol::FTP, Hello, b"211-x\r\nAUTH TLS\r\n211 End\r\n", Yes),
        (Protocol::FTP, Upgrade, b"534 x\r\n", No),
        (Protocol::NNTP, Upgrade, b"483 x\r\n", Later),
        (Protocol::NNTP, Greeting, b"201 x\r\n", Yes),
        (
            Protocol::SIEVE,
            Greeting,
            b"\"SASL\" {5}\r\nPLAIN\r\n\"STARTTLS\"\r\nOK {2}\r\nhi\r\n",
            Yes,
        ),
        (Protocol::SIEVE, Login, b"{0}\r\n\r\n", More),
        (Protocol::SIEVE, Upgrade, b"\"STARTTLS\"\r\nOK\r\n", Strange),
        (Protocol::IRC, Hello, b":s NOTICE * :Hi\r\n:s CAP * LS * :a\r\n:s CAP * LS :b\r\n", Yes),
        (Protocol::IRC, Hello, b":s 451 * CAP :x\r\n", No),
        (Protocol::IRC, Upgrade, b":s NOTICE * :670\r\n:s 670 nick :x\r\n", Yes),
        (Protocol::NUT, Upgrade, b"ERR FEATURE-NOT-CONFIGURED\n", No),
        (Protocol::POSTGRES, Upgrade, b"E\0\0\0\x0bMno\0\0\0\0", No),
        (Protocol::POSTGRES, Inside, b"R\0\0\0\x08\0\0\0\x03", Yes),
        (Protocol::POSTGRES, Inside, b"R\0\0\0\x08\0\0\0\0S\0\0\0\x08a\0b\0E\0\0\0\x05\0", Yes),
        (Protocol::POSTGRES, Inside, b"E\0\0\0\x13SFATAL\0C08P01\0\0", No),
        (Protocol::LDAP, Upgrade, AD, Yes),
        (Protocol::LDAP, Upgrade, b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\0\x04\0", Later),
        (Protocol::LDAP, Inside, b"\x30\x0c\x02\x01\x02\x65\x07\x0a\x01\x0d\x04\0\x04\0", No),
        (Protocol::MYSQL, Greeting, MARIADB, Yes),
        (Protocol::MYSQL, Greeting, b"\x06\0\0\0\xff\x10\x04Too", Later),
        (Protocol::MYSQL, Inside, b"\x05\0\0\x03\xff\x15\x04no", Yes),
        (Protocol::MYSQL, Inside, b"\x05\0\0\x03\xff\x13\x04no", No),
        (Protocol::NBD, Greeting, b"NBDMAGICIHAVEOPT\0\x03", Yes),
        (Protocol::NBD, Greeting, b"NBDMAGICIHAVEOPT\0\0", No),
        (Protocol::XMPP, Hello, PROSODY, Yes),
        (
            Protocol::XMPP,
            Upgrade,
            b" <proceed xmlns=\"urn:ietf:params:xml:ns:xmpp-tls\"></proceed>",
            Yes,
        ),
        (Protocol::VNC, Greeting, b"RFB 003.003\n", No),
        (Protocol::VNC, Hello, b"\x02\x13\x02\0\x02\0\x01\0\0\x01\x06", Yes),
        (Protocol::VNC, Hello, b"\0\0\0\0\x02no", No),
        (
            Protocol::RDP,
            Upgrade,
            b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x1f\x08\0\x02\0\0\0",
            Yes,
        ),
        (Protocol::RDP, Upgrade, b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x03\0\x08\0\x05\0\0\0", No),
        (Protocol::RDP, Upgrade, b"\x03\0\0\x0b\x06\xd0\0\0\x12\x34\0", No),
    ];
    for (protocol, ask, answer, meaning) in rows {
        let found = Talk::new(protocol).hear(*ask, answer);
        assert_eq!(found, *meaning, "{} {ask:?}: {}", protocol.name, answer.escape_ascii());
    }
}

#[test]
fn offers() {
    for (protocol, greeting, hello, offers) in [
        (Protocol::POP3, &b""[..], &b"+OK\r\nstls\r\n.\r\n"[..], Some(true)),
        (Protocol::POP3, b"", b"+OK\r\nXSTLS\r\n.\r\n", Some(false)),
        (Protocol::POP3, b"", b"-ERR\r\n", None),
        (Protocol::FTP, b"", b"211-F\r\n AUTH TLS;TLS-C;SSL;\r\n211 End\r\n", Some(true)),
        (Protocol::FTP, b"", b"211-F\r\n AUTH GSSAPI\r\n211 End\r\n", Some(false)),
        (Protocol::NNTP, b"", b"101 C\r\nSTARTTLS\r\n.\r\n", Some(true)),
        (Protocol::SIEVE, b"{8}\r\nSTARTTLS\r\nOK\r\n", b"", Some(true)),
        (Protocol::SIEVE, b"\"starttls\"\r\nOK\r\n", b"", Some(true)),
        (Protocol::SIEVE, b"\"SIEVE\" \"STARTTLS\"\r\nOK\r\n", b"", Some(false)),
        (Protocol::IRC, b"", b":s CAP * LS * :tls\r\n:s CAP * LS :b\r\n", Some(true)),
        (Protocol::IRC, b"", b":s CAP * LS :tlsx\r\n", Some(false)),
        (Protocol::MYSQL, MARIADB, b"", Some(true)),
        (Protocol::XMPP, b"", PROSODY, Some(true)),
        (Protocol::VNC, b"", b"\x02\x13\x02\0\x02\0\x01\0\0\x01\x06", Some(true)),
        (Protocol::VNC, b"", b"\x02\x13\x02\0\x02\0\x01\0\0\x01\x02", Some(false)),
    ] {
        let found = known(&protocol).expect("a dialect").offers_tls(greeting, hello);
        assert_eq!(found, offers, "{}: {}", protocol.name, hello.escape_ascii());
    }
}

#[test]
fn questions_depend_on_what_the_server_said() {
    let ask = |protocol, ask, said: &[u8]| {
        known(&protocol)
            .expect("a dialect")
            .ask(ask, &Peer { name: NAME, said })
            .unwrap_or_default()
    };
    let ends =
        |bytes: Vec<u8>, end: &[u8]| assert!(bytes.ends_with(end), "{}", bytes.escape_ascii());
    ends(ask(Protocol::MYSQL, Ask::Inside, MARIADB), b"check\0\0mysql_native_password\0");
    for (subtypes, chosen, inside) in [
        (&b"\0\x02\0\0\x01\x06\0\0\x01\x05"[..], 5, 16),
        (b"\0\x02\0\0\x01\x06\0\0\x01\x04", 4, 1),
        (b"\0\x02\0\0\x01\x06\0\0\x01\x02", 6, 8),
    ] {
        let said = [b"RFB 003.008\n\x01\x13\0\x02", subtypes].concat();
        assert_eq!(ask(Protocol::VNC, Ask::Upgrade, &said), [0, 0, 1, chosen]);
        assert_eq!(ask(Protocol::VNC, Ask::Inside, &said).len(), inside);
    }
    let hybrid = b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x1f\x08\0\x02\0\0\0";
    assert_eq!(ask(Protocol::RDP, Ask::Inside, hybrid).first(), Some(&0x30));
    let unasked = b":s NOTICE * :a\r\nPING :b\r\n:s 670 * :c\r\n";
    assert_eq!(known(&Protocol::IRC).expect("a dialect").unasked_len(unasked), 25);
}

#[test]
fn a_refusal_of_planted_bytes_is_no_answer_to_them() {
    let refusal = b"E\0\0\0\x3aSFATAL\0C08P01\0Mreceived unencrypted data after SSL\0\0";
    for (protocol, said, refuses) in [
        (Protocol::POSTGRES, &refusal[..], true),
        (Protocol::POSTGRES, b"E\0\0\0\x13SFATAL\0C28000\0\0", false),
        (Protocol::POSTGRES, b"R\0\0\0\x08\0\0\0\x03", false),
        (Protocol::NUT, b"ERR UNKNOWN-COMMAND\n", false),
    ] {
        let dialect = known(&protocol).expect("a dialect");
        assert_eq!(dialect.refuses_planted(said), refuses, "{}", said.escape_ascii());
        assert!(!refuses || !dialect.answers_planted(said));
    }
}

/// What a client does before TLS that has given TLS up.
#[test]
fn uses() {
    let uses: &[(Protocol, &[u8])] = &[
        (Protocol::SMTP, b"EHLO a\r\nMAIL FROM:<>\r\n"),
        (Protocol::LMTP, b"LHLO a\r\nMAIL FROM:<>\r\n"),
        (Protocol::IMAP, b"a CAPABILITY\r\nb select INBOX\r\n"),
        (Protocol::POP3, b"CAPA\r\nUSER me\r\n"),
        (Protocol::FTP, b"USER anonymous\r\n"),
        (Protocol::NNTP, b"GROUP a.b\r\n"),
        (Protocol::SIEVE, b"AUTHENTICATE \"PLAIN\"\r\n"),
        (Protocol::IRC, b"NICK me\r\nUSER me 0 * :me\r\n"),
        (Protocol::NUT, b"LIST UPS\n"),
        (Protocol::POSTGRES, b"\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x10\0\x03\0\0user\0me\0"),
        (Protocol::LDAP, b"\x30\x0c\x02\x01\x02\x60\x07\x02\x01\x03\x04\0\x80\0"),
        (Protocol::MYSQL, b"\x30\0\0\x01\x05\xa2\x0a\0"),
        (Protocol::NBD, b"\0\0\0\x01IHAVEOPT\0\0\0\x07\0\0\0\0"),
        (Protocol::XMPP, b"<auth mechanism='ANONYMOUS'/>"),
        (Protocol::XMPP_SERVER, b"<iq type='get'/>"),
        (Protocol::VNC, b"RFB 003.008\n\x01"),
        (Protocol::RDP, b"\x03\0\0\x0c\x02\xf0\x80\x7f\x65\0\0\0"),
    ];
    for (protocol, plaintext) in uses {
        let dialect = known(protocol).expect("a dialect");
        assert!(dialect.uses(plaintext), "{}", protocol.name);
    }
    for dialect in ALL {
        let ask = |ask| dialect.ask(ask, &Peer { name: NAME, said: &[] }).unwrap_or_default();
        let clean = [ask(Ask::Hello), ask(Ask::Upgrade)].concat();
        assert!(!dialect.uses(&clean), "{}", dialect.protocol().name);
    }
}
