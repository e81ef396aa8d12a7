//! The whole public API of the protocols that are made of packets, called with octets that the compiler
//! knows nothing about.
//!
//! It links only if no panic is reachable from any of it.

#![no_std]
#![no_main]

use core::hint::black_box;

use starttls::server::Config;
use starttls::{Policy, ldap, postgres};
use starttls_thumb::api::{serve, upgrade};
use starttls_thumb::{opaque, receive};

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

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    let policy = if opaque(true) { Policy::Required } else { Policy::Opportunistic };
    black_box(parameters());
    upgrade(postgres::Client::new(policy));
    upgrade(ldap::Client::new(policy));
    let config = opaque(Config { policy, ..Config::default() });
    let server = postgres::Server::new(config);
    black_box(server.is_direct());
    serve(server);
    serve(ldap::Server::new(config));
    loop {
        core::hint::spin_loop();
    }
}
