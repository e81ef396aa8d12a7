//! The hosts of a service (RFC 2782).

use hickory_resolver::proto::rr::{RData, RecordType};
use starttls::mx::Domain;

use super::Dns;
use super::answer::text;

/// A host of a service, by an SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Service {
    /// The host. Without DNSSEC an attacker can choose it, so the certificate has to be for the domain.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The priority. Lower ones come first.
    pub priority: u16,
    weight: u16,
}

impl Dns {
    /// The hosts of a service, in the order in which to try them.
    ///
    /// `label` is the service's part before the domain, such as `_xmpp-client._tcp`. The list is empty if the
    /// domain declares that it does not offer the service. The result is `None` if it has no such record or
    /// the lookup fails.
    pub async fn services(&self, label: &str, domain: &Domain) -> Option<Vec<Service>> {
        let answer = self.lookup(&format!("{label}.{domain}"), RecordType::SRV).await.ok()?;
        let records = answer.records(|data| match data {
            RData::SRV(srv) => Some(Service {
                // Some resolvers of operating systems do not accept the dot at the end of a name.
                host: text(&srv.target).trim_end_matches('.').to_owned(),
                port: srv.port,
                priority: srv.priority,
                weight: srv.weight,
            }),
            _ => None,
        });
        let mut services: Vec<_> = records.collect();
        services.retain(|service| !service.host.is_empty());
        Some(in_order(services))
    }
}

/// Orders by priority, and at random by weight within the same priority.
fn in_order(mut left: Vec<Service>) -> Vec<Service> {
    let mut ordered = Vec::with_capacity(left.len());
    // Hosts without a weight have a small chance to be first.
    left.sort_by_key(|service| (service.priority, service.weight != 0));
    while let Some(priority) = left.first().map(|service| service.priority) {
        let same = left.iter().take_while(|service| service.priority == priority);
        let sum = same.map(|service| u32::from(service.weight)).sum();
        let chosen = fastrand::u32(0..=sum);
        let mut running = 0;
        let place = left.iter().position(|service| {
            running += u32::from(service.weight);
            running >= chosen
        });
        ordered.push(left.remove(place.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order() {
        let service = |priority, weight, port| Service { host: "a".into(), port, priority, weight };
        let all = vec![service(20, 0, 3), service(10, 0, 1), service(10, 9, 2), service(5, 1, 0)];
        let mut first = [0; 3];
        for _ in 0..1000 {
            let ports: Vec<_> = in_order(all.clone()).iter().map(|service| service.port).collect();
            assert_eq!((ports[0], ports[3], ports.len()), (0, 3, 4), "{ports:?}");
            first[usize::from(ports[1])] += 1;
        }
        // One in ten. Of 1,000 tries that is far from 0 and from 500.
        assert!(first[1] > 10 && first[1] < 400, "{first:?}");
    }
}
