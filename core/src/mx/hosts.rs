use super::{Domain, Mx};

#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Candidate {
    pub(super) name: Domain,
    /// The preference, then the order of arrival.
    rank: (u16, u16),
    /// Whether the MTA-STS policy lists it.
    pub(super) listed: bool,
}

impl Candidate {
    pub(super) const fn preference(&self) -> u16 {
        self.rank.0
    }
}

/// The best `N` of the hosts that are still to be tried.
#[derive(Debug)]
pub(super) struct Hosts<const N: usize> {
    places: [Option<Candidate>; N],
    arrived: u16,
}

impl<const N: usize> Hosts<N> {
    pub(super) const fn new() -> Self {
        const { assert!(N > 0, "a domain has at least one host") };
        Self { places: [None; N], arrived: 0 }
    }

    /// Adds a host. Without free space it replaces a worse one.
    pub(super) fn add(&mut self, name: Domain, preference: u16) {
        let rank = (preference, self.arrived);
        self.arrived = self.arrived.saturating_add(1);
        // An empty place counts as worse than any host.
        let worst = self.places.iter_mut().max_by_key(|place| rank_of(place));
        if let Some(place) = worst.filter(|place| rank_of(place) > (false, rank)) {
            *place = Some(Candidate { name, rank, listed: false });
        }
    }

    /// Removes the best host; of equals the first.
    pub(super) fn next(&mut self) -> Option<Candidate> {
        let there = self.places.iter_mut().filter(|place| place.is_some());
        there.min_by_key(|place| rank_of(place))?.take()
    }

    /// Records for each host whether a policy lists it.
    pub(super) fn note(&mut self, lists: impl Fn(&Domain) -> bool) {
        for host in self.places.iter_mut().flatten() {
            host.listed = lists(&host.name);
        }
    }

    /// Adds the hosts of MX records. Invalid names, above all IP addresses, are skipped.
    pub(super) fn add_all(&mut self, records: &[Mx<'_>]) {
        for record in records {
            if let Ok(name) = Domain::new(record.name) {
                self.add(name, record.preference);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.iter().all(Option::is_none)
    }
}

const fn rank_of(place: &Option<Candidate>) -> (bool, (u16, u16)) {
    match place {
        Some(host) => (false, host.rank),
        None => (true, (0, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_hosts_are_kept_in_order() {
        type Rows<'r> = [(&'r [(u16, &'r str)], &'r [&'r str]); 5];
        let rows: Rows<'_> = [
            (&[], &[]),
            (&[(20, "b"), (10, "a"), (30, "c")], &["a", "b", "c"]),
            (&[(10, "a"), (10, "b"), (10, "c"), (10, "d")], &["a", "b", "c"]),
            (&[(30, "c"), (20, "b"), (10, "a"), (5, "z"), (40, "d")], &["z", "a", "b"]),
            (&[(1, "192.0.2.1"), (2, "a"), (1, "..")], &["a"]),
        ];
        for (records, expected) in rows {
            let mut hosts = Hosts::<3>::new();
            for (preference, name) in records {
                hosts.add_all(&[Mx { preference: *preference, name }]);
            }
            for name in expected {
                assert_eq!(hosts.next().expect("a host").name.as_str(), *name, "{records:?}");
            }
            assert!(hosts.is_empty() && hosts.next().is_none());
        }
    }
}
