//! The API specific to single protocols, called with bytes that are opaque to the compiler.
//!
//! It links only if no panic is reachable.

#![no_std]
#![no_main]

use core::hint::black_box;

use starttls::rdp::{self, Protocols, Security};
use starttls::server::Config;
use starttls::vnc::{self, Subtype};
use starttls::{Machine as _, Policy, Step, Tls, ftp, irc, mysql, nbd, postgres, sieve, xmpp};
use starttls_thumb::api::{drive, serve, upgrade};
use starttls_thumb::{opaque, receive, send, text};

const TEXT: sieve::Text<'_> = match sieve::Text::new("fileinto") {
    Ok(text) => text,
    Err(_) => panic!("not a text"),
};

fn inside(tls: &Tls) {
    let mut protection = ftp::Protection::new(tls);
    let _ = drive(&mut protection, |_, event| {
        black_box(event);
    });
    let mut line = [0; 64];
    let mut guard = ftp::Guard::new(tls);
    for _ in 0..opaque(100_u8) {
        let n = receive(&mut line);
        let said = line.get(..n).unwrap_or_default();
        send(guard.answer(said).unwrap_or_default().as_bytes());
        black_box((guard.is_private(), guard.data_connection(), irc::Sts::find(said)));
    }
    let capabilities = sieve::Capabilities::new(TEXT).with_sieve(TEXT).with_sasl(TEXT);
    let mut output = [0; sieve::Capabilities::MAX_OUTPUT];
    if let Ok(n) = capabilities.print(&mut output) {
        send(output.get(..n).unwrap_or_default());
    }
}

fn parameters() -> Option<postgres::Opening> {
    let mut word = [0; 16];
    let mut parse = || {
        let word = text(&mut word);
        (word.parse::<postgres::SslMode>(), word.parse::<postgres::SslNegotiation>())
    };
    let mode = parse().0.ok()?;
    black_box((mode.as_str(), mode.checks()));
    postgres::Opening::new(mode, parse().1.ok()?).ok()
}

/// The handshake that a MySQL client passes on, and that a server parses again.
fn hand_on(policy: Policy) {
    let request = opaque(mysql::SslRequest::new(opaque(0), opaque(0), opaque(0)));
    let mut client = mysql::Client::new(request, policy);
    let mut packet = [0; mysql::MAX_PACKET];
    let n = receive(&mut packet);
    let mut input = packet.get(..n).unwrap_or_default();
    while let Ok(Step::Event(_)) = client.step(&mut input, &mut []) {}
    if let Some(said) = client.handshake() {
        send(said.version.as_untrusted_bytes());
        send(said.plugin.as_untrusted_bytes());
        black_box((said.thread_id, said.capabilities, said.charset, said.status));
        black_box((said.mariadb_capabilities, said.scramble().fold(0, |sum, octet| sum ^ octet)));
    }
    black_box((client.request().capabilities(), request.max_packet(), request.charset()));
    let n = receive(&mut packet);
    black_box(mysql::SslRequest::repeated(packet.get(..n).unwrap_or_default()).is_ok());
    upgrade(client);
}

const SUBTYPES: [Subtype; 4] =
    [Subtype::X509Plain, Subtype::X509Sasl, Subtype::X509Vnc, Subtype::X509None];

fn clients(policy: Policy) {
    black_box(parameters());
    hand_on(policy);
    let client = nbd::Client::new(opaque(nbd::Flags::NO_ZEROES), policy);
    black_box((client.flags().bits(), client.flags().has(nbd::Flags::FIXED_NEWSTYLE)));
    upgrade(client);
    let subtypes = SUBTYPES.get(opaque(0)..).unwrap_or_default();
    let mut client = vnc::Client::new(subtypes, policy);
    let _ = black_box(client.step(&mut &b"RFB"[..], &mut [0; 16]).is_ok());
    black_box(client.subtype().map(Subtype::number));
    upgrade(client);
    let protocols = opaque(Protocols::SSL).with(Protocols::only(opaque(Security::Hybrid)));
    black_box(protocols.contains(opaque(Security::RdsTls)));
    let client = rdp::Client::new(protocols, policy);
    black_box(client.chosen());
    upgrade(client);
    let mut name = [0; 80];
    if let Ok(cookie) = rdp::Cookie::new(text(&mut name)) {
        upgrade(rdp::Client::with_cookie(Protocols::HYBRID_EX, cookie, policy));
    }
}

fn servers(config: Config) {
    let mut octets = [0; 64];
    let server = postgres::Server::new(config);
    black_box(server.is_direct());
    if let Ok(domain) = xmpp::Domain::new(text(&mut octets)) {
        let server = xmpp::Server::new(domain, xmpp::StreamId::new(opaque(7)), config);
        black_box(server.to().map(|domain| domain.as_str()));
        serve(server);
    }
    let server = nbd::Server::new(opaque(nbd::Flags::NO_ZEROES), config);
    black_box(server.flags());
    serve(server);
    let n = receive(&mut octets);
    if let Ok(plaintext) = vnc::SecurityTypes::new(octets.get(..n).unwrap_or_default()) {
        let subtypes = SUBTYPES.get(opaque(0)..).unwrap_or_default();
        let server = vnc::Server::new(vnc::Offer::new(subtypes).with_plaintext(plaintext), config);
        black_box(server.subtype());
        serve(server);
    }
    let security = [opaque(Security::HybridEx), opaque(Security::Ssl)];
    let offer = rdp::Offer::new(&security).with_flags(opaque(1));
    let server = rdp::Server::new(offer, config);
    black_box(server.negotiated());
    serve(server);
}

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    let policy = if opaque(true) { Policy::Required } else { Policy::Opportunistic };
    clients(policy);
    servers(opaque(Config::default().with_policy(policy)));
    inside(&Tls::implicit_server());
    loop {
        core::hint::spin_loop();
    }
}
