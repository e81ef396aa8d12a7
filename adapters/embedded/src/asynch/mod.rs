//! The async interface, over [`embedded_io_async`], with the same logic.
//!
//! [`Mailer::send_async`](crate::Mailer::send_async) sends a mail; [`upgrade`] upgrades a connection of any
//! protocol. If their future is dropped before it is ready, close the connection.
//!
//! The compiler's state machine of an async function contains a panic for a poll after completion. Use the
//! blocking interface for an image without any panic.

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
