//! Both roles in memory: against each other, against rustls's own connections, and against attackers.

mod attacks;
mod common;
#[cfg(feature = "smtp")]
mod life;
mod limits;
mod pair;
mod peers;
