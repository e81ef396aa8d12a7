#![cfg_attr(feature = "native-roots", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "native-roots"), doc = "STARTTLS on tokio, with tokio-rustls.")]
#![forbid(unsafe_code)]

mod driver;
mod server;
mod socket;
mod upgrade;

pub use driver::Driver;
pub use server::{Accepted, Decide, ServerStream, accept, accept_implicit, accept_or_plaintext};
pub use socket::{Prompt, connect};
pub use starttls_std::{ClientTls, Error, Observer, Silent, Timeouts};
pub use upgrade::{ClientStream, Upgraded, handshake, upgrade, upgrade_or_plaintext};
