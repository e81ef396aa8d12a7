//! The name of this machine.

use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use dns_lookup::{AddrInfoHints, get_hostname, getaddrinfo};
use starttls::smtp::Domain;

/// The flag of `getaddrinfo` that asks for the canonical name (RFC 3493 §6.1), which has this value on all systems.
const AI_CANONNAME: i32 = 2;

/// An unreachable name service must not delay a mail for longer.
const WAIT: Duration = Duration::from_secs(2);

/// This machine's fully qualified domain name, if it has one: many servers refuse any other name
/// (RFC 5321 §4.1.4).
pub(crate) fn qualified() -> Option<&'static str> {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    NAME.get_or_init(find).as_deref()
}

fn find() -> Option<String> {
    let name = get_hostname().ok()?;
    if is_qualified(&name) {
        return Some(name);
    }
    let (found, canonical) = mpsc::channel();
    // The thread is abandoned if it takes too long.
    thread::spawn(move || {
        let hints = AddrInfoHints { flags: AI_CANONNAME, ..AddrInfoHints::default() };
        let names = getaddrinfo(Some(&name), None, Some(hints)).into_iter().flatten();
        let name = names.flatten().find_map(|info| info.canonname);
        let _ = found.send(name);
    });
    canonical.recv_timeout(WAIT).ok()?.filter(|name| is_qualified(name))
}

/// Whether a name has a domain, and is usable for a server.
fn is_qualified(name: &str) -> bool {
    let Some((_, domain)) = name.split_once('.') else { return false };
    let labels = domain.split('.').all(|label| {
        !label.is_empty()
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    });
    let here = ["localdomain", "localhost"];
    labels
        && Domain::new(name).is_ok()
        && !here.contains(&domain.rsplit('.').next().unwrap_or(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_machines() {
        assert!(["mail.example.org", "a.b"].into_iter().all(is_qualified));
        for bad in [
            "",
            "vm",
            "vm.",
            "a..b",
            "localhost",
            "localhost.localdomain",
            "x.localhost",
            "a.b\r\nMAIL",
            "a.\u{fc}",
        ] {
            assert!(!is_qualified(bad), "{bad:?}");
        }
        assert!(qualified().is_none_or(is_qualified));
    }
}
