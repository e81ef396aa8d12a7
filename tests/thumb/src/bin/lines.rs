//! The whole public API of the protocols that go as far as TLS, called with octets that the compiler
//! knows nothing about.
//!
//! It links only if no panic is reachable from any of it.

#![no_std]
#![no_main]

use core::hint::black_box;

use starttls::server::Config;
use starttls::{Policy, Tls, ftp, imap, irc, nntp, nut, pop3, sieve};
use starttls_thumb::api::{drive, serve, upgrade};
use starttls_thumb::{opaque, receive, send};

const TEXT: sieve::Text<'_> = match sieve::Text::new("fileinto") {
    Ok(text) => text,
    Err(_) => panic!("not a text"),
};
const NAME: irc::Name<'_> = match irc::Name::new("irc.example.org") {
    Ok(name) => name,
    Err(_) => panic!("not a name"),
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
    let capabilities = sieve::Capabilities { implementation: TEXT, sieve: TEXT, sasl: TEXT };
    let mut output = [0; sieve::Capabilities::MAX_OUTPUT];
    if let Ok(n) = capabilities.print(&mut output) {
        send(output.get(..n).unwrap_or_default());
    }
}

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    let policy = if opaque(true) { Policy::Required } else { Policy::Opportunistic };
    upgrade(imap::Client::new(imap::Tag::new(opaque(7)), policy));
    upgrade(pop3::Client::new(policy));
    upgrade(ftp::Client::new(policy));
    upgrade(nntp::Client::new(policy));
    upgrade(sieve::Client::new(policy));
    upgrade(irc::Client::new(policy));
    upgrade(nut::Client::new(policy));
    let config = opaque(Config { policy, ..Config::default() });
    serve(imap::Server::new(config));
    serve(pop3::Server::new(config));
    serve(ftp::Server::new(config));
    serve(nntp::Server::new(config));
    serve(sieve::Server::new(sieve::Capabilities::default(), config));
    serve(irc::Server::new(NAME, config));
    serve(nut::Server::new(config));
    inside(&Tls::implicit_server());
    loop {
        core::hint::spin_loop();
    }
}
