//! What a server offers.

use super::bench::{Bench, Trouble};
use crate::dialect::Ask;
use crate::judge::Seen;
use crate::text::excerpt;

pub(super) fn inside(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let mut link = bench.open()?.link;
    let answer = bench.asked(&mut link, Ask::Upgrade, "the request for TLS")?;
    bench.secure(&mut link).map_err(|why| {
        Trouble::new("the handshake", format!("{why} after {}", excerpt(&answer)))
    })?;
    // Where the server speaks first inside TLS, it does so with its capabilities.
    let greeting = bench.greeting_inside(&mut link)?;
    let hello = bench.asked(&mut link, Ask::Hello, "the first command inside TLS")?;
    bench.leave(link);
    Ok(match bench.dialect.offers_tls(&greeting, &hello) {
        Some(true) => Seen::Violation("the server offers TLS inside TLS".to_owned()),
        _ => Seen::Pass("the server does not offer TLS inside TLS".to_owned()),
    })
}
