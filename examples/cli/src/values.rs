//! Parsers for the values of options.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use starttls::mail::Address;
use starttls::mail::session::Mechanism;
use starttls::mx::Domain;
use starttls::smtp;

use crate::url::Url;
use crate::{international, literal};

pub(crate) const MAIL_FORMS: &str = "smtp://HOST[:PORT], smtps:// for implicit TLS, or lmtp://";

/// A domain's name, in any script.
pub(crate) fn domain(text: &str) -> Result<Domain, String> {
    let bad = |why: &dyn std::fmt::Display| format!("{text:?} is not a domain: {why}");
    let name = match url::Host::parse(text.strip_suffix('.').unwrap_or(text)) {
        Ok(url::Host::Domain(name)) => name,
        Ok(_) => return Err(bad(&"it is an address")),
        Err(error) => return Err(bad(&error)),
    };
    Domain::new(&name).map_err(|error| bad(&error))
}

pub(crate) fn resolver(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok((address, 53).into());
    }
    let server = if text.contains(':') { text.to_owned() } else { format!("{text}:53") };
    let server = host_and_port(&server)?;
    let mut found = server.to_socket_addrs().map_err(|error| error.to_string())?;
    found.next().ok_or_else(|| "it has no address".to_owned())
}

/// A name or an address, an IPv6 address in brackets, and a port; the name becomes A-labels.
pub(crate) fn host_and_port(text: &str) -> Result<String, String> {
    let form = "write HOST:PORT, for example 127.0.0.1:143 or [::1]:143";
    let (host, port) = text.rsplit_once(':').ok_or(form)?;
    port.parse::<u16>().map_err(|_| format!("{port:?} is not a port; {form}"))?;
    url::Host::parse(host).map_err(|error| format!("{host:?}: {error}; {form}"))?;
    Ok(format!("{}:{port}", international::host(host)?))
}

pub(crate) fn mail_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse()?;
    if url.scheme.takes_mail() {
        return Ok(url);
    }
    Err(format!("{} does not carry mail; use {MAIL_FORMS}", url.scheme.name()))
}

/// An address, in a form that any server accepts, if possible.
pub(crate) fn address(text: &str) -> Result<String, String> {
    let address = international::address(text)?;
    match Address::international(&address) {
        Ok(_) => Ok(address),
        Err(why) => {
            let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
            let mistake = literal::read(domain).and_then(Result::err);
            Err(mistake.unwrap_or_else(|| format!("the address {why}; write LOCAL@DOMAIN")))
        }
    }
}

/// The same, or the null path, which becomes an empty text.
pub(crate) fn sender(text: &str) -> Result<String, String> {
    if text == "<>" { Ok(String::new()) } else { address(text) }
}

/// The name of a machine, or an address literal.
pub(crate) fn helo(text: &str) -> Result<String, String> {
    let name = international::host(text)?;
    match smtp::Domain::new(&name) {
        Ok(_) => Ok(name),
        Err(why) => Err(format!("the name {why}; write a domain, or an address as [192.0.2.1]")),
    }
}

pub(crate) fn mechanism(text: &str) -> Result<Mechanism, String> {
    let mut all = Mechanism::ALL.iter().copied();
    all.find(|mechanism| mechanism.name().eq_ignore_ascii_case(text)).ok_or_else(|| {
        let names: Vec<_> = Mechanism::ALL.iter().map(|mechanism| mechanism.name()).collect();
        format!("one of {}", names.join(", "))
    })
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => Err("a whole number of seconds, at least 1".to_owned()),
    }
}

/// A count.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..) => Ok(count),
        _ => Err("a whole number, at least 1".to_owned()),
    }
}

pub(crate) fn linger(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| "a whole number of seconds".to_owned())
}
