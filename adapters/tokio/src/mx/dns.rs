use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::rr::rdata::CNAME;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::proto::serialize::binary::BinDecodable as _;
use starttls::mx::{Domain, Security};
use starttls_tlsrpt::Recipients;
use tokio::task::JoinSet;

use super::answer::{Answered, MAX_ALIASES, Nothing, nothing, security, text, weaker};
use super::found::{Found, Mx, Tlsa};
use crate::{Doing, Error};

/// A DNS resolver that validates DNSSEC.
///
/// It checks the signatures itself, whatever the queried servers say about them. A server has to pass the
/// DNSSEC records on, as every recursive one does.
#[derive(Clone)]
pub struct Dns(TokioResolver);

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dns")
    }
}

impl Dns {
    /// Queries the system's servers.
    ///
    /// # Errors
    /// [`Error::Io`] if the system's DNS configuration cannot be read.
    pub fn system() -> Result<Self, Error> {
        let mut builder =
            TokioResolver::builder_tokio().map_err(io(Doing::Other("reading the DNS servers")))?;
        let options = builder.options_mut();
        options.validate = true;
        options.use_hosts_file = ResolveHosts::Never;
        options.ndots = 0;
        builder.build().map(Self).map_err(io(Doing::Other("starting the DNS resolver")))
    }

    /// Queries this server. The keys in a file of DNSKEY records, if given, replace those of the DNS root.
    ///
    /// # Errors
    /// [`Error::Argument`] if the file cannot be read or has no DNSKEY record.
    pub fn at(server: SocketAddr, trust_anchor: Option<&Path>) -> Result<Self, Error> {
        let connections =
            [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = server.port();
                connection
            });
        let server = NameServerConfig::new(server.ip(), true, connections.into());
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        if let Some(path) = trust_anchor {
            let bad = |why: &dyn std::fmt::Display| Error::Argument {
                what: "the trust anchor",
                why: format!("{}: {why}", path.display()),
            };
            let anchors = TrustAnchors::from_file(path).map_err(|error| bad(&error))?;
            if anchors.is_empty() {
                return Err(bad(&"has no DNSKEY record in it"));
            }
            builder = builder.with_trust_anchor(Arc::new(anchors));
        }
        let options = builder.options_mut();
        options.validate = true;
        options.use_hosts_file = ResolveHosts::Never;
        builder.build().map(Self).map_err(io(Doing::Other("starting the DNS resolver")))
    }

    /// The recipients of a domain's TLS reports (RFC 8460 §3). `None` if it requests none, or the lookup
    /// fails.
    pub async fn report_recipients(&self, domain: &Domain) -> Option<Recipients> {
        let Found::Txt(records) = self.txt(&format!("_smtp._tls.{domain}")).await else {
            return None;
        };
        Recipients::read(records.iter().filter_map(|record| std::str::from_utf8(record).ok()))
    }

    pub(super) async fn mx(&self, domain: &Domain) -> Found {
        let name = domain.as_str();
        match self.lookup(name, RecordType::MX).await {
            Err(Nothing::Failed | Nothing::Bogus) => Found::Failed,
            Err(Nothing::NoName { .. }) => Found::NoDomain,
            Err(Nothing::NoRecords { security, ttl }) => {
                Found::Mx { security, alias: None, records: Vec::new(), ttl }
            }
            Ok(answer) => {
                let records = answer.records(|data| match data {
                    RData::MX(mx) => {
                        Some(Mx { preference: mx.preference, name: text(&mx.exchange) })
                    }
                    _ => None,
                });
                let mut records: Vec<_> = records.collect();
                // Hosts with the same preference share the load (RFC 5321 §5.1).
                fastrand::shuffle(&mut records);
                let (security, alias, ttl) = (answer.security(), answer.alias(), answer.ttl());
                Found::Mx { security, alias, records, ttl }
            }
        }
    }

    pub(super) async fn txt(&self, name: &str) -> Found {
        match self.lookup(name, RecordType::TXT).await {
            Err(Nothing::Failed | Nothing::Bogus) => Found::Failed,
            Err(_) => Found::Txt(Vec::new()),
            Ok(answer) => {
                let records = answer.records(|data| match data {
                    RData::TXT(txt) => Some(txt.txt_data.concat()),
                    _ => None,
                });
                Found::Txt(records.collect())
            }
        }
    }

    /// The IPv4 and IPv6 addresses.
    pub(super) async fn addresses(&self, host: &str) -> Found {
        let (v4, v6) =
            tokio::join!(self.lookup(host, RecordType::A), self.lookup(host, RecordType::AAAA));
        let mut found = Vec::new();
        let mut zone = None;
        let (mut ttl, mut last) = (u32::MAX, Security::Secure);
        let mut alias = None;
        for outcome in [v4, v6] {
            match outcome {
                Err(Nothing::Failed | Nothing::Bogus) => return Found::Failed,
                Err(Nothing::NoName { ttl: of } | Nothing::NoRecords { ttl: of, .. }) => {
                    ttl = ttl.min(of);
                }
                Ok(answer) => {
                    zone = Some(weaker(zone.unwrap_or(Security::Secure), answer.first()));
                    last = weaker(last, answer.security());
                    ttl = ttl.min(answer.ttl());
                    alias = alias.or_else(|| answer.alias());
                    found.extend(answer.records(|data| match data {
                        RData::A(address) => Some(IpAddr::V4(address.0)),
                        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                        _ => None,
                    }));
                }
            }
        }
        let first = zone.unwrap_or(Security::Insecure);
        Found::Address { first, last, alias, ttl, addresses: found }
    }

    pub(super) async fn tlsa(&self, port: u16, base: &Domain) -> Found {
        match self.lookup(&format!("_{port}._tcp.{base}"), RecordType::TLSA).await {
            Err(Nothing::Failed | Nothing::Bogus) => Found::Failed,
            Err(Nothing::NoName { ttl } | Nothing::NoRecords { ttl, .. }) => {
                Found::Tlsa { security: Security::Insecure, records: Vec::new(), ttl }
            }
            Ok(answer) => Found::Tlsa {
                security: answer.security(),
                ttl: answer.ttl(),
                records: answer
                    .records(|data| match data {
                        RData::TLSA(tlsa) => Some(Tlsa {
                            usage: tlsa.cert_usage.into(),
                            selector: tlsa.selector.into(),
                            matching: tlsa.matching.into(),
                            data: tlsa.cert_data.to_vec(),
                        }),
                        _ => None,
                    })
                    .collect(),
            },
        }
    }

    /// Follows aliases one by one, so that the security of each is known.
    pub(super) async fn lookup(&self, name: &str, kind: RecordType) -> Result<Answered, Nothing> {
        let mut end = Name::from_ascii(name).map_err(|_| Nothing::Failed)?;
        end.set_fqdn(true);
        let mut answered = Answered::new(end.clone(), kind);
        for _ in 0..=MAX_ALIASES {
            let records = match self.ask(&end, kind).await {
                Ok(records) => records,
                Err(Nothing::Bogus) => self.alias(&end).await.ok_or(Nothing::Bogus)?,
                Err(Nothing::NoRecords { security, ttl }) => {
                    let security = weaker(security, answered.security());
                    return Err(Nothing::NoRecords { security, ttl });
                }
                Err(nothing) => return Err(nothing),
            };
            if answered.go_on(&mut end, &records)? {
                return Ok(answered);
            }
        }
        Err(Nothing::Failed)
    }

    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Vec<Record>, Nothing> {
        match self.resolve(name, kind).await.ok_or(Nothing::Failed)? {
            Ok(lookup) => Ok(lookup.answers().to_vec()),
            Err(NetError::Dns(DnsError::Nsec { query, response, proof, .. }))
                if query.name() == name =>
            {
                let security = security(proof).ok_or(Nothing::Bogus)?;
                Err(nothing(response.response_code, security, &response.authorities))
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) if none.query.name() == name => {
                let authorities = none.authorities.as_deref().unwrap_or_default();
                let is_proven = authorities.iter().any(|record| {
                    record.proof.is_secure()
                        && matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3)
                });
                if is_proven {
                    Err(nothing(none.response_code, Security::Secure, authorities))
                } else if self.is_unsigned(name, authorities).await {
                    Err(nothing(none.response_code, Security::Insecure, authorities))
                } else {
                    Err(Nothing::Bogus)
                }
            }
            // A negative answer for the name, or for the end of its aliases.
            Err(NetError::Dns(
                DnsError::DnssecBogus | DnsError::Nsec { .. } | DnsError::NoRecordsFound(_),
            )) => Err(Nothing::Bogus),
            Err(_) => Err(Nothing::Failed),
        }
    }

    /// The alias of a name, by a record of its own or of a name above it (RFC 6672).
    async fn alias(&self, name: &Name) -> Option<Vec<Record>> {
        if let Ok(records) = self.ask(name, RecordType::CNAME).await {
            return Some(records);
        }
        let mut above = name.base_name();
        while !above.is_root() {
            let found = self.ask(&above, RecordType::DNAME).await.unwrap_or_default();
            for record in found.iter().filter(|record| record.name == above) {
                let RData::Unknown { code: RecordType::DNAME, rdata } = &record.data else {
                    continue;
                };
                let target = Name::from_bytes(&rdata.anything).ok()?;
                let own = name.iter().take(usize::from(name.num_labels() - above.num_labels()));
                let target = Name::from_labels(own).ok()?.append_domain(&target).ok()?;
                let mut alias =
                    Record::from_rdata(name.clone(), record.ttl, RData::CNAME(CNAME(target)));
                alias.proof = record.proof;
                return Some(vec![alias]);
            }
            above = above.base_name();
        }
        None
    }

    /// Validation recurses as deep as the servers' answers lead it. A separate task gives it an empty stack.
    async fn resolve(&self, name: &Name, kind: RecordType) -> Option<Result<Lookup, NetError>> {
        // Dropping the set aborts the task.
        let mut task = JoinSet::new();
        let (resolver, name) = (self.0.clone(), name.clone());
        task.spawn(async move { resolver.lookup(name, kind).await });
        task.join_next().await?.ok()
    }

    /// Whether the name's zone is unsigned, so that it need not prove what it does not contain. The zone is
    /// known by its SOA record, whose absence of signatures is proven.
    async fn is_unsigned(&self, name: &Name, authorities: &[Record]) -> bool {
        if authorities.iter().any(|record| {
            record.record_type() == RecordType::SOA
                && record.proof.is_insecure()
                && record.name.zone_of(name)
        }) {
            return true;
        }
        let mut zone = name.clone();
        while !zone.is_root() {
            if let Some(Ok(lookup)) = self.resolve(&zone, RecordType::SOA).await {
                let mut own = lookup.answers().iter().filter(|record| record.name == zone);
                if let Some(soa) = own.find(|record| record.record_type() == RecordType::SOA) {
                    return soa.proof.is_insecure();
                }
            }
            zone = zone.base_name();
        }
        false
    }
}

fn io(doing: Doing) -> impl Fn(NetError) -> Error {
    move |error| Error::Io { doing, error: std::io::Error::other(error) }
}
