//! A client's upgrade, from its start to the go-ahead: of the protocol that `PROTOCOL` names when it is built.

#![no_std]
#![no_main]

use starttls::{Introduction, Machine, Policy, Roles, mysql, xmpp};
use starttls_thumb::{opaque, send, upgrade};

const PROTOCOL: &str = match option_env!("PROTOCOL") {
    Some(name) => name,
    None => "smtp",
};

const fn is<P: Roles>() -> bool {
    let (mut name, mut wanted) = (P::PROTOCOL.name.as_bytes(), PROTOCOL.as_bytes());
    while let ([a, name_rest @ ..], [b, wanted_rest @ ..]) = (name, wanted) {
        if *a != *b {
            return false;
        }
        (name, wanted) = (name_rest, wanted_rest);
    }
    name.is_empty() && wanted.is_empty()
}

const DOMAIN: xmpp::Domain<'_> = match xmpp::Domain::new("im.example.org") {
    Ok(domain) => domain,
    Err(_) => panic!("not a domain"),
};

macro_rules! client {
    // A device's constants are checked at compile time.
    (xmpp::Xmpp) => {
        Ok::<_, starttls::ArgumentError>(xmpp::Client::new(DOMAIN, Policy::Required))
    };
    // The kept greeting is moved as rarely as in a program for one protocol.
    (mysql::Mysql) => {
        Ok::<_, starttls::ArgumentError>(mysql::Client::new(
            mysql::SslRequest::default(),
            Policy::Required,
        ))
    };
    ($module:ident::$Type:ident) => {
        <starttls::$module::$Type as Roles>::client(
            &Introduction::new("mx.example.org", [opaque(0); 20]),
            Policy::Required,
        )
    };
}

macro_rules! image {
    ([] $($module:ident::$Type:ident,)*) => {
        fn is_upgraded() -> bool {
            $(if const { is::<starttls::$module::$Type>() } {
                type Client = starttls::Client<
                    <starttls::$module::$Type as Roles>::Client<'static>,
                >;
                let Ok(client) = client!($module::$Type) else { return false };
                return upgrade::<_, { Client::MAX_INPUT }, { Client::MAX_OUTPUT }>(client).is_ok();
            })*
            false
        }
    };
}
starttls::for_each_protocol!(image []);

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    send(if is_upgraded() { b"upgraded" } else { b"failed" });
    loop {
        core::hint::spin_loop();
    }
}
