//! Both roles in memory: against each other, against rustls' own connections, against attackers.

mod attacks;
mod common;
mod life;
mod limits;
mod pair;
mod peers;
