//! `mysql_common` and our client and server read and write the same packets before TLS.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use mysql_common::constants::{CapabilityFlags, MariadbCapabilities, StatusFlags};
use mysql_common::io::ParseBuf;
use mysql_common::packets::{HandshakePacket, SslRequest};
use mysql_common::proto::{MyDeserialize, MySerialize};
use starttls::mysql::{self, Greeting, Handshake, Scramble, Text};
use starttls::server::{self, Config};
use starttls::{Machine, Policy, Step, client};

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    available: bool,
    request: (u32, u32, u8),
    greeting: (&'a str, u32, [u8; 20], u32, u8, u16, &'a str),
    payload: &'a [u8],
}

impl Case<'_> {
    fn client(&self) -> mysql::Client {
        let (capabilities, max_packet, charset) = self.request;
        // mysql_common rejects unknown capabilities.
        let capabilities = CapabilityFlags::from_bits_truncate(capabilities).bits();
        let request = mysql::SslRequest::new(capabilities, max_packet, charset);
        mysql::Client::new(request, Policy::Opportunistic)
    }
}

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let [a, b, c, ..] = payload.len().to_le_bytes();
    [&[a, b, c, sequence], payload].concat()
}

fn assert_same(ours: &Handshake<'_>, theirs: &HandshakePacket<'_>) {
    assert_eq!(ours.version.as_untrusted_bytes(), theirs.server_version_ref());
    assert_eq!(ours.thread_id, theirs.connection_id());
    assert_eq!(
        (ours.charset, ours.status),
        (theirs.default_collation(), theirs.status_flags().bits())
    );
    let capabilities = CapabilityFlags::from_bits_truncate(ours.capabilities);
    assert_eq!(capabilities, theirs.capabilities());
    if !capabilities.contains(CapabilityFlags::CLIENT_LONG_PASSWORD) {
        let mariadb = MariadbCapabilities::from_bits_truncate(ours.mariadb_capabilities);
        assert_eq!(mariadb, theirs.mariadb_ext_capabilities());
    }
    let mut scramble: Vec<u8> = ours.scramble().collect();
    scramble.resize(scramble.len().max(20), 0);
    assert_eq!(scramble, theirs.nonce());
    let plugin = theirs.auth_plugin_name_ref().unwrap_or_default();
    // A text ends at its first zero byte.
    let plugin = plugin.split(|octet| *octet == 0).next().unwrap_or_default();
    assert_eq!(ours.plugin.as_untrusted_bytes(), plugin);
}

/// Whether the scramble is so long that its length would be a negative number of eight bits.
fn has_long_scramble(payload: &[u8]) -> bool {
    let version = payload.iter().position(|octet| *octet == 0).unwrap_or(payload.len());
    payload.get(version + 21).is_some_and(|length| *length > 127)
}

fn read(case: &Case<'_>) {
    let payload = [&[10], case.payload].concat();
    if payload.len() + 4 > mysql::MAX_PACKET || has_long_scramble(&payload) {
        return;
    }
    let mut client = case.client();
    let said = packet(0, &payload);
    let mut rest = &said[..];
    // The cause of a failure is reported first.
    let mut is_told = false;
    let failed = loop {
        match client.step(&mut rest, &mut []) {
            Ok(Step::Event(client::Event::Received(_))) if !is_told => is_told = true,
            stepped => break stepped.is_err(),
        }
    };
    let theirs = HandshakePacket::deserialize((), &mut ParseBuf(&payload));
    match (client.handshake(), theirs) {
        (Some(ours), Ok(theirs)) => assert_same(&ours, &theirs),
        // mysql_common rejects unknown status flags.
        (Some(ours), Err(_)) => assert_eq!(StatusFlags::from_bits(ours.status), None),
        (None, theirs) => assert!(failed && theirs.is_err(), "{theirs:?}"),
    }
}

fn print(case: &Case<'_>) {
    let (version, thread_id, scramble, capabilities, charset, status, plugin) = case.greeting;
    let (Ok(version), Ok(plugin)) = (Text::new(version), Text::new(plugin)) else { return };
    let status = StatusFlags::from_bits_truncate(status).bits();
    let greeting = Greeting::new(version, thread_id, Scramble::new(scramble));
    let greeting = greeting
        .with_capabilities(capabilities)
        .with_charset(charset)
        .with_status(status)
        .with_plugin(plugin);
    let config = Config::default().with_available(case.available);
    let mut server = mysql::Server::new(greeting, config);
    let mut said = [0; 192];
    let Ok(Step::Write(n)) = server.step(&mut &b""[..], &mut said) else { panic!("no greeting") };
    let said = &said[..n];
    let theirs = HandshakePacket::deserialize((), &mut ParseBuf(&said[4..])).expect("a greeting");
    assert_eq!(said[..4], [u8::try_from(n - 4).expect("short"), 0, 0, 0]);
    assert_eq!(theirs.nonce(), greeting.scramble().as_bytes());
    assert_eq!(theirs.capabilities().contains(CapabilityFlags::CLIENT_SSL), case.available,);

    let mut client = case.client();
    client.step(&mut &*said, &mut []).expect("a greeting");
    assert_same(&client.handshake().expect("read"), &theirs);
    let mut output = [0; 36];
    let step = client.step(&mut &b""[..], &mut output).expect("room");
    if !case.available {
        assert!(matches!(step, Step::Event(client::Event::Plaintext(_))));
        return;
    }
    assert_eq!((step, output[..4].to_vec()), (Step::Write(36), vec![32, 0, 0, 1]));
    let asked = SslRequest::deserialize((), &mut ParseBuf(&output[4..])).expect("a request");
    let request = client.request();
    let capabilities = CapabilityFlags::from_bits_truncate(request.capabilities());
    assert_eq!(asked.capabilities(), capabilities);
    assert_eq!(
        (asked.max_packet_size(), asked.character_set()),
        (request.max_packet(), request.charset())
    );

    let mut theirs = Vec::new();
    asked.serialize(&mut theirs);
    let theirs = packet(1, &theirs);
    let mut input = &theirs[..];
    assert!(matches!(
        server.step(&mut input, &mut []),
        Ok(Step::Event(server::Event::Received(_)))
    ));
    let step = server.step(&mut input, &mut []);
    assert_eq!(step, Ok(Step::Event(server::Event::UpgradeRequested)));
    assert!(input.is_empty());
}

fuzz_target!(|case: Case<'_>| {
    read(&case);
    print(&case);
});
