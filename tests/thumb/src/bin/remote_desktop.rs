//! The whole public API of the protocols of remote desktops, called with octets that the compiler
//! knows nothing about.
//!
//! It links only if no panic is reachable from any of it.

#![no_std]
#![no_main]

use core::hint::black_box;

use starttls::rdp::{self, Protocols, Security};
use starttls::server::Config;
use starttls::vnc::{self, Subtype};
use starttls::{Machine as _, Policy};
use starttls_thumb::api::{serve, upgrade};
use starttls_thumb::{opaque, receive};

const SUBTYPES: [Subtype; 4] =
    [Subtype::X509Plain, Subtype::X509Sasl, Subtype::X509Vnc, Subtype::X509None];

fn client(policy: Policy) {
    let subtypes = SUBTYPES.get(opaque(0)..).unwrap_or_default();
    let mut client = vnc::Client::new(subtypes, policy);
    let _ = black_box(client.step(&mut &b"RFB"[..], &mut [0; 16]).is_ok());
    black_box(client.grammar().subtype().map(Subtype::number));
    upgrade(client);
    let protocols = opaque(Protocols::SSL).with(Protocols::only(opaque(Security::Hybrid)));
    black_box(protocols.contains(opaque(Security::RdsTls)));
    let client = rdp::Client::new(protocols, policy);
    black_box(client.grammar().chosen());
    upgrade(client);
    let mut name = [0; 80];
    let n = receive(&mut name);
    if let Ok(name) = core::str::from_utf8(name.get(..n).unwrap_or_default())
        && let Ok(cookie) = rdp::Cookie::new(name)
    {
        upgrade(rdp::Client::with_cookie(Protocols::HYBRID_EX, cookie, policy));
    }
}

fn server(config: Config) {
    let mut types = [0; 20];
    let n = receive(&mut types);
    if let Ok(plaintext) = vnc::SecurityTypes::new(types.get(..n).unwrap_or_default()) {
        let subtypes = SUBTYPES.get(opaque(0)..).unwrap_or_default();
        let server = vnc::Server::new(vnc::Offer { subtypes, plaintext }, config);
        black_box(server.grammar().subtype());
        serve(server);
    }
    let security = [opaque(Security::HybridEx), opaque(Security::Ssl)];
    let offer = rdp::Offer { security: &security, flags: opaque(1) };
    let server = rdp::Server::new(offer, config);
    black_box(server.grammar().negotiated());
    serve(server);
}

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    let policy = if opaque(true) { Policy::Required } else { Policy::Opportunistic };
    client(policy);
    server(opaque(Config { policy, ..Config::default() }));
    loop {
        core::hint::spin_loop();
    }
}
