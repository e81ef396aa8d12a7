//! The upgrade alone, in both roles.

use embedded_io::Read;
use starttls::smtp::{Client, Domain, Server};
use starttls::{Error as Rule, Policy, Tls, lmtp, mysql, server};
use starttls_embedded::{Buffers, Error, Timer, Upgraded, accept, asynch, upgrade, upgrade_with};

use crate::common::{CHUNKS, Peer, Turn, block_on, hears, says};
use crate::through::{Failed, Through};

type Outcome = Result<Tls, Error<embedded_io::ErrorKind, Failed>>;

fn accepts(script: &[Turn], chunk: usize, policy: Policy, asynchronous: bool) -> (Outcome, String) {
    let mut peer = Peer::new(script, chunk);
    let mut timer = Timer::new(peer.clock());
    let config = server::Config::default().with_policy(policy);
    let server = Server::new(Domain::LOCALHOST, config);
    let mut tls = Through::verified();
    let mut buffers = Buffers::<1200, 600>::new();
    let outcome = if asynchronous {
        block_on(asynch::accept(&mut peer, server, &mut tls, &mut buffers, &mut timer))
            .map(|upgraded| upgraded.tls)
    } else {
        accept(&mut peer, server, &mut tls, &mut buffers, &mut timer).map(|upgraded| upgraded.tls)
    };
    (outcome, peer.heard.escape_ascii().to_string())
}

pub(crate) const GO_AHEAD: &str = "220 2.0.0 Ready to start TLS\r\n";

pub(crate) fn client_of(rest: &[Turn]) -> Vec<Turn> {
    let mut script = vec![
        hears("220 [127.0.0.1] ESMTP\r\n"),
        says("EHLO client\r\n"),
        hears(
            "250-[127.0.0.1]\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-STARTTLS\r\n\
             250 ENHANCEDSTATUSCODES\r\n",
        ),
    ];
    script.extend_from_slice(rest);
    script
}

#[test]
fn a_server_accepts_the_upgrade() {
    let script = client_of(&[says("STARTTLS\r\n"), hears("220 2.0.0 Ready to start TLS\r\n")]);
    for chunk in CHUNKS {
        for asynchronous in [false, true] {
            let (outcome, heard) = accepts(&script, chunk, Policy::Required, asynchronous);
            assert_eq!(outcome.map(|tls| tls.is_implicit()), Ok(false), "{heard}");
        }
    }
    // A ClientHello before the go-ahead goes to TLS, in one piece or cut by the socket.
    let early = client_of(&[
        says("STARTTLS\r\n\x16\x03"),
        hears("220 2.0.0 Ready to start TLS\r\n\x16\x03"),
    ]);
    for asynchronous in [false, true] {
        let (outcome, _) = accepts(&early, usize::MAX, Policy::Required, asynchronous);
        assert!(outcome.is_ok());
    }
}

#[test]
fn a_server_whose_client_leaves_or_attacks() {
    let bye = [says("QUIT\r\n"), hears("221 2.0.0 Goodbye\r\n")];
    let plain = [says("MAIL FROM:<a@b>\r\n")];
    let injected =
        [says("STARTTLS\r\nMAIL FROM:<a@b>\r\n"), hears("220 2.0.0 Ready to start TLS\r\n")];
    for asynchronous in [false, true] {
        for (script, policy, expected) in [
            (client_of(&bye), Policy::Required, Rule::Closed),
            (client_of(&plain), Policy::Opportunistic, Rule::Closed),
            (client_of(&injected), Policy::Required, Rule::PlaintextAfterGoAhead { unread: 17 }),
            (client_of(&[Turn::Leaves]), Policy::Required, Rule::Closed),
        ] {
            let (outcome, heard) = accepts(&script, usize::MAX, policy, asynchronous);
            assert_eq!(outcome, Err(Error::Protocol(expected)), "{heard}");
        }
        // The client receives the server's farewell.
        let script = client_of(&[says("NOOP\n"), hears("500 5.5.2 "), Turn::Leaves]);
        let (outcome, heard) = accepts(&script, usize::MAX, Policy::Required, asynchronous);
        assert_eq!(outcome, Err(Error::Protocol(Rule::BareLf)), "{heard}");
        let script = client_of(&[Turn::Sleeps]);
        let (outcome, heard) = accepts(&script, usize::MAX, Policy::Required, asynchronous);
        assert_eq!(outcome, Err(Error::Protocol(Rule::TimedOut)));
        assert!(heard.contains("421"), "{heard}");
    }
}

#[test]
fn a_client_sets_the_limit_after_the_upgrade() {
    let script = [
        says("220 mx\r\n"),
        hears("LHLO [127.0.0.1]\r\n"),
        says("250-mx\r\n250 STARTTLS\r\n"),
        hears("STARTTLS\r\n"),
        says("220 go\r\n"),
        hears("TLS"),
        says("TLS"),
        says("anything"),
        Turn::Sleeps,
    ];
    for chunk in CHUNKS {
        let mut peer = Peer::new(&script, chunk);
        let mut timer = Timer::new(peer.clock());
        let client = lmtp::Client::new(Domain::LOCALHOST, Policy::Required);
        let (mut tls, mut buffers) = (Through::verified(), Buffers::<512, 64>::new());
        let Upgraded { mut stream, budget, .. } =
            upgrade(&mut peer, client, &mut tls, &mut buffers, &mut timer).expect("TLS");
        let mut octets = [0; 8];
        stream.read_exact(&mut octets).expect("bytes");
        assert_eq!((&octets, budget.left()), (b"anything", None));
        // From here on the caller sets the limit.
        budget.start(Some(std::time::Duration::from_secs(2)));
        assert_eq!(stream.read(&mut octets), Err(Failed(embedded_io::ErrorKind::TimedOut)));
    }
    let mut peer = Peer::new(&script[..4], 1);
    let mut timer = Timer::new(peer.clock());
    let client = Client::new(Domain::LOCALHOST, Policy::Required);
    let (mut tls, mut buffers) = (Through::verified(), Buffers::<512, 17>::new());
    let failed = upgrade(&mut peer, client, &mut tls, &mut buffers, &mut timer);
    let needed = Rule::OutputTooSmall { needed: 18 };
    assert_eq!(failed.err(), Some(Error::Protocol(needed)));
}

/// A MySQL client needs the server's plaintext handshake inside TLS.
#[test]
fn plaintext_data_can_be_kept() {
    let greeting = b"\x4a\0\0\0\x0a8.0.36\0\x07\0\0\0abcdefgh\0\xff\xff\x2d\x02\0\xff\xdf\x15\
        \0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0caching_sha2_password\0";
    let request = mysql::SslRequest::default();
    let numbers = [request.capabilities().to_le_bytes(), request.max_packet().to_le_bytes()];
    let asked = [&b"\x20\0\0\x01"[..], &numbers.concat(), &[request.charset()], &[0; 23]].concat();
    let script = [Turn::Says(greeting.into()), Turn::Hears(asked), hears("TLS"), says("TLS")];
    let look = |client: &mysql::Client| {
        let said = client.handshake().expect("it has arrived");
        said.scramble().collect::<Vec<_>>()
    };
    let client = || mysql::Client::new(request, Policy::Required);
    for chunk in CHUNKS {
        for asynchronous in [false, true] {
            let mut peer = Peer::new(&script, chunk);
            let mut timer = Timer::new(peer.clock());
            let (mut tls, mut buffers) =
                (Through::verified(), Buffers::<{ mysql::MAX_PACKET }, 64>::new());
            let seen = if asynchronous {
                block_on(asynch::upgrade_with(
                    &mut peer,
                    client(),
                    &mut tls,
                    &mut buffers,
                    &mut timer,
                    look,
                ))
                .map(|(_, seen)| seen)
            } else {
                upgrade_with(&mut peer, client(), &mut tls, &mut buffers, &mut timer, look)
                    .map(|(_, seen)| seen)
            };
            assert_eq!(seen.expect("TLS"), b"abcdefghijklmnopqrst");
        }
    }
}
