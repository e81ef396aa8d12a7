//! Every protocol in both roles, called with bytes that are opaque to the compiler.
//!
//! It links only if no panic is reachable.

#![no_std]
#![no_main]

use starttls::server::Config;
use starttls::{Introduction, Policy, Roles};
use starttls_thumb::api::{serve, upgrade};
use starttls_thumb::{opaque, text};

fn both<P: Roles>() {
    let mut octets = [0; 64];
    let names = Introduction::new(text(&mut octets), opaque([0; 20]));
    let policy = if opaque(true) { Policy::Required } else { Policy::Opportunistic };
    if let Ok(client) = P::client(&names, policy) {
        upgrade(client);
    }
    if let Ok(server) = P::server(&names, opaque(Config::default().with_policy(policy))) {
        serve(server);
    }
}

macro_rules! all {
    ([] $($module:ident::$Type:ident,)*) => {
        $(both::<starttls::$module::$Type>();)*
    };
}

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    starttls::for_each_protocol!(all []);
    loop {
        core::hint::spin_loop();
    }
}
