//! The options of lookups in the DNS.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as Group, ValueEnum};

use crate::values::resolver;

/// The DNS server for lookups.
#[derive(Clone, Debug, Group)]
pub(crate) struct Resolver {
    /// Ask this DNS server instead of the system's
    #[arg(long, value_name = "HOST[:PORT]", value_parser = resolver, help_heading = "Lookups")]
    pub(crate) resolver: Option<SocketAddr>,
    /// Trust the DNSKEY records in this file instead of the keys of the DNS root; needs --resolver
    #[arg(long, value_name = "FILE", requires = "resolver", help_heading = "Lookups")]
    pub(crate) trust_anchor: Option<PathBuf>,
}

/// The sources of a domain's TLS requirements.
#[derive(Debug, Group)]
pub(crate) struct Lookup {
    #[command(flatten)]
    pub(crate) dns: Resolver,
    /// Cache MTA-STS policies in this directory
    #[arg(long, value_name = "DIR", help_heading = "Lookups")]
    pub(crate) cache: Option<PathBuf>,
    /// How to use TLSA records; default: opportunistic
    #[arg(long, value_enum, help_heading = "Lookups")]
    pub(crate) dane: Option<Dane>,
    /// Ignore MTA-STS
    #[arg(long, help_heading = "Lookups")]
    pub(crate) no_sts: bool,
    /// Send only to authenticated hosts over verified TLS, and demand the same of each next hop (REQUIRETLS)
    #[arg(long, help_heading = "Lookups")]
    pub(crate) require_tls: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dane {
    /// Do not look up TLSA records
    Off,
    /// Use the TLSA records of a host that has some
    Opportunistic,
    /// Use them only if the MX records that name the host are signed, too
    SecureHosts,
    /// Do not send to hosts without TLSA records
    Mandatory,
}
