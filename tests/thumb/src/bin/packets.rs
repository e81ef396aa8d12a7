//! The whole public API of the protocols that are made of packets, called with octets that the compiler
//! knows nothing about.
//!
//! It links only if no panic is reachable from any of it.

#![no_std]
#![no_main]

use core::hint::black_box;

use starttls::server::Config;
use starttls::{Machine, Policy, Step, ldap, mysql, nbd, postgres, xmpp};
use starttls_thumb::api::{serve, upgrade};
use starttls_thumb::{opaque, receive, send};

const DOMAIN: xmpp::Domain<'_> = match xmpp::Domain::new("im.example.org") {
    Ok(domain) => domain,
    Err(_) => panic!("not a domain"),
};

fn parameters() -> Option<postgres::Opening> {
    let mut word = [0; 16];
    let mut parse = || {
        let n = receive(&mut word);
        core::str::from_utf8(word.get(..n).unwrap_or_default()).ok().map(|word| {
            (word.parse::<postgres::SslMode>(), word.parse::<postgres::SslNegotiation>())
        })
    };
    let mode = parse()?.0.ok()?;
    black_box((mode.as_str(), mode.checks()));
    postgres::Opening::new(mode, parse()?.1.ok()?).ok()
}

const VERSION: mysql::Text<'_> = match mysql::Text::new("8.0.36") {
    Ok(version) => version,
    Err(_) => panic!("not a text"),
};

/// What a client of MySQL hands on, and what a server reads again.
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

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    let policy = if opaque(true) { Policy::Required } else { Policy::Opportunistic };
    black_box(parameters());
    upgrade(postgres::Client::new(policy));
    upgrade(ldap::Client::new(policy));
    hand_on(policy);
    upgrade(xmpp::Client::new(DOMAIN, policy));
    upgrade(xmpp::s2s::Client::between(DOMAIN, DOMAIN, policy));
    let client = nbd::Client::new(opaque(nbd::Flags::NO_ZEROES), policy);
    black_box((client.flags().bits(), client.flags().has(nbd::Flags::FIXED_NEWSTYLE)));
    upgrade(client);
    let config = opaque(Config { policy, ..Config::default() });
    let server = postgres::Server::new(config);
    black_box(server.is_direct());
    serve(server);
    serve(ldap::Server::new(config));
    let scramble = mysql::Scramble::new(opaque([0; 20]));
    serve(mysql::Server::new(mysql::Greeting::new(VERSION, opaque(7), scramble), config));
    let server = xmpp::Server::new(DOMAIN, xmpp::StreamId::new(opaque(7)), config);
    black_box(server.grammar().to().map(|domain| domain.as_str()));
    serve(server);
    serve(xmpp::s2s::Server::new(DOMAIN, xmpp::StreamId::new(opaque(7)), config));
    let server = nbd::Server::new(opaque(nbd::Flags::NO_ZEROES), config);
    black_box(server.flags());
    serve(server);
    loop {
        core::hint::spin_loop();
    }
}
