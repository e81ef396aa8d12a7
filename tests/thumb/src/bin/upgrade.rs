//! An SMTP client's upgrade, from the greeting to the go-ahead.

#![no_std]
#![no_main]

use starttls::{Policy, smtp};

const NAME: smtp::Domain<'_> = match smtp::Domain::new("sensor.example.org") {
    Ok(name) => name,
    Err(_) => panic!("not a name"),
};

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    let client = smtp::Client::new(NAME, Policy::Required);
    let upgraded = starttls_thumb::upgrade::<_, 512, 64>(client).is_ok();
    starttls_thumb::send(if upgraded { b"upgraded" } else { b"failed" });
    loop {
        core::hint::spin_loop();
    }
}
