//! A peer of another protocol is refused at once, without waiting for more of its bytes.

use starttls::client::Client;
use starttls::{Introduction, Machine, Policy, Roles, Server, Step, server};

const NAMES: Introduction<'static> =
    Introduction::new("im.example.org", *b"\x12\x34\x56\x78abcdefghijklmnop");

/// The first bytes of servers, their replies to unknown input, and the first bytes of clients.
const SAID: &[&[u8]] = &[
    b"\x15\x03\x01\x00\x02\x02\x46",
    b"\x16\x03\x01\x00\x50\x01\x00\x00\x4c\x03\x03",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"220 mx.example.org ESMTP\r\n",
    b"* OK ready\r\n",
    b"+OK ready\r\n",
    b"\x1b\x00\x00\x00\x0a8.0.1\x00\x08\x00\x00\x00abcdefgh\x00\xff\xff\xff\x02\x00\xff\xdf\x15",
    b"RFB 003.008\n",
    b"NBDMAGICIHAVEOPT\x00\x03",
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client'>\r\n",
    b"\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x00\x08\x00\x01\x00\x00\x00",
    &[0; 64],
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\r\n",
    b"NBDMAGIC\0\0\0\0",
];

/// Whether a machine reads all of this without a result, and waits for more.
fn waits<M: Machine>(machine: &mut M, mut said: &[u8], speaks_first: bool) -> bool {
    let mut output = vec![0; 8192];
    let mut input = if speaks_first { &b""[..] } else { std::mem::take(&mut said) };
    for _ in 0..64 {
        match machine.step(&mut input, &mut output) {
            Ok(Step::Read) if said.is_empty() => return true,
            Ok(Step::Read) => input = std::mem::take(&mut said),
            Ok(Step::Write(_)) if input.is_empty() && !said.is_empty() => {
                input = std::mem::take(&mut said);
            }
            // It understood something, or refused.
            Ok(Step::Write(_) | Step::Event(_)) | Err(_) => return false,
        }
    }
    panic!("the machine loops");
}

fn patient<P: Roles>(found: &mut Vec<String>) {
    for said in SAID {
        let client = || -> Client<_> { P::client(&NAMES, Policy::Required).expect("names") };
        let first = client().step(&mut &b""[..], &mut vec![0; 8192]);
        let (mut client, speaks_first) = (client(), matches!(first, Ok(Step::Write(_))));
        if waits(&mut client, said, speaks_first) {
            found.push(format!("{} client: {}", P::PROTOCOL.name, said.escape_ascii()));
        }
        let mut server: Server<_> = P::server(&NAMES, server::Config::default()).expect("names");
        if waits(&mut server, said, true) {
            found.push(format!("{} server: {}", P::PROTOCOL.name, said.escape_ascii()));
        }
    }
}

macro_rules! all {
    ([] $($module:ident :: $Type:ident,)*) => {
        #[test]
        fn no_machine_waits_for_a_foreign_peer() {
            let mut found = Vec::new();
            $(patient::<starttls::$module::$Type>(&mut found);)*
            assert_eq!(found, Vec::<String>::new());
        }
    };
}
starttls::for_each_protocol!(all []);
