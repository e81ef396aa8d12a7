//! The same over [`embedded_io_async`], with the same logic below.
//!
//! [`Mailer::send_async`](crate::Mailer::send_async) sends a mail, [`upgrade`] brings any protocol to
//! TLS. Dropped before they are ready, they leave a connection that is good for nothing but to be
//! closed.
//!
//! A compiler makes of an async function a state machine of its own, with a panic for who polls it
//! behind its end: an image without any panic is made from the blocking side.

mod accept;
mod clock;
mod drive;
#[cfg(feature = "embedded-tls")]
pub mod embedded_tls;
#[cfg(feature = "smtp")]
mod mailer;
#[cfg(feature = "rustls")]
pub mod rustls;
mod tls;
mod upgrade;

pub use accept::{ServerStream, accept};
pub use clock::Clock;
pub use tls::{Accept, Connect, Stream};
pub use upgrade::{ClientStream, ErrorOf, upgrade, upgrade_with};
